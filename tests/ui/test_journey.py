"""The pages in a real Chromium: from logging in to unlinking, with and without JavaScript, by keyboard and by phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.world import PLAIN, STRICT
from support.browser import answer, barriers, focused, keep_screenshots, sideways, stay
from support.store import StorePerson

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LONGEST_DOUBT = 31


def log_in(page: Page, person: StorePerson) -> None:
    page.goto(person.store.url)
    page.click("text=Log in")
    answer(page, person.store.world.login, person.login)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your accounts")


def link_account(page: Page, person: StorePerson) -> None:
    provider = person.store.providers[STRICT]
    page.click(f"a[href$='/link/{STRICT}']")
    page.click("main button")
    answer(page, provider, person.account)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your accounts")


def expect_account(page: Page, person: StorePerson) -> None:
    expect(page.get_by_role("heading", level=3)).to_contain_text(person.account.email)


def get_token(page: Page) -> str:
    page.get_by_role("button", name="Get token").click()
    return page.get_by_label("Copy the token").input_value()


def is_good(page: Page, person: StorePerson, token: str) -> bool:
    """Whether the provider takes an access token."""
    issuer = person.store.providers[STRICT].issuer
    headers = {"Authorization": f"Bearer {token}"}
    return page.request.get(f"{issuer}/userinfo", headers=headers).status == 200


def unlink(page: Page) -> None:
    page.get_by_role("link", name="Unlink").click()
    page.get_by_role("button", name="Unlink").click()


def test_a_person_logs_in_links_gets_a_token_and_unlinks(page: Page, person: StorePerson) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    log_in(page, person)
    link_account(page, person)
    expect_account(page, person)
    token = get_token(page)
    assert is_good(page, person, token)

    page.click("text=Done")
    unlink(page)

    expect(page.get_by_role("status")).to_contain_text("confirmed that the access has been revoked")
    expect(page.get_by_role("heading", level=3)).to_have_count(0)
    assert not is_good(page, person, token)
    assert complaints == []


def test_linking_by_clicks_ends_with_a_notice_that_tells_the_first_time_from_the_next(
    page: Page, person: StorePerson
) -> None:
    log_in(page, person)

    link_account(page, person)
    expect(page.get_by_role("status")).to_have_text("Demo provider 1 is linked.")
    page.get_by_role("link", name="Link another account").click()
    page.click("main button")
    answer(page, person.store.providers[STRICT], person.account)

    expect(page.get_by_role("status")).to_have_text("Demo provider 1 was already linked; its access is renewed.")


def test_a_provider_without_refresh_is_described_without_one(page: Page, person: StorePerson) -> None:
    log_in(page, person)
    page.click(f"a[href$='/link/{PLAIN}']")
    expect(page.get_by_role("main")).not_to_contain_text("keeps the access alive")
    page.click("main button")
    answer(page, person.store.providers[PLAIN], person.account)

    expect(page.get_by_role("heading", level=3)).to_have_count(1)
    expect(page.get_by_text("Last refresh")).to_have_count(0)
    page.click("summary")
    expect(page.get_by_role("listitem").filter(has_text="as described at Demo forge")).not_to_have_count(0)
    get_token(page)
    expect(page.get_by_role("main")).to_contain_text("until it is revoked")


def test_the_journey_works_without_javascript(chromium: Browser, person: StorePerson) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()

    log_in(page, person)
    link_account(page, person)
    token = get_token(page)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.click("text=Done")
    unlink(page)

    expect(page.get_by_role("status")).to_contain_text("is unlinked")
    assert not is_good(page, person, token)
    context.close()


def test_the_copy_button_puts_the_token_on_the_clipboard(context: BrowserContext, person: StorePerson) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=person.store.url)
    page = context.new_page()
    log_in(page, person)
    link_account(page, person)
    token = get_token(page)

    page.get_by_role("button", name="Copy").click()

    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == token


def test_a_start_page_leads_a_stranger_through_the_login_and_back(page: Page, person: StorePerson) -> None:
    page.goto(f"{person.store.url}/link/{STRICT}?return_url=/?from=elsewhere")
    answer(page, person.store.world.login, person.login)

    expect(page.get_by_role("heading", level=1)).to_contain_text("Link an account at")
    expect(page.locator(".host")).to_have_text(person.store.providers[STRICT].issuer.removeprefix("http://"))
    page.click("main button")
    answer(page, person.store.providers[STRICT], person.account)

    expect(page).to_have_url(f"{person.store.url}/?from=elsewhere")


def test_a_second_account_can_be_chosen_at_the_provider(page: Page, person: StorePerson) -> None:
    log_in(page, person)
    link_account(page, person)

    page.get_by_role("link", name="Link another account").click()
    expect(page.get_by_text("Log in there with the other account.")).to_be_visible()
    keep_screenshots(page, "14-another-account")
    page.click("main button")
    answer(page, person.store.providers[STRICT], person.other_account)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Which account at")
    keep_screenshots(page, "11-which-account")
    assert barriers(page) == []
    assert not sideways(page)
    page.get_by_role("button", name=re.compile("too$")).click()

    expect(page.get_by_role("heading", level=3)).to_have_count(2)
    expect(page.get_by_text("Default", exact=True)).to_have_count(1)


def test_a_link_that_the_provider_ended_is_mended_from_the_error_page(page: Page, person: StorePerson) -> None:
    log_in(page, person)
    link_account(page, person)
    provider = person.store.providers[STRICT]
    for grant in provider.state.grants(person.account.subject):
        provider.state.revoke(grant)
    person.store.let_pass(seconds=2 * provider.config.access_token_lifetime)

    # The provider's no is believed when it comes twice.
    page.get_by_role("button", name="Get token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A fresh token is on its way")
    expect(page.get_by_role("main")).to_contain_text("The provider refused this link once")
    expect(page.get_by_role("link", name="Link the account")).to_have_count(0)
    page.get_by_role("link", name="Go to your accounts").click()
    expect_account(page, person)
    person.store.let_pass(seconds=LONGEST_DOUBT)

    page.get_by_role("button", name="Get token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The account has to be linked again")
    page.get_by_role("link", name="Link the account").click()
    page.click("main button")
    answer(page, provider, person.account)

    expect(page.get_by_role("heading", level=1)).to_have_text("Your accounts")
    assert is_good(page, person, get_token(page))


def test_no_page_has_barriers_and_each_fits_a_phone(context: BrowserContext, page: Page, person: StorePerson) -> None:
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        keep_screenshots(page, name)
        found[name] = barriers(page)
        if wide := sideways(page):
            found[name].append(f"{wide} pixels too wide for a phone")

    store = person.store
    page.goto(store.url)
    look("01-signed-out")
    log_in(page, person)
    look("02-nothing-linked")
    page.click(f"a[href$='/link/{STRICT}']")
    look("03-start")
    page.click("text=Cancel")
    link_account(page, person)
    page.click("summary")
    look("05-linked")
    get_token(page)
    look("06-token")
    page.click("text=Done")
    page.get_by_role("link", name="Unlink").click()
    look("07-unlink")
    page.get_by_role("button", name="Unlink").click()
    look("08-receipt")
    page.goto(f"{store.url}/link/nowhere")
    look("09-error")
    page.goto(f"{store.url}/api/oidc/logout")
    look("10-log-out")
    stay(context, store.providers[STRICT])
    page.goto(f"{store.url}/link/{STRICT}")
    page.click("main button")
    expect(page.get_by_role("link", name="Continue to")).to_be_visible()
    look("04-continue")

    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_tab_key_leads_to_the_main_action_and_shows_where_it_is(page: Page, person: StorePerson) -> None:
    log_in(page, person)

    page.keyboard.press("Tab")
    assert focused(page) == ("Skip to the content", True)
    page.keyboard.press("Enter")
    _tab_to(page, "Link account")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Link an account at")
    _tab_to(page, "Link at")
    page.keyboard.press("Enter")

    page.wait_for_url(f"{person.store.providers[STRICT].issuer}/**")


def _tab_to(page: Page, text: str) -> None:
    for _ in range(10):
        page.keyboard.press("Tab")
        seen, visible = focused(page)
        assert visible, f"the focus on {seen!r} cannot be seen"
        if seen.startswith(text):
            return
    raise AssertionError(f"the tab key does not reach {text!r}")


def test_log_out_ends_the_session_here_and_at_the_login_provider(page: Page, person: StorePerson) -> None:
    log_in(page, person)

    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Link an account once")
    page.click("text=Log in")
    expect(page.get_by_label("Password")).to_be_visible()
