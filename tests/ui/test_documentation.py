"""The page that shows the API document, in a real Chromium: under the store's policy, and with a login of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, ViewportSize, expect

from demo.config import Account
from demo.server import RunningProvider
from support.browser import DESK, PHONE, focused, keep_screenshots, sideways, violations
from support.store import Store, StorePerson

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PATH = "/api/v1.0/"
# Of each method and kind of form.
OPERATIONS = ("Tokens-get_token", "Links-begin", "Links-change_link", "Links-delete_link", "Login-log_out")
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
BUTTONS, DIALOG = "#document :is(button, .button)", "#document .dialog-ux"


@pytest.fixture
def complaints(context: BrowserContext) -> list[str]:
    """What the browser complains about, a broken content security policy above all."""
    found: list[str] = []
    context.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    context.on("weberror", lambda error: found.append(str(error.error)))
    return found


@pytest.fixture
def asked(context: BrowserContext) -> list[str]:
    """Every address that the browser asks for."""
    found: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith("data:"):
            found.append(request.url)

    context.on("request", note)
    return found


def open_document(page: Page, store: Store) -> None:
    page.goto(store.url + PATH)
    expect(page.locator(".opblock").first).to_be_visible(timeout=20_000)


def authorize(page: Page, provider: RunningProvider, account: Account) -> None:
    """Press "Authorize", sign in and allow in the window that opens, and close the dialog."""
    page.locator(".auth-wrapper .authorize").click()
    login = page.locator(".auth-container").filter(has_text="authorizationCode")
    with page.expect_popup() as opened:
        login.locator("button.authorize").click()
    window = opened.value
    window.wait_for_url(f"{provider.issuer}/**")
    window.fill("[name=username]", account.username)
    window.fill("[name=password]", account.password)
    window.locator("form button").click()
    with window.expect_event("close"):
        window.locator("button[value=approve]").click()
    expect(login.get_by_text("Logout", exact=True)).to_be_visible()
    login.locator("button.btn-done").click()


def execute(page: Page, operation: str) -> Locator:
    """Try an operation without changing anything of its form; where its real answer is shown."""
    block = page.locator(f"#operations-{operation}")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    return execute_open(block)


def execute_open(block: Locator) -> Locator:
    """The same with an operation whose form is open."""
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table")
    expect(answer).to_be_visible()
    return answer


def take_session(page: Page, store: Store, person: StorePerson) -> None:
    """Put the person's session into the browser of the page."""
    cookies = [
        {"name": name, "value": value, "url": store.url} for name, value in person.browser.cookies(store.url).items()
    ]
    page.context.add_cookies(cookies)  # type: ignore[arg-type]  # a TypedDict, made above


def test_every_operation_is_shown_from_local_files_and_nothing_is_blocked(
    page: Page, store: Store, complaints: list[str], asked: list[str]
) -> None:
    open_document(page, store)

    document = page.request.get(f"{store.url}/api/v1.0/openapi.json").json()
    expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in document["paths"].values()))
    assert complaints == []
    assert [url for url in asked if not url.startswith(store.url)] == []
    keep_screenshots(page, "11-api")


def test_authorize_gets_a_token_with_pkce_and_calls_use_it(
    page: Page, store: Store, person: StorePerson, complaints: list[str]
) -> None:
    login = store.world.login
    open_document(page, store)

    authorize(page, login, person.login)
    answer = execute(page, "Who-whoami")

    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text(person.login.subject)
    sent = dict(login.calls.all("token", "authorization_code")[-1].parameters)
    assert sent["client_id"] == "tokenstore-api"
    assert "code_verifier" in sent
    assert "client_secret" not in sent
    assert complaints == []


def test_a_refusal_at_the_login_provider_is_shown(page: Page, store: Store, person: StorePerson) -> None:
    open_document(page, store)
    page.locator(".auth-wrapper .authorize").click()
    login = page.locator(".auth-container").filter(has_text="authorizationCode")
    with page.expect_popup() as opened:
        login.locator("button.authorize").click()
    window = opened.value
    window.fill("[name=username]", person.login.username)
    window.fill("[name=password]", person.login.password)
    window.locator("form button").click()

    with window.expect_event("close"):
        window.locator("button[value=deny]").click()

    expect(login.locator(".errors")).to_contain_text("The login provider said access_denied.")


def test_an_answer_that_nobody_waits_for_gets_no_token(page: Page, store: Store, context: BrowserContext) -> None:
    open_document(page, store)
    before = store.world.login.calls.count("token")

    window = context.new_page()
    window.goto(f"{store.url}/api/v1.0/docs/redirect_uri?code=stolen&state=guessed")
    expect(window.get_by_role("heading", level=1)).to_have_text("Back to the API page")

    assert window.url == f"{store.url}/api/v1.0/docs/redirect_uri"
    expect(page.locator(".auth-wrapper .authorize.unlocked")).to_be_visible()
    assert store.world.login.calls.count("token") == before


def test_nobody_is_asked_for_the_cookie(page: Page, store: Store) -> None:
    open_document(page, store)

    page.locator(".auth-wrapper .authorize").click()

    expect(page.locator(".auth-container h4")).to_have_text([re.compile("^login"), re.compile("^bearer")])
    keep_screenshots(page, "12-api-authorize")


def test_a_session_is_enough_to_try_calls(page: Page, store: Store, person: StorePerson) -> None:
    person.log_in()
    take_session(page, store, person)
    open_document(page, store)

    answer = execute(page, "Links-list_authorizations")

    expect(answer.locator(".response-col_status").last).to_contain_text("200")


def point_at_all_buttons(page: Page) -> None:
    """From now on they look as if the pointer were on each of them."""
    session = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        session.send(f"{domain}.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    buttons = session.send("DOM.querySelectorAll", {"nodeId": root, "selector": BUTTONS})
    for button in buttons["nodeIds"]:
        session.send("CSS.forcePseudoState", {"nodeId": button, "forcedPseudoClasses": ["hover"]})


def in_both_schemes(page: Page, *, within: str = "html", without: Iterable[str] = ()) -> list[str]:
    """What axe finds in the page, or in parts of it, once the page follows the scheme."""
    found: list[str] = []
    for scheme, dark in (("light", re.compile(r"^((?!dark-mode).)*$")), ("dark", re.compile("dark-mode"))):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        expect(page.locator("html")).to_have_class(dark)
        found += [f"{scheme}: {violation}" for violation in violations(page, within=within, without=without)]
    return found


def open_in(page: Page, store: Store, size: dict[str, int]) -> None:
    page.set_viewport_size(ViewportSize(width=size["width"], height=size["height"]))
    open_document(page, store)


@SIZES
def test_neither_the_page_nor_its_dialog_has_barriers(page: Page, store: Store, size: dict[str, int]) -> None:
    open_in(page, store, size)
    assert in_both_schemes(page) == []

    page.locator(".auth-wrapper .authorize").click()
    expect(page.get_by_role("dialog", name="Available authorizations")).to_be_visible()
    assert in_both_schemes(page, within=DIALOG) == []
    point_at_all_buttons(page)
    assert in_both_schemes(page, within=DIALOG) == []


@pytest.mark.timeout(300)
@SIZES
def test_no_form_and_no_answer_has_barriers(page: Page, store: Store, size: dict[str, int]) -> None:
    open_in(page, store, size)
    first, *others = OPERATIONS
    for operation in OPERATIONS:
        block = page.locator(f"#operations-{operation}")
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
    execute_open(page.locator(f"#operations-{first}"))
    page.locator(".models-control").first.click()

    # Answers look the same everywhere, and each is a thousand words in colours.
    answers = [f"#operations-{operation} .responses-wrapper" for operation in others]
    assert in_both_schemes(page, without=answers) == []
    point_at_all_buttons(page)
    assert in_both_schemes(page, within=BUTTONS) == []


def test_nothing_but_long_lines_scrolls_sideways_on_a_phone(page: Page, store: Store) -> None:
    open_document(page, store)
    for operation in OPERATIONS:
        page.locator(f"#operations-{operation} .opblock-summary-control").click()
        page.locator(f"#operations-{operation}").get_by_role("button", name="Try it out").click()

    assert sideways(page) == 0


def tab_to(page: Page, text: str, most: int = 60) -> None:
    """Press Tab until what has this text is reached; every stop on the way shows that it has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        reached, shown = focused(page)
        assert shown, reached
        if text in reached:
            return
    pytest.fail(f"{text} is not reached with the Tab key")


def test_an_operation_is_tried_with_the_keyboard_alone(page: Page, store: Store, person: StorePerson) -> None:
    person.log_in()
    take_session(page, store, person)
    open_document(page, store)

    tab_to(page, "/api/v1.0/providers")
    page.keyboard.press("Enter")
    for text in ("Try it out", "Execute"):
        tab_to(page, text)
        page.keyboard.press("Enter")

    answer = page.locator("#operations-Links-list_providers .live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    assert "#/Links/list_providers" in page.url


def test_the_dialog_keeps_the_focus_and_gives_it_back(page: Page, store: Store) -> None:
    open_document(page, store)
    tab_to(page, "Authorize")

    page.keyboard.press("Enter")

    expect(page.locator(".close-modal")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('.modal-ux') !== null")
    page.keyboard.press("Tab")
    expect(page.locator(".close-modal")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".modal-ux")).to_have_count(0)
    expect(page.locator(".auth-wrapper .authorize")).to_be_focused()
