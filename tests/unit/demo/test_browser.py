"""The scripted browser reads pages and keeps cookies as a real one does, as far as the demo needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typing_extensions import override

from demo.browser import Browser, Page

PAGE = """<!doctype html><meta http-equiv="refresh" content="0; url=/next?a=1&amp;b=2">
<a href="/next">Go <b>on</b></a>
<form method="post" action="save?x=1"><input type=hidden name=csrf value="t&amp;t"><input name=title>
<input type=checkbox name=off><input type=checkbox name=on value=yes checked><textarea name=note></textarea>
<select name=size><option value=s>S<option value=m selected>M</select>
<button name=action value=keep>Keep</button><button name=action value=drop>Drop</button></form>
<form action="/search"><input name=q><button name=go value=1>Search</button></form>"""


def page() -> Page:
    return Page("http://127.0.0.1:1/folder/page", 200, Message(), PAGE)


class Echo(BaseHTTPRequestHandler):
    """Sets and deletes cookies, redirects, and otherwise tells what it was sent."""

    def do_GET(self) -> None:  # the name http.server asks for
        if self.path == "/login":
            self._answer(303, {"Location": "/echo", "Set-Cookie": "sid=1; Path=/; HttpOnly"})
        elif self.path == "/logout":
            self._answer(200, {"Set-Cookie": "sid=; Max-Age=0; Path=/"})
        elif self.path == "/loop":
            self._answer(302, {"Location": "/loop"})
        else:
            self._answer(200, {})

    def do_POST(self) -> None:
        self._answer(200, {})

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        told = "\n".join([f"{self.command} {self.path}", *(f"{k}: {v}" for k, v in self.headers.items()), sent])
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(told.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told.encode())

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def base() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_form_is_read_with_its_values_and_buttons() -> None:
    form = page().form("csrf", "title")

    assert form is not None
    assert (form.method, form.action) == ("post", "http://127.0.0.1:1/folder/save?x=1")
    assert form.fields == {"csrf": "t&t", "title": "", "on": "yes", "note": "", "size": "m"}
    assert form.buttons == [("action", "keep"), ("action", "drop")]


def test_links_and_refresh_are_full_urls() -> None:
    assert page().links == [("http://127.0.0.1:1/next", "Go on")]
    assert page().refresh == "http://127.0.0.1:1/next?a=1&b=2"


def test_unknown_field_is_refused_before_anything_is_sent() -> None:
    form = page().forms[0]

    with pytest.raises(ValueError, match="the form has no colour"):
        Browser().submit(form, colour="red")


def test_cookie_is_kept_over_a_redirect_and_forgotten_when_deleted(base: str) -> None:
    browser = Browser()

    after_login = browser.get(f"{base}/login")
    browser.get(f"{base}/logout")

    assert after_login.url == f"{base}/echo"
    assert "Cookie: sid=1" in after_login.text
    assert browser.cookies(base) == {}


def test_cookie_is_not_sent_to_another_port(base: str) -> None:
    browser = Browser()
    browser.get(f"{base}/login")

    assert browser.cookies("http://127.0.0.1:9/") == {}


def test_posted_form_carries_its_origin_and_the_pressed_button(base: str) -> None:
    form = Page(f"{base}/folder/page", 200, Message(), PAGE).forms[0]

    told = Browser().submit(form, title="a b", action="drop").text

    assert told.startswith("POST /folder/save?x=1\n")
    assert f"Origin: {base}" in told
    assert "Sec-Fetch-Site: same-origin" in told
    assert told.endswith("csrf=t%26t&title=a+b&on=yes&note=&size=m&action=drop")


def test_get_form_sends_its_only_button_in_the_query(base: str) -> None:
    form = Page(f"{base}/page", 200, Message(), PAGE).forms[1]

    assert Browser().submit(form, q="x").text.startswith("GET /search?q=x&go=1\n")


def test_redirects_that_do_not_end_are_an_error(base: str) -> None:
    with pytest.raises(RuntimeError, match="more than 3 redirects"):
        Browser(hops=3).get(f"{base}/loop")


def test_anything_but_http_is_refused() -> None:
    with pytest.raises(ValueError, match="only http"):
        Browser().get("file:///etc/passwd")
