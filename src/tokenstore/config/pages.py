"""The settings as text: the dump of one store with its secrets masked, and the reference page of all there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby

from tokenstore.config.findings import Group
from tokenstore.config.names import PROVIDER_ROWS, STORE_ROWS
from tokenstore.core.secret import Secret
from tokenstore.core.settings import Kind, Setting
from tokenstore.providers.settings import LOGIN_ROWS

_MASK = "•••"
_NOTHING = "-"

_INTRODUCTION = """\
# Settings

<!-- Made from the table of settings: `flask tokenstore config reference > docs/reference/settings.md` -->

Each setting below is a capital name in the Python file that `TOKENSTORE_SETTINGS` names, the same name with
`TOKENSTORE_` before it in the environment, or a member of the mapping given to `create_app`. The environment overrides
the file, the mapping overrides both. A relative `TOKENSTORE_SETTINGS` is looked for in the working directory, in a
checkout also at its top.

In the environment every value is text: a boolean is `true` or `false`, an integer may be octal (`0o600`), a list has
commas or is JSON, a mapping is JSON. A *secret* may be kept in a file: `<NAME>_FILE` names it, and one line break at
its end is dropped.

Without `DEVELOPMENT` the store starts only with `PUBLIC_URL`, `SECRET_KEY`, `CRYPTOKEY`, `OIDC_DISCOVERY_URL`,
`OIDC_CLIENT_ID` and `OIDC_CLIENT_SECRET`. All problems are told at once: `flask tokenstore config check` lists them,
`flask tokenstore config show` lists every value and where it came from. A name that is no setting is a warning with
the nearest one; settings of the reference implementation that mean nothing here (`CACHE_*`,
`SQLALCHEMY_TRACK_MODIFICATIONS` …) are accepted.
"""

_PROVIDERS = """\
## One provider

`TOKEN_PROVIDERS` lists ids: up to 32 of `a-z`, `0-9`, `_` and `-`. The settings of provider `my-idp` are
`MY_IDP_<NAME>`, in the environment `TOKENSTORE_MY_IDP_<NAME>`. Beside `idp` and `idp_2` the name `IDP_2_SCOPE` is the
second one's: the longest id counts. Refused are names of pages, and ids that would own a setting of the store or of
another provider. The redirect URI to register is `<PUBLIC_URL>/api/v1.0/<id>/redirect_uri`.

The login provider takes these of them as `OIDC_<NAME>`: {login}. There `SCOPE` is `openid email profile` unless set,
no `PROMPT` is sent, and the redirect URI is `<PUBLIC_URL>/api/oidc/redirect_uri`.
"""


def dump(groups: Iterable[Group]) -> str:
    """Every setting, one a line: name, value or a mask, and where it came from."""
    lines = [(group.prefix + row.name, *_entry(group, row)) for group in groups for row in group.rows]
    width = max(len(name) for name, _, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}  ({origin})" for name, value, origin in lines)


def reference() -> str:
    """The reference page, in Markdown."""
    login = ", ".join(f"`{name}`" for name in sorted(LOGIN_ROWS))
    store = _tables(STORE_ROWS, "##")
    return "\n".join([_INTRODUCTION, *store, _PROVIDERS.format(login=login), *_tables(PROVIDER_ROWS, "###")])


def _entry(group: Group, row: Setting) -> tuple[str, str]:
    """Value and origin of one setting as the dump shows them."""
    origin = group.origins.get(row.name)
    if origin is None:
        return _plain(row.default if row.secret else getattr(group.values, row.name.lower())), "default"
    return _MASK if row.secret else _plain(getattr(group.values, row.name.lower())), origin


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Secret):
        return _MASK if value else _NOTHING
    if isinstance(value, tuple):
        return ", ".join(value) or _NOTHING
    if isinstance(value, Mapping):
        return json.dumps(dict(value), default=repr) if value else _NOTHING
    return _NOTHING if value is None or not str(value).strip() else str(value)


def _tables(rows: Iterable[Setting], level: str) -> list[str]:
    lines: list[str] = []
    for heading, group in groupby(rows, key=lambda row: row.heading):
        lines += [f"{level} {heading}", "", "| name | type | default | meaning |", "|---|---|---|---|"]
        lines += [f"| `{row.name}` | {_type(row)} | {_default(row)} | {_meaning(row)} |" for row in group]
        lines.append("")
    return lines


def _type(row: Setting) -> str:
    return f"{row.kind}, secret" if row.secret and row.kind is not Kind.SECRET else str(row.kind)


def _default(row: Setting) -> str:
    shown = _plain(row.default)
    return row.unset or ("none" if shown == _NOTHING else f"`{shown}`")


def _meaning(row: Setting) -> str:
    text = row.meaning
    if row.choices:
        text += f" One of {', '.join(f'`{choice}`' for choice in row.choices)}."
    if row.least is not None and row.most is not None:
        text += f" From {row.least} to {row.most}."
    elif row.least is not None:
        text += f" At least {row.least}."
    return text.replace("|", r"\|")
