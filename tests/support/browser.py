"""What browser tests do with a page: answer a provider, look for barriers, keep a screenshot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Route

from demo.config import Account
from demo.server import RunningProvider

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESK = {"width": 1200, "height": 800}
PHONE = {"width": 360, "height": 740}
_STEPS = 4


def chromium_path() -> str | None:
    """The Chromium to use: named by CHROMIUM, else the one on the path; None if there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def screenshot_directory() -> Path:
    """Where screenshots are kept: SCREENSHOT_DIR, else build/screenshots."""
    directory = Path(os.environ.get("SCREENSHOT_DIR", "build/screenshots"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def answer(page: Page, provider: RunningProvider, account: Account) -> None:
    """Sign in and allow, on the pages of a provider that the browser is at or on its way to, until it is sent back."""
    page.wait_for_url(f"{provider.issuer}/**")
    for _ in range(_STEPS):
        if not page.url.startswith(provider.issuer):
            return
        if page.locator("[name=username]").count():
            page.fill("[name=username]", account.username)
            page.fill("[name=password]", account.password)
            button = page.locator("form button")
        else:
            button = page.locator("button[value=approve]")
        with page.expect_navigation():
            button.click()
    raise AssertionError(f"{account.username} is asked again and again at {provider.issuer}")


def stay(context: BrowserContext, provider: RunningProvider) -> None:
    """From now on the browser does not get to the provider, so that the continue page can be looked at."""

    def no_content(route: Route) -> None:
        route.fulfill(status=204)

    context.route(f"{provider.issuer}/**", no_content)


def barriers(page: Page) -> list[str]:
    """What axe finds wrong with the page in the light and in the dark scheme, as `scheme: rule: element`."""
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {violation}" for violation in violations(page)]
    page.emulate_media(color_scheme="light")
    return found


def violations(page: Page, *, within: str = "html", without: Iterable[str] = ()) -> list[str]:
    """What axe finds wrong with the page as it is, or with the parts that selectors name, as `rule: element`."""
    parts = {"include": [within], "exclude": list(without)}
    found = Axe().run(page, parts).response["violations"]
    return [f"{violation['id']}: {node['html']}" for violation in found for node in violation["nodes"]]


def sideways(page: Page) -> int:
    """By how many pixels a phone would have to scroll the page sideways."""
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    return width


def keep_screenshots(page: Page, name: str) -> None:
    """Saves the page as `name-desk-light.png` and so on, in both sizes and schemes."""
    for size_name, size in (("phone", PHONE), ("desk", DESK)):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=screenshot_directory() / f"{name}-{size_name}-{scheme}.png", full_page=True)


def focused(page: Page) -> tuple[str, bool]:
    """The visible text of the element that has the focus, and whether an outline shows it."""
    text: str = page.evaluate("document.activeElement.innerText.trim()")
    outline: str = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    return text, outline != "none"
