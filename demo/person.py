"""A scripted person at a provider: signs in, allows or refuses, with real requests and no screen."""

from __future__ import annotations

from typing import Literal

from demo.browser import Browser, Page, origin_of
from demo.config import Account

_STEPS = 8


class Person:
    """Somebody with an account at a provider and a browser, which may be shared with other accounts of theirs."""

    def __init__(self, account: Account, browser: Browser | None = None) -> None:
        self.account = account
        self.browser = browser or Browser()

    def approve(self, authorization_url: str) -> str:
        """Allow what an authorization URL asks for; returns the callback URL without visiting it.

        Raises RuntimeError if the provider shows a page that is neither sign-in nor consent.
        """
        return self._decide(authorization_url, "approve")

    def deny(self, authorization_url: str) -> str:
        """Refuse what an authorization URL asks for; returns the callback URL without visiting it.

        Who consented before is asked again only with `prompt=consent`.
        """
        return self._decide(authorization_url, "deny")

    def answer(
        self, page: Page, decision: Literal["approve", "deny"] = "approve", *, within: str | None = None
    ) -> Page:
        """Answer the sign-in and consent pages of a provider from this one on; returns the first other page.

        With `within` (an origin) the last page is the redirect that leads away from it.
        """
        for _ in range(_STEPS):
            sign_in, consent = page.form("username", "password"), page.form("decision")
            if sign_in is not None:
                fields = {"username": self.account.username, "password": self.account.password}
                page = self.browser.submit(sign_in, within=within, **fields)
            elif consent is not None:
                known = f"<strong>{self.account.username}</strong>" in page.text
                page = self.browser.submit(consent, within=within, decision=decision if known else "switch")
            else:
                return page
        raise RuntimeError(f"{self.account.username} is asked again and again at {origin_of(page.url)}")

    def _decide(self, authorization_url: str, decision: Literal["approve", "deny"]) -> str:
        provider = origin_of(authorization_url)
        page = self.browser.get(authorization_url, within=provider)
        page = self.answer(page, decision, within=provider)
        if page.location is None:
            raise RuntimeError(f"{provider} answered {page.status} without a way back")
        return page.location
