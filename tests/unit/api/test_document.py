"""The document while another request makes it anew."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from tokenstore.api.document import create_blueprint
from tokenstore.core.model import Endpoints
from tokenstore.web.documentation import ApiLogin
from tokenstore.web.urls import PublicUrl

PATH = "/api/v1.0/openapi.json"


class Crossed(str):
    """An address at which something happens when it is looked up: the last of `happens`, which then is over."""

    __slots__ = ("happens",)
    happens: list[Callable[[], object]]

    def __hash__(self) -> int:
        if self.happens:
            self.happens.pop()()
        return super().__hash__()


def test_a_document_that_another_request_replaces_meanwhile_is_still_answered() -> None:
    first = Crossed("https://a.example")
    first.happens = []
    now = [Endpoints(first, "https://a.example/token")]
    app = Flask("test")
    login = ApiLogin("page", ("openid",), lambda: now[0])
    app.register_blueprint(create_blueprint(PublicUrl.parse("https://tokens.example.org"), login, (), legacy=False))

    def other() -> None:
        now[0] = Endpoints("https://b.example", "https://b.example/token")
        assert app.test_client().get(PATH).status_code == 200

    before = app.test_client().get(PATH)
    first.happens = [other, lambda: None]
    after = app.test_client().get(PATH)

    assert (after.status_code, after.data) == (200, before.data)
