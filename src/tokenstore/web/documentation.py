"""How a person gets an access token on the documentation page: a public client of the login provider, with PKCE."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tokenstore.core.model import Endpoints
from tokenstore.errors import TokenStoreError

log = logging.getLogger(__name__)

REDIRECT_PATH = "/api/v1.0/docs/redirect_uri"
"""Where the login provider sends the documentation page's window back to; to be registered there."""


@dataclass(frozen=True, slots=True)
class LoginEndpoints:
    """Where people log in and where a code becomes a token."""

    authorize: str
    token: str

    @property
    def token_origin(self) -> str:
        """The origin that the page has to call."""
        place = urlsplit(self.token)
        return f"{place.scheme}://{place.netloc}"


@dataclass(frozen=True, slots=True)
class ApiLogin:
    """The client. `find` looks the endpoints up and raises what the provider client raises."""

    client_id: str
    scopes: tuple[str, ...]
    find: Callable[[], Endpoints]

    def endpoints(self) -> LoginEndpoints | None:
        """Both endpoints; None where the login provider does not tell them at present."""
        try:
            found = self.find()
        except TokenStoreError as error:
            log.warning("no login on the documentation page", extra={"because": error.slug})
            return None
        return LoginEndpoints(found.authorize, found.token) if found.authorize and found.token else None
