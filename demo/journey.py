"""The whole journey without a screen: a person in a browser and a program over HTTP, each step checked and timed.

Speaks to the store over HTTP only; what providers know is asked of the providers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from demo.browser import Browser, Page
from demo.client import Answer, call
from demo.config import Account
from demo.knobs import Fault
from demo.person import Person
from demo.server import RunningProvider
from demo.world import CLIENT_ID, PLAIN, SLOW, STRICT, World

API = "/api/v1.0"
_PATIENCE = 10.0


class JourneyFailed(Exception):
    """A step did not end as it should; the message says which fact was wrong."""


@dataclass
class Traveller:
    """A person with a browser and three accounts, and a program that acts for them."""

    store_url: str
    world: World
    login: Account
    account: Account
    work_account: Account
    browser: Browser = field(default_factory=Browser)

    def open(self, path: str) -> Page:
        """A page of the store."""
        return self.browser.get(self.store_url + path)

    def link(self, provider_id: str, account: Account) -> Page:
        """Link an account as a person does: start page, continue page, sign-in and consent there, and back."""
        start = self.open(f"/link/{provider_id}")
        form = next((form for form in start.forms if urlsplit(form.action).path == f"/link/{provider_id}"), None)
        if form is None:
            raise JourneyFailed(f"the start page has no form ({start.status})")
        onward = self.browser.submit(form)
        check(onward.refresh is not None, f"a page leads on to the provider ({onward.status})")
        return Person(account, self.browser).answer(self.browser.get(str(onward.refresh)))

    def program(self, method: str, path: str) -> Answer:
        """A request of a program that holds the person's access token, a JWT of the login provider."""
        bearer = self.world.login.state.mint_access_token(self.login.subject, CLIENT_ID)
        return call(self.store_url, method, path, bearer=bearer)

    def links(self, provider_id: str) -> list[dict[str, Any]]:
        """The person's links at a provider."""
        answer = self.program("GET", f"{API}/authorizations")
        check(answer.status == 200, f"the links are listed ({answer.status})")
        found: list[dict[str, Any]] = next(item["links"] for item in answer.json() if item["provider"] == provider_id)
        return found


def walk(traveller: Traveller, say: Callable[[str], None]) -> None:
    """Walk all steps, saying each with the time it took. Raises JourneyFailed at the first that goes wrong."""
    for title, step in STEPS:
        begun = time.monotonic()
        try:
            step(traveller)
        except Exception as error:
            say(f"✗ {title}")
            reason = str(error) if isinstance(error, JourneyFailed) else f"{type(error).__name__}: {error}"
            raise JourneyFailed(f"{title}: {reason}") from error
        say(f"✓ {title:<66} {time.monotonic() - begun:5.2f} s")


def check(fact: bool, what: str) -> None:
    """Raise JourneyFailed unless a fact holds; `what` says what was expected."""
    if not fact:
        raise JourneyFailed(f"expected that {what}")


def log_in(me: Traveller) -> None:
    page = Person(me.login, me.browser).answer(me.open("/api/oidc/login"))
    check(page.url == f"{me.store_url}/", f"the login ends at the store's own page ({page.status})")
    who = me.open("/api/whoami").json()
    check(who["id"] == me.login.subject, "the store knows who logged in")


def link_strict(me: Traveller) -> None:
    # Short-lived tokens, so that one ends while we look.
    me.world.providers[STRICT].knobs.set(Fault.EXPIRES_IN, 3)
    page = me.link(STRICT, me.account)
    check(page.url == f"{me.store_url}/", f"linking ends at the store's own page ({page.status})")
    [link] = me.links(STRICT)
    check(link["account"]["subject"] == me.account.subject, "the right account is linked")
    check(link["status"] == "ok" and link["default"], "the link is usable and the default")


def first_token(me: Traveller) -> None:
    provider = me.world.providers[STRICT]
    token = me.open(f"{API}/{STRICT}/token").json()
    who = call(provider.issuer, "GET", "/userinfo", bearer=token["access_token"])
    check(who.status == 200 and who.json()["sub"] == me.account.subject, "the provider takes the token")


def cached_token(me: Traveller) -> None:
    provider = me.world.providers[STRICT]
    before = provider.calls.count("token")
    first, second = (me.open(f"{API}/{STRICT}/token").json() for _ in range(2))
    check(second["access_token"] == first["access_token"] and second["cached"], "the second answer is the same token")
    check(provider.calls.count("token") - before <= 1, "at most one refresh was needed")


def expiry_and_refresh(me: Traveller) -> None:
    provider = me.world.providers[STRICT]
    before, refreshes = me.open(f"{API}/{STRICT}/token").json(), provider.calls.count("token", "refresh_token")
    provider.knobs.clear()
    deadline = time.monotonic() + _PATIENCE
    while (now := me.open(f"{API}/{STRICT}/token").json())["access_token"] == before["access_token"]:
        check(time.monotonic() < deadline, "a token that ends is replaced")
        time.sleep(0.1)
    check(now["expires_in"] > 3000, f"the new token lives its hour, not {now['expires_in']} s")
    check(provider.calls.count("token", "refresh_token") == refreshes + 1, "exactly one refresh was made")
    check(len(provider.state.live_refresh_tokens(me.account.subject)) == 1, "the rotated refresh token is the live one")


def plain_oauth2(me: Traveller) -> None:
    provider = me.world.providers[PLAIN]
    me.link(PLAIN, me.account)
    token = me.open(f"{API}/{PLAIN}/token").json()
    check(token["expires_in"] is None and token["cached"], "the token has no known end and comes from the cache")
    who = call(provider.issuer, "GET", "/user", bearer=token["access_token"])
    check(who.status == 200 and who.json()["login"] == me.account.username, "the provider takes the token")


def several_accounts(me: Traveller) -> None:
    provider = me.world.providers[STRICT]
    page = me.link(STRICT, me.work_account)
    asked = page.form("choice")
    if asked is None:
        raise JourneyFailed(f"the store does not ask about the other account ({page.status})")
    check(len(me.links(STRICT)) == 1, "nothing is linked before the answer")
    me.browser.submit(asked, choice="add")
    links = me.links(STRICT)
    check([link["default"] for link in links] == [True, False], "there are two links and the first stays the default")
    for link, account in zip(links, (me.account, me.work_account), strict=True):
        token = me.program("GET", f"{API}/{STRICT}/token?link={link['id']}").json()
        who = call(provider.issuer, "GET", "/userinfo", bearer=token["access_token"]).json()
        check(who["sub"] == account.subject, f"the token of {account.username}'s link is theirs")


def token_for_a_program(me: Traveller) -> None:
    answer = me.program("GET", f"{API}/{STRICT}/token")
    check(answer.status == 200, f"a program gets the token ({answer.status})")
    check(answer.headers["Cache-Control"] == "no-store", "nobody may keep the answer")
    check(answer.headers["Set-Cookie"] is None, "a program gets no session")
    anonymous = call(me.store_url, "GET", f"{API}/{STRICT}/token")
    check(anonymous.status == 401, "without a token nothing is given out")


def outage(me: Traveller) -> None:
    provider = me.world.providers[SLOW]
    me.link(SLOW, me.account)
    provider.knobs.set(Fault.STATUS, 503, times=1)
    provider.knobs.set(Fault.RETRY_AFTER, 1)
    during = me.program("GET", f"{API}/{SLOW}/token?force=true")
    check(during.status == 503, f"a refresh during an outage is refused for a while ({during.status})")
    check(me.program("GET", f"{API}/{SLOW}/token").status == 200, "the present token is still handed out")
    time.sleep(float(during.headers["Retry-After"]))
    after = me.program("GET", f"{API}/{SLOW}/token?force=true")
    check(after.status == 200 and not after.json()["cached"], "after the outage a fresh token comes")


def revoke(me: Traveller) -> None:
    for provider_id in (STRICT, PLAIN, SLOW):
        answer = me.program("POST", f"{API}/{provider_id}/revoke")
        receipt = answer.headers["X-Upstream-Revocation"]
        check(answer.status == 200 and receipt == "confirmed", f"{provider_id} confirms the revocation, not {receipt}")
        check(no_live_grant(me.world.providers[provider_id], me), f"{provider_id} itself holds no live grant any more")


def no_live_grant(provider: RunningProvider, me: Traveller) -> bool:
    """Whether everything either account ever granted at the provider is revoked."""
    subjects = (me.account.subject, me.work_account.subject)
    return all(grant.revoked for subject in subjects for grant in provider.state.grants(subject))


def unlinked(me: Traveller) -> None:
    answer = me.program("GET", f"{API}/{STRICT}/token")
    check(answer.status == 404 and answer.slug == "not-linked", f"no token comes after unlinking ({answer.status})")
    check(answer.json()["authorize_url"] == f"{me.store_url}/link/{STRICT}", "the answer says where to link again")


STEPS: tuple[tuple[str, Callable[[Traveller], None]], ...] = (
    ("Log in with OpenID Connect", log_in),
    ("Link an account: start page, consent at the provider, back", link_strict),
    ("Get an access token that the provider takes", first_token),
    ("Get it again, from the cache", cached_token),
    ("Let it end: one refresh, the refresh token rotated", expiry_and_refresh),
    ("Link at a plain OAuth 2 provider without refresh tokens", plain_oauth2),
    ("Link a second account at the first provider; one is the default", several_accounts),
    ("Get a token as a program, with a JWT of the login provider", token_for_a_program),
    ("An outage at the slow provider: the link survives", outage),
    ("Unlink everything; each provider confirms the revocation", revoke),
    ("Ask again: not linked, and where to link", unlinked),
)
