"""The API document as a page (Swagger UI, from local files), and where its login window comes back to.

Getting a token there is the page's own doing, as a public client of the login provider: nothing of it passes the store.
"""

from __future__ import annotations

from flask import Blueprint, render_template

from tokenstore.web.documentation import REDIRECT_PATH, ApiLogin
from tokenstore.web.headers import allow_connecting
from tokenstore.web.urls import PublicUrl


def create_blueprint(public_url: PublicUrl, login: ApiLogin | None) -> Blueprint:
    """Both pages. login: with whom the page gets tokens, if with anybody."""
    blueprint = Blueprint("documentation", __name__)

    @blueprint.get("/api/v1.0/")
    def page() -> str:
        """The document, to read and to try."""
        endpoints = login.endpoints() if login else None
        if endpoints:
            allow_connecting(endpoints.token_origin)
        return render_template(
            "documentation.html",
            document_url=public_url.absolute("/api/v1.0/openapi.json"),
            redirect_url=public_url.absolute(REDIRECT_PATH),
            client_id=login.client_id if login and endpoints else "",
            scopes=" ".join(login.scopes) if login else "",
        )

    @blueprint.get(REDIRECT_PATH)
    def come_back() -> str:
        """Hands the login provider's answer to the page that opened this window."""
        return render_template("documentation_return.html")

    return blueprint
