"""From what was given to settings that can be used: every value typed, every problem found, each naming its mend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tokenstore.config.findings import Findings, Group
from tokenstore.config.names import LOGIN_PROVIDER_ROWS, PROVIDER_ROWS, STORE_ROWS, id_problem, owner, unknown_names
from tokenstore.config.rules import complete
from tokenstore.config.sources import Sources, Taken, gather
from tokenstore.config.table import Settings
from tokenstore.core.model import LOGIN_PROVIDER, Provider, ProviderId
from tokenstore.core.settings import fill
from tokenstore.errors import ConfigError
from tokenstore.providers.building import Built, build_provider
from tokenstore.providers.settings import prefix

_LOGIN_MISSING = "OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET are missing"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that can be used. `login` None: a development store at which nobody can log in."""

    settings: Settings
    login: Provider | None
    providers: tuple[Provider, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """What is to be said about settings, usable or not; a value with a problem shows as its default."""

    settings: Settings
    login: Provider | None
    providers: tuple[Provider, ...]
    groups: tuple[Group, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def load(config: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The settings of the file named by TOKENSTORE_SETTINGS, overridden by the environment, overridden by `config`.

    Touches neither network nor database; in development it makes missing keys in the instance folder. Raises
    ConfigError with every problem.
    """
    seen = examine(config, environ, make_keys=True)
    if seen.problems:
        raise ConfigError(seen.problems)
    return Loaded(seen.settings, seen.login, seen.providers, seen.warnings)


def examine(
    config: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ, *, make_keys: bool = False
) -> Examined:
    """As `load`, for looking at: problems are listed instead of raised, and without `make_keys` nothing is written."""
    sources = gather(config, environ)
    found = Findings(problems=list(sources.problems))
    taken, settings = _store(sources, found, make_keys)
    ids = _provider_ids(settings, found)
    login = _login(sources, settings, found)
    if login and not settings.oidc_audience:
        settings = replace(settings, oidc_audience=(login.client_id,))
    providers = [_token_provider(one, ids, sources, settings, found) for one in ids]
    found.warnings += unknown_names(sources, found.known, ids)
    found.groups.insert(0, Group("", STORE_ROWS, settings, taken.origins))
    return Examined(
        settings=settings,
        login=login,
        providers=tuple(provider for provider in providers if provider),
        groups=tuple(found.groups),
        problems=tuple(found.problems),
        warnings=tuple(found.warnings),
    )


def _store(sources: Sources, found: Findings, make_keys: bool) -> tuple[Taken, Settings]:
    taken = sources.take(STORE_ROWS)
    settings, wrong = fill(Settings, taken.values)
    taken.problems |= wrong
    found.note(taken)
    return taken, complete(settings, taken, found, make_keys=make_keys)


def _provider_ids(settings: Settings, found: Findings) -> tuple[ProviderId, ...]:
    texts = settings.token_providers
    problems = {text: id_problem(text, texts) for text in texts}
    found.problems += [f"TOKEN_PROVIDERS: {text} {problem}" for text, problem in problems.items() if problem]
    found.problems += [f"TOKEN_PROVIDERS names {text} twice" for text in problems if texts.count(text) > 1]
    return tuple(ProviderId(text) for text, problem in problems.items() if not problem)


def _login(sources: Sources, settings: Settings, found: Findings) -> Provider | None:
    taken = sources.take(LOGIN_PROVIDER_ROWS, prefix(LOGIN_PROVIDER))
    if any(taken.values.values()) or taken.problems:
        return _build(LOGIN_PROVIDER, taken, f"{settings.public_url}/api/oidc/redirect_uri", settings, found)
    found.note(taken)
    if settings.development:
        found.warnings.append(f"{_LOGIN_MISSING}: the store starts, and nobody can log in")
    else:
        found.problems.append(f"{_LOGIN_MISSING}: write where people log in and what this store is called there")
    return None


def _token_provider(
    provider_id: ProviderId, ids: tuple[ProviderId, ...], sources: Sources, settings: Settings, found: Findings
) -> Provider | None:
    taken = sources.take(PROVIDER_ROWS, prefix(provider_id), lambda name: owner(name, ids) == provider_id)
    redirect_uri = f"{settings.public_url}/api/v1.0/{provider_id}/redirect_uri"
    return _build(provider_id, taken, redirect_uri, settings, found)


def _build(
    provider_id: ProviderId, taken: Taken, redirect_uri: str, settings: Settings, found: Findings
) -> Provider | None:
    built = build_provider(
        provider_id,
        taken.values,
        redirect_uri=redirect_uri,
        plain_http_hosts=frozenset(settings.allow_private_hosts),
        unreadable=frozenset(taken.problems),
    )
    start = prefix(provider_id)
    found.note(taken, start)
    found.problems += built.problems
    found.warnings += built.warnings
    table = LOGIN_PROVIDER_ROWS if provider_id == LOGIN_PROVIDER else PROVIDER_ROWS
    found.groups.append(Group(start, table, built.settings, _origins(built, taken)))
    return built.provider


def _origins(built: Built, taken: Taken) -> dict[str, str]:
    preset = f"preset {built.settings.preset}" if built.settings.preset else "default"
    return dict.fromkeys(built.preset_rows, preset) | taken.origins
