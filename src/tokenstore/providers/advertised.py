"""What metadata say that a provider can do, against what the settings have the store do. Pure.

These members only advise: none of them changes how the store behaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tokenstore.core.model import LOGIN_PROVIDER, Provider, ProviderKind
from tokenstore.providers.findings import Finding, Verdict, shown
from tokenstore.providers.settings import prefix

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")


def advertised_findings(provider: Provider, document: Mapping[str, Any]) -> Iterator[Finding]:
    """PKCE, `iss`, authentication, grants and algorithms."""
    for findings in (_pkce, _callback_issuer, _authentication, _grants, _algorithms):
        yield from findings(provider, document)


def scope_findings(provider: Provider, document: Mapping[str, Any] | None) -> Iterator[Finding]:
    """The scopes, and whether refresh tokens are to be expected; `document` None: there are no metadata."""
    start, listed = prefix(provider.id), _listed(document or {}, "scopes_supported")
    unknown = [scope for scope in provider.scopes if listed is not None and scope not in listed]
    if unknown:
        mend = f"look whether {start}SCOPE is spelled right; a provider need not list all it knows"
        yield Finding(Verdict.WARNING, f"the provider does not list {_names(unknown)} among its scopes", mend)
    elif listed is not None:
        yield Finding(Verdict.OK, f"the provider lists all scopes that are asked for: {_names(provider.scopes)}")
    if not _refreshes(provider):
        return
    if provider.expects_refresh_token:
        yield Finding(Verdict.OK, "offline access is asked for: a linking without refresh token is refused")
    elif provider.kind is ProviderKind.OIDC and (listed is None or "offline_access" in listed):
        mend = f"add offline_access to {start}SCOPE, or set {start}REFRESH_MODE to never if access tokens are enough"
        yield Finding(Verdict.WARNING, "offline access is not asked for, so there may be no refresh token", mend)
    else:
        yield Finding(Verdict.OK, "offline access is not asked for: whether refresh tokens come is the provider's way")


def _pkce(provider: Provider, document: Mapping[str, Any]) -> Iterator[Finding]:
    methods, name = _listed(document, "code_challenge_methods_supported"), f"{prefix(provider.id)}PKCE"
    if not provider.pkce:
        if "S256" in (methods or ()):
            yield Finding(Verdict.WARNING, "PKCE is off and the provider takes S256", f"take {name} out")
        else:
            yield Finding(Verdict.OK, "PKCE is off, and the provider does not say that it takes S256")
    elif methods is None:
        mend = f"if it refuses the parameters, set {name} to off"
        yield Finding(Verdict.WARNING, "the provider does not say whether it takes PKCE, which is sent", mend)
    elif "S256" in methods:
        yield Finding(Verdict.OK, "PKCE with S256 is taken")
    else:
        text = f"the provider takes PKCE with {_names(methods)} and not with S256, which is sent"
        yield Finding(Verdict.PROBLEM, text, f"let it take S256, or set {name} to off")


def _callback_issuer(_: Provider, document: Mapping[str, Any]) -> Iterator[Finding]:
    if document.get("authorization_response_iss_parameter_supported") is True:
        yield Finding(Verdict.OK, "its answers say who they come from (iss), and that is demanded")
    else:
        text = "its answers do not say who they come from (iss); they are told apart by the redirect URI"
        yield Finding(Verdict.OK, text)


def _authentication(provider: Provider, document: Mapping[str, Any]) -> Iterator[Finding]:
    # OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2 give this default.
    methods = _listed(document, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if provider.auth_method in methods:
        yield Finding(Verdict.OK, f"{provider.auth_method} is taken at the token endpoint")
        return
    name, usable = f"{prefix(provider.id)}TOKEN_AUTH_METHOD", [one for one in _AUTH_METHODS if one in methods]
    mend = f"set {name} to {usable[0]}" if usable else "let the provider take client_secret_basic for this client"
    yield Finding(Verdict.PROBLEM, f"the token endpoint takes {_names(methods)}, not {provider.auth_method}", mend)


def _grants(provider: Provider, document: Mapping[str, Any]) -> Iterator[Finding]:
    responses = _listed(document, "response_types_supported")
    if responses is not None and "code" not in responses:
        text = f"the provider answers authorization requests with {_names(responses)}, not with code"
        yield Finding(Verdict.PROBLEM, text, "let it allow the authorization code flow")
    grants = _listed(document, "grant_types_supported")
    if grants is None:
        return
    if "authorization_code" not in grants:
        text = f"the provider has the grants {_names(grants)} and not authorization_code"
        yield Finding(Verdict.PROBLEM, text, "let it allow the authorization code flow")
    elif _refreshes(provider) and "refresh_token" not in grants:
        mend = f"let it allow refresh tokens, or set {prefix(provider.id)}REFRESH_MODE to never"
        yield Finding(Verdict.WARNING, "the provider does not list the grant refresh_token", mend)
    else:
        wanted = "authorization_code and refresh_token" if _refreshes(provider) else "authorization_code"
        yield Finding(Verdict.OK, f"the provider has the grants that are needed: {wanted}")


def _algorithms(provider: Provider, document: Mapping[str, Any]) -> Iterator[Finding]:
    names = _listed(document, "id_token_signing_alg_values_supported")
    if provider.kind is not ProviderKind.OIDC or names is None:
        return
    if set(names).isdisjoint(provider.id_token_algorithms):
        mend = f"let it use one of {', '.join(provider.id_token_algorithms)} for this client"
        yield Finding(Verdict.PROBLEM, f"the provider signs ID tokens with {_names(names)} only", mend)


def _refreshes(provider: Provider) -> bool:
    return provider.refreshes and provider.id != LOGIN_PROVIDER


def _listed(document: Mapping[str, Any], member: str) -> list[str] | None:
    """The texts of a member that is a list; None if it is not there or something else."""
    value = document.get(member)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else None


def _names(texts: Iterable[str]) -> str:
    return shown(" ".join(texts) or "nothing")
