"""A small browser without a window: keeps cookies, follows redirects, reads links and fills in forms.

It knows no JavaScript and speaks http to loopback only, and https where it is told whom to trust. Cookies are kept by
host and port, so that servers on different ports of one host do not see each other's.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from typing_extensions import override

_REDIRECTS = {301, 302, 303}


@dataclass(slots=True)
class Form:
    """A form as the page offered it: where it goes, its fields with their values, its named buttons."""

    page_url: str
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer. `text` is decoded as UTF-8; header names are compared without regard to case."""

    url: str
    status: int
    headers: Message
    text: str

    @property
    def location(self) -> str | None:
        """Where a redirect that was not followed leads, as a full URL."""
        target = self.headers["Location"]
        return None if target is None else urljoin(self.url, target)

    @property
    def forms(self) -> list[Form]:
        """The forms of the page, in order."""
        return self._read().forms

    @property
    def links(self) -> list[tuple[str, str]]:
        """The links of the page as (full URL, text), in order."""
        return self._read().links

    @property
    def refresh(self) -> str | None:
        """Where a meta refresh leads, as a full URL."""
        return self._read().refresh

    def form(self, *names: str) -> Form | None:
        """The first form that has fields or buttons of all these names."""
        for form in self.forms:
            if set(names) <= form.fields.keys() | {name for name, _ in form.buttons}:
                return form
        return None

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.text)

    def _read(self) -> _Reader:
        reader = _Reader(self.url)
        reader.feed(self.text)
        reader.close()
        return reader


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.refresh: str | None = None
        self._form: Form | None = None
        self._select: str | None = None
        self._href: str | None = None
        self._text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self.url, given.get("action") or self.url)
            self._form = Form(self.url, action, given.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            self._href, self._text = urljoin(self.url, given["href"]), ""
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            _, _, target = given.get("content", "").partition("=")
            self.refresh = urljoin(self.url, target.strip().strip("'\""))
        elif self._form is not None:
            self._control(self._form, tag, given)

    def _control(self, form: Form, tag: str, given: dict[str, str]) -> None:
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "")
        if tag == "option":
            if self._select and ("selected" in given or self._select not in form.fields):
                form.fields[self._select] = value
        elif tag == "select":
            self._select = name
        elif not name or "disabled" in given:
            return
        elif tag == "button" or kind == "submit":
            form.buttons.append((name, value))
        elif tag == "textarea" or (tag == "input" and (kind not in {"checkbox", "radio"} or "checked" in given)):
            form.fields[name] = value

    @override
    def handle_data(self, data: str) -> None:
        self._text += data

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "a" and self._href is not None:
            self.links.append((self._href, " ".join(self._text.split())))
            self._href = None


class Browser:
    """Gets pages and submits forms. `timeout` is in seconds per request, `hops` limits redirects. Not for threads.

    tls      whom to trust; without it https is not spoken
    source   the address on this machine from which it asks
    headers  sent with every request besides its own
    """

    def __init__(
        self,
        *,
        timeout: float = 15,
        hops: int = 20,
        tls: ssl.SSLContext | None = None,
        source: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._timeout = timeout
        self._hops = hops
        self._tls = tls
        self._source = (source, 0)
        self._headers = dict(headers or {})
        self._jars: dict[str, dict[str, tuple[str, str]]] = {}

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, within: str | None = None) -> Page:
        """The page at a URL, behind all redirects; with `within` (an origin) only behind those that stay there.

        Raises ValueError for anything but http, RuntimeError when redirects do not end.
        """
        return self._visit("GET", url, None, {"Sec-Fetch-Site": "none", **(headers or {})}, within)

    def submit(self, form: Form, *, within: str | None = None, **fields: str) -> Page:
        """Send a form with these fields filled in, or one of its buttons pressed; redirects as in `get`.

        A button that is the only named one is pressed by itself. Raises ValueError for a field the form does not have.
        """
        names = {name for name, _ in form.buttons}
        strange = fields.keys() - form.fields.keys() - names
        if strange:
            raise ValueError(f"the form has no {', '.join(sorted(strange))}")
        pressed = dict(form.buttons) if len(form.buttons) == 1 else {}
        body = urlencode({**form.fields, **pressed, **fields})
        if form.method != "post":
            return self.get(f"{form.action.partition('?')[0]}?{body}", within=within)
        same = origin_of(form.action) == origin_of(form.page_url)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": origin_of(form.page_url),
            "Sec-Fetch-Site": "same-origin" if same else "cross-site",
        }
        return self._visit("POST", form.action, body, headers, within)

    def cookies(self, url: str) -> dict[str, str]:
        """The cookies this browser would send to a URL."""
        path = urlsplit(url).path or "/"
        jar = self._jars.get(urlsplit(url).netloc, {})
        return {name: value for name, (value, below) in jar.items() if _lies_below(path, below)}

    def _visit(self, method: str, url: str, body: str | None, headers: Mapping[str, str], within: str | None) -> Page:
        page = self._send(method, url, body, headers)
        for _ in range(self._hops):
            target = page.location
            if page.status not in _REDIRECTS or target is None:
                return page
            if within is not None and origin_of(target) != within:
                return page
            page = self._send("GET", target, None, {"Sec-Fetch-Site": "cross-site"})
        raise RuntimeError(f"more than {self._hops} redirects, the last one to {origin_of(page.url)}")

    def _send(self, method: str, url: str, body: str | None, headers: Mapping[str, str]) -> Page:
        parts = urlsplit(url)
        spoken = ("http",) if self._tls is None else ("http", "https")
        if parts.scheme not in spoken or parts.hostname is None:
            raise ValueError(f"only {' and '.join(spoken)} is spoken here, not {parts.scheme or 'that'}")
        own = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        sent = {**own, **self._headers, **headers}
        cookies = self.cookies(url)
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection = self._connection(parts.scheme, parts.hostname, parts.port)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            page = Page(url, response.status, response.headers, response.read().decode("utf-8", "replace"))
        finally:
            connection.close()
        self._keep(parts.netloc, page.headers)
        return page

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, self._timeout, self._source)
        return http.client.HTTPSConnection(
            host, port, timeout=self._timeout, source_address=self._source, context=self._tls
        )

    def _keep(self, place: str, headers: Message) -> None:
        jar = self._jars.setdefault(place, {})
        for line in headers.get_all("Set-Cookie", []):
            for name, cookie in SimpleCookie(line).items():
                if cookie["max-age"] == "0" or "1970" in cookie["expires"]:
                    jar.pop(name, None)
                else:
                    jar[name] = (cookie.coded_value, cookie["path"] or "/")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as the Origin header writes them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _lies_below(path: str, below: str) -> bool:
    """Path match of RFC 6265 section 5.1.4."""
    return path == below or path.startswith(below if below.endswith("/") else f"{below}/")
