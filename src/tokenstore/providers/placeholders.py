"""Presets made fit for one operator: the `{names}` in their texts replaced by VARS. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokenstore.providers.presets import Preset

_HOST_AND_PORT = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_PATH_SEGMENT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._~-]+")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill_in(
    preset: Preset, given: Mapping[str, Any], overridden: frozenset[str], start: str
) -> tuple[dict[str, object], list[str]]:
    """A preset's rows with the `{names}` in its texts replaced by VARS, and what is wrong with VARS.

    `overridden` rows are left out: nobody has to fill in what is not used. `start` begins the names of the settings.
    """
    values = {**preset.vars, **given}
    filled: dict[str, object] = {}
    problems: list[str] = []
    missing: set[str] = set()
    for row, template in preset.rows.items():
        if row in overridden:
            continue
        if not isinstance(template, str):
            filled[row] = template
            continue
        host = template.split("/", 3)[2] if "://" in template else ""
        missing |= {name for name in _names(template) if values.get(name) is None}
        problems += _var_problems(_names(template) - missing, _names(host), values)
        filled[row] = _PLACEHOLDER.sub(lambda match: str(values.get(match[1], "")), template)
    if missing:
        problems.append(_lacks(sorted(missing), start))
    unused = sorted(set(given) - names_of(preset))
    problems += [f"VARS holds {name!r}, which the preset does not use" for name in unused]
    return ({} if problems else filled), list(dict.fromkeys(problems))


def names_of(preset: Preset) -> frozenset[str]:
    """The `{names}` that a preset's texts use."""
    texts = (template for template in preset.rows.values() if isinstance(template, str))
    return frozenset(name for template in texts for name in _names(template))


def _names(template: str) -> set[str]:
    return set(_PLACEHOLDER.findall(template))


def _lacks(names: Sequence[str], start: str) -> str:
    example = ", ".join(f'"{name}": "…"' for name in names)
    return f"VARS lacks {' and '.join(map(repr, names))}: write {start}VARS = {{{example}}}"


def _var_problems(names: set[str], in_host: set[str], values: Mapping[str, Any]) -> list[str]:
    problems = []
    for name in sorted(names):
        value = values[name]
        if not isinstance(value, str) or not (_HOST_AND_PORT if name in in_host else _PATH_SEGMENT).fullmatch(value):
            what = "a host name in lower case" if name in in_host else "one part of a path, without /, ?, # or %"
            problems.append(f"VARS has an unusable {name!r}: write {what}")
    return problems
