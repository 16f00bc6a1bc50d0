"""What is right and wrong with a provider, judged from its settings and from what a look at it showed. Pure.

Owns what can be reached and used, with the mends. What keeps metadata from being accepted is `discovery`'s to know,
what they advertise is for `advertised`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from tokenstore.core.model import LOGIN_PROVIDER, Provider, ProviderKind
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.advertised import advertised_findings, scope_findings
from tokenstore.providers.discovery import metadata_faults
from tokenstore.providers.findings import Finding, Verdict, shown, shown_address
from tokenstore.providers.jwks import read_key_set
from tokenstore.providers.looking import Fetched, Look
from tokenstore.providers.settings import prefix

MOST_SKEW: Final = timedelta(seconds=30)
_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "address-refused": (
        "the address may not be called",
        "correct it, or list its host in ALLOW_PRIVATE_HOSTS if it lies in your own network",
    ),
    "dns": ("the host's name is not known", "correct it, or look at the name servers of this machine"),
    "connect": ("no connection to the host", "look at the firewall between this machine and the provider"),
    "tls": ("its certificate is not accepted", "name the authority that signed it in CA_BUNDLE"),
    "deadline": ("no connection in time", "look at the network between this machine and the provider"),
    "timeout": ("no answer in time", "ask again later, then ask the provider's operator"),
    "too-large": ("the answer is too large", "look whether the address is right"),
    "no JSON object": ("the answer is no JSON object", "look whether the address is right"),
}
_OTHER_MEND = "look whether the address is right, then ask the provider's operator"


def judge(provider: Provider, seen: Look, policy: AddressPolicy, *, introspects: bool = False) -> Sequence[Finding]:
    """All findings, in the order in which a person would mend them.

    `introspects`: tokens of callers are introspected here, at the login provider.
    """
    found = [*_metadata(provider, seen, policy), *_addresses(provider, seen, introspects), *_keys(provider, seen)]
    document = seen.metadata.document if seen.metadata else None
    if document is not None:
        found += advertised_findings(provider, document)
    found += [*scope_findings(provider, document), *_revocation(provider, seen), *_clock(seen)]
    return [*found, Finding(Verdict.OK, f"the redirect URI to register there is {provider.redirect_uri}")]


def _metadata(provider: Provider, seen: Look, policy: AddressPolicy) -> Iterator[Finding]:
    if seen.metadata is None:
        yield Finding(Verdict.OK, "there is no discovery: the settings name the addresses")
        return
    document, start = seen.metadata.document, prefix(provider.id)
    if document is None:
        yield _not_had("the metadata", seen.metadata)
        return
    yield Finding(Verdict.OK, f"the metadata can be read at {shown_address(seen.metadata.url)}")
    faults = metadata_faults(provider, document, policy)
    for fault in faults:
        if fault.member == "issuer":
            yield Finding(
                Verdict.PROBLEM,
                f"the metadata's issuer is {shown(document.get('issuer'))}, the settings expect "
                f"{shown(provider.issuer)}",
                f"correct {start}DISCOVERY_URL, or write {start}ISSUER exactly so if this is the provider you mean",
            )
        elif fault.foreign:
            host = urlsplit(str(document[fault.member])).hostname
            yield Finding(
                Verdict.PROBLEM,
                f"{fault.member} stands on the host {shown(host)}, which is not the issuer's",
                f"add it to {start}ALLOWED_HOSTS if it is the provider's",
            )
        else:
            yield Finding(Verdict.PROBLEM, str(fault), "ask the provider's operator: such metadata is refused")
    if not faults:
        yield Finding(Verdict.OK, f"the issuer is exactly {shown(provider.issuer)}")
        yield Finding(Verdict.OK, "all endpoints stand on hosts of the provider")


def _addresses(provider: Provider, seen: Look, introspects: bool) -> Iterator[Finding]:
    start = prefix(provider.id)
    if seen.accepted:
        needed = {"AUTHORIZE_URL": seen.endpoints.authorize, "TOKEN_URL": seen.endpoints.token}
        if provider.kind is ProviderKind.OIDC:
            needed["JWKS_URL"] = seen.endpoints.jwks
        for name, url in needed.items():
            if url is None:
                yield Finding(Verdict.PROBLEM, f"no address for {name} can be used", f"write {start}{name}")
    if introspects and seen.accepted and not seen.endpoints.introspect:
        mend = "take OIDC_INTROSPECTION out, or ask the provider's operator"
        yield Finding(Verdict.PROBLEM, "no introspection endpoint can be used", mend)
    if introspects and seen.endpoints.introspect:
        yield Finding(Verdict.OK, "there is an introspection endpoint for callers' tokens")
    if seen.token is not None and seen.token.answered:
        yield Finding(Verdict.OK, f"the token endpoint answers at {shown_address(seen.token.url)}")
    elif seen.token is not None:
        yield _not_had("the token endpoint", seen.token)


def _keys(provider: Provider, seen: Look) -> Iterator[Finding]:
    if seen.keys is None:
        return
    if seen.keys.document is None:
        yield _not_had("the keys of ID tokens", seen.keys)
        return
    keys = read_key_set(seen.keys.document)
    usable = [name for name in provider.id_token_algorithms if keys.fitting(name)]
    if usable:
        yield Finding(Verdict.OK, f"there are keys for {', '.join(usable)}")
    else:
        accepted = ", ".join(provider.id_token_algorithms)
        mend = f"let the provider sign ID tokens with one of {accepted}; RSA keys need 2048 bits"
        yield Finding(Verdict.PROBLEM, "its key set holds no key that may verify an ID token", mend)


def _revocation(provider: Provider, seen: Look) -> Iterator[Finding]:
    start = prefix(provider.id)
    if provider.id == LOGIN_PROVIDER or not seen.accepted:
        return
    if provider.revoke_style == "none":
        yield Finding(Verdict.OK, f"tokens are not revoked at unlinking, as {start}REVOKE_STYLE says")
    elif seen.endpoints.revoke or provider.revoke_style == "github-grant":
        yield Finding(Verdict.OK, "tokens can be revoked at unlinking")
    else:
        mend = f"write {start}REVOKE_URL, or set {start}REVOKE_STYLE to none"
        yield Finding(Verdict.WARNING, "no revocation endpoint is known, so unlinked tokens live on there", mend)


def _clock(seen: Look) -> Iterator[Finding]:
    """The answer nearest to our clock counts: one from a cache on the way is as old as it is."""
    told = [one.ahead for one in (seen.metadata, seen.keys, seen.token) if one is not None and one.ahead is not None]
    if not told:
        return
    ahead = min(told, key=abs)
    seconds = round(abs(ahead).total_seconds())
    if abs(ahead) <= MOST_SKEW:
        yield Finding(Verdict.OK, "its clock and that of this machine agree")
    else:
        side = "before" if ahead > timedelta() else "behind"
        mend = "let this machine keep its time by NTP; if it does, tell the provider's operator"
        yield Finding(Verdict.WARNING, f"its clock is {seconds} s {side} that of this machine", mend)


def _not_had(what: str, fetched: Fetched) -> Finding:
    because, mend = _FAULTS.get(fetched.fault, (fetched.fault, _OTHER_MEND))
    return Finding(Verdict.PROBLEM, f"{what} cannot be had at {shown_address(fetched.url)}: {because}", mend)
