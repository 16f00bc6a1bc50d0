"""The table of settings: name (in capitals), type, default, meaning. Parser, dump and reference page follow it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tokenstore.config.places import database_problem, redis_problem
from tokenstore.core.places import THREADS
from tokenstore.core.redirects import origin_problem
from tokenstore.core.secret import Secret
from tokenstore.core.settings import setting
from tokenstore.providers.checks import hosts_problem

_PUBLIC_PATH = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._~-]*)*")


def public_url_problem(url: str) -> str | None:
    """An origin, optionally with a plain path; https, or http on this machine."""
    if not url.isascii() or any(mark in url for mark in "?#@\\") or "://" not in url:
        return "is no address of this store: write https://host or https://host/path"
    parts = urlsplit(url)
    if problem := origin_problem(f"{parts.scheme}://{parts.netloc}"):
        return problem
    return None if _PUBLIC_PATH.fullmatch(parts.path.rstrip("/")) else "has an odd path: use letters, digits and ._~-"


def origins_problem(origins: tuple[str, ...]) -> str | None:
    """A list of origins, each written out."""
    bad = ((origin, origin_problem(origin)) for origin in origins)
    return next((f"holds {origin!r}, which {problem}" for origin, problem in bad if problem), None)


def readable_file_problem(path: str) -> str | None:
    """A file that is there."""
    return None if not path or Path(path).is_file() else f"names {path}, which is no file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the store that belongs to no single provider. Times are whole seconds."""

    public_url: str = setting(
        "",
        "Where people and programs reach the store; may have a path. Redirect URIs, cookies and links are built from "
        "it, never from the request.",
        heading="Where we are",
        unset="required; `http://127.0.0.1:5000` in development",
        check=public_url_problem,
    )
    development: bool = setting(
        False,
        "For a checkout on one's own machine: makes missing keys, allows weak ones, starts without a login provider. "
        "Refused where `PUBLIC_URL` is not this machine.",
    )
    instance_path: str = setting(
        "",
        "Folder of the SQLite database and of the keys made in development.",
        unset="`instance` in the checkout, else in the working directory",
    )
    proxy_hops: int = setting(
        0,
        "How many proxies in front of the store are ours, so that their `X-Forwarded-For` and `X-Request-Id` are "
        "believed.",
        least=0,
        most=8,
    )
    return_url_origins: tuple[str, ...] = setting(
        (), "Origins besides our own to which a browser may return after linking or login.", check=origins_problem
    )
    cors_origins: tuple[str, ...] = setting(
        (), "Origins whose pages may call the API with the user's session.", check=origins_problem
    )
    metrics_token: Secret = setting(  # noqa: RUF009 - a Secret never changes
        Secret(""),
        "What readers of `/metrics` send as a bearer token.",
        unset="none: `/metrics` answers only callers on the store's own machine",
    )
    log_level: str = setting("INFO", "What is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))

    secret_key: Secret = setting(  # noqa: RUF009 - a Secret never changes
        Secret(""),
        "Random text that signs what browsers carry; the same in every process.",
        heading="Keys",
        unset="required; made in development",
    )
    cryptokey: Secret = setting(  # noqa: RUF009 - a Secret never changes
        Secret(""),
        "Key-encryption keys, separated by commas; the first encrypts, all decrypt. Each is 64 hex digits, 44 "
        "characters of base64 in either alphabet, or 32 ASCII characters.",
        unset="required; made in development",
    )

    oidc_audience: tuple[str, ...] = setting(
        (), "Audiences of access tokens that the API accepts.", heading="Callers", unset="the value of `OIDC_CLIENT_ID`"
    )
    oidc_authorized_parties: tuple[str, ...] = setting(
        (), "Clients (`azp` or `client_id`) whose access tokens the API accepts.", unset="any"
    )
    oidc_introspection: bool = setting(
        False,
        "Accept opaque access tokens, too: the login provider is asked about each (RFC 7662). Needs an "
        "`introspection_endpoint` in its metadata and a client secret.",
    )
    oidc_required_scope: str = setting("", "Scope that the credentials of a program have to carry.", unset="none")
    oidc_roles_claim: tuple[str, ...] = setting(
        ("realm_access.roles", "roles"), "Dotted paths where a user's roles are looked for; the first found counts."
    )

    oidc_swagger_client_id: str = setting(
        "",
        "Public client of the login provider with which the page of the API document gets access tokens (code flow "
        "with PKCE); its redirect URI is `PUBLIC_URL` followed by `/api/v1.0/docs/redirect_uri`.",
        unset="none: a token has to be pasted there",
    )

    userinfo_map: Mapping[str, Any] = setting(
        {},
        "Functions that know users by other credentials, each called with one mapping: `basic` with `username` and "
        "`password` of `Authorization: Basic`, `apikey-v1` with `token`, the text of `X-Api-Key`. It returns a user, "
        "or None. A function, or its name as `module:function`.",
    )
    legacy_status_codes: bool = setting(
        False,
        "Answer clients of the reference implementation with its statuses: 403 for callers that are not known, 400 for "
        "`not-linked` and `reauthorization-required`, under `/api/v1.0` and `/api/whoami`.",
    )

    session_type: str = setting(
        "sqlalchemy",
        "Where browser sessions are kept, sealed: `sqlalchemy` is the database, `redis` the Redis that `SESSION_REDIS` "
        "names.",
        heading="Sessions",
    )
    session_redis: str = setting(
        "",
        "The Redis of `SESSION_TYPE` `redis`: `redis://:password@host:6379/0`, with TLS `rediss://`. Needs the extra "
        "`tokenstore[redis]`.",
        secret=True,
        check=redis_problem,
    )
    session_idle: int = setting(28800, "Seconds without a request after which a session ends.", least=60)
    session_lifetime: int = setting(604800, "Seconds after which a session ends in any case.", least=60)

    sqlalchemy_database_uri: str = setting(
        "sqlite:///tokenstore.sqlite",
        "The database. A relative SQLite path lies in the instance folder; PostgreSQL is "
        "`postgresql+psycopg://user:password@host/name`.",
        secret=True,
        heading="Database",
        check=database_problem,
    )
    sqlalchemy_engine_options: Mapping[str, Any] = setting(
        {},
        "Options of SQLAlchemy's `create_engine`, each in place of what the store sets itself: `pool_size` 5, "
        "`pool_recycle` 300, and on PostgreSQL `pool_timeout` 5, `isolation_level` and `connect_timeout` 2 in "
        "`connect_args`. With a `poolclass` the store sets nothing of the pool.",
        secret=True,
    )

    token_providers: tuple[str, ...] = setting(
        (),
        "Ids of the providers at which accounts can be linked, in the order shown.",
        heading="Providers",
        unset="none",
    )
    allow_private_hosts: tuple[str, ...] = setting(
        (),
        "Host names of providers that may resolve to private addresses and be spoken to without TLS.",
        check=hosts_problem,
    )
    ca_bundle: str = setting(
        "",
        "File of certificate authorities by which providers are verified.",
        unset="the public ones",
        check=readable_file_problem,
    )
    request_threads: int = setting(
        THREADS,
        "With how many threads each process answers requests: half of them may wait for one provider that is slow, "
        "three quarters for all. Set it in the environment, from which `gunicorn.conf.py` takes its `threads`, too.",
        least=1,
        most=1000,
    )
    wait_seconds: int = setting(
        2,
        "How long a caller waits for a refresh that another request has begun.",
        least=0,
        most=10,
        heading="Refreshing",
    )
    spool_dir: str = setting(
        "",
        "Folder on a durable disk of this machine where answers of providers are safe until the database has them. "
        "Processes of one machine share it; machines never do.",
        unset="`spool` in the instance folder",
    )
    keeper: str = setting(
        "embedded",
        "Who does what has to be done although nobody asks: refreshing ahead, revoking what is owed, removing what has "
        "had its time. `embedded`: each serving process; `off`: processes of their own, `flask tokenstore keeper`.",
        choices=("embedded", "off"),
        heading="Keeper",
    )
    keeper_rate: int = setting(
        10, "How many links a second each keeper refreshes ahead at one provider.", least=1, most=1000
    )
    keeper_unused_days: int = setting(
        30,
        "Days after its last use from which a link is not refreshed ahead any more, until it is used again.",
        least=1,
        most=3650,
    )
