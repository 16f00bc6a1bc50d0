"""What whoever begins a linking may ask for: fewer scopes, a prompt, an account, to be told how it ended.

Reads the texts of a request and decides what that means at a provider; nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from tokenstore.core.model import Link, LinkId, Provider, ProviderKind
from tokenstore.errors import FieldProblem, InvalidRequest

PARAMETERS = ("scope", "prompt", "login_hint", "link", "result")
"""Names of the parameters, in queries, forms and JSON bodies alike."""

PROMPTS = ("login", "consent", "select_account")
"""Prompts that may be asked for (OIDC Core section 3.1.2.1). Not `none`: no account is linked behind one's back."""

# Without them there is no ID token, or no lasting access, which is not what fewer scopes are asked for.
_ALWAYS = frozenset({"openid", "offline_access", "refresh_token"})
HINT_MOST = 320
"""Characters of the longest hint at an account."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a linking. No scopes: all that are configured. `link_id`: the link that is to be renewed.

    `reports`: the return address is told the result in its query.
    """

    scopes: frozenset[str] = frozenset()
    prompts: tuple[str, ...] = ()
    login_hint: str | None = None
    link_id: LinkId | None = None
    reports: bool = False

    def parameters(self) -> dict[str, str]:
        """The same as parameters of a request."""
        texts = {
            "scope": " ".join(sorted(self.scopes)),
            "prompt": " ".join(self.prompts),
            "login_hint": self.login_hint or "",
            "link": str(self.link_id or ""),
            "result": "query" if self.reports else "",
        }
        return {name: text for name, text in texts.items() if text}


NO_WISHES = Wishes()


def read_wishes(texts: Mapping[str, str | None]) -> Wishes:
    """The wishes in the parameters of a request; others and empty ones are ignored.

    Raises InvalidRequest that names every parameter that is not valid.
    """
    given = {name: texts.get(name) or "" for name in PARAMETERS}
    problems: list[FieldProblem] = []
    prompts = tuple(dict.fromkeys(given["prompt"].split()))
    if not set(prompts) <= set(PROMPTS):
        problems.append(FieldProblem("prompt", f"must be of {', '.join(PROMPTS)}, with spaces between"))
    if len(given["login_hint"]) > HINT_MOST or not given["login_hint"].isprintable():
        problems.append(FieldProblem("login_hint", f"must be a text of at most {HINT_MOST} printable characters"))
    if given["result"] not in ("", "query"):
        problems.append(FieldProblem("result", "must be query"))
    link_id = None
    try:
        link_id = LinkId(UUID(given["link"])) if given["link"] else None
    except ValueError:
        problems.append(FieldProblem("link", "must be the id of a link, as listed under /authorizations"))
    if problems:
        raise InvalidRequest("Some parameters are not valid; see errors.", errors=problems)
    scopes = frozenset(given["scope"].split())
    return Wishes(scopes, prompts, given["login_hint"] or None, link_id, reports=given["result"] == "query")


def scopes_to_ask(provider: Provider, wishes: Wishes, link: Link | None = None) -> tuple[str, ...]:
    """The scopes of the authorization request, in configured order.

    All that are configured, or those wished for together with what `link`, if it is to be renewed, was asked before: a
    renewed link never loses any. Raises InvalidRequest for a scope that is not configured.
    """
    if not wishes.scopes:
        return provider.scopes
    if beyond := wishes.scopes - set(provider.scopes):
        problem = FieldProblem("scope", "may name only scopes that are configured here, as /providers lists them")
        raise InvalidRequest(f"{len(beyond)} of the scopes cannot be asked for at this provider.", errors=[problem])
    wanted = wishes.scopes | _ALWAYS | (link.scopes_requested if link else frozenset())
    return tuple(scope for scope in provider.scopes if scope in wanted)


def hints(provider: Provider, wishes: Wishes, link: Link | None = None) -> dict[str, str]:
    """`prompt` and `login_hint` of the authorization request, where they are not as configured.

    A wished prompt comes on top of the configured one, without which some providers give no refresh token.
    """
    found: dict[str, str] = {}
    if wishes.prompts:
        found["prompt"] = " ".join(dict.fromkeys([*(provider.prompt or "").split(), *wishes.prompts]))
    known = link.account.email if link and provider.kind is ProviderKind.OIDC else None
    if hint := wishes.login_hint or known:
        found["login_hint"] = hint
    return found
