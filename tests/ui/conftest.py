"""Chromium for the browser tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from support.browser import ARGUMENTS, DESK, chromium_path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A running Chromium. Without one the tests are skipped."""
    path = chromium_path()
    if path is None:
        pytest.skip("Chromium is missing: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile with JavaScript on a desktop screen in the light scheme."""
    context = chromium.new_context(viewport={"width": DESK["width"], "height": DESK["height"]})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Its first page."""
    return context.new_page()
