"""The page of sessions in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import answer, barriers, keep_screenshots, sideways
from support.store import StorePerson

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def log_in(page: Page, person: StorePerson) -> None:
    page.goto(person.store.url)
    page.click("text=Log in")
    answer(page, person.store.world.login, person.login)


def test_a_person_signs_out_elsewhere_and_everywhere(page: Page, chromium: Browser, person: StorePerson) -> None:
    elsewhere = chromium.new_context().new_page()
    log_in(elsewhere, person)
    log_in(page, person)

    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", level=2)).to_have_count(2)
    expect(page.get_by_text("This browser")).to_have_count(1)
    assert barriers(page) == []
    assert sideways(page) == 0
    keep_screenshots(page, "sessions")

    other = page.get_by_role("article").filter(has_not_text="This browser")
    other.get_by_role("button").click()
    expect(page.get_by_role("heading", level=2)).to_have_count(1)
    elsewhere.reload()
    expect(elsewhere.get_by_role("link", name="Log in")).to_be_visible()

    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    elsewhere.context.close()
