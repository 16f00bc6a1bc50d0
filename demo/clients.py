"""A provider's clients, as Authlib wants to see them. Authlib has no types, hence the ignored base class."""

from __future__ import annotations

import hmac

from authlib.oauth2.rfc6749 import ClientMixin

from demo.config import Client
from demo.faults import provider_state

CLIENT_AUTH = ["client_secret_basic", "client_secret_post"]


class RegisteredClient(ClientMixin):
    """A client as Authlib wants to see it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.client_metadata = {"post_logout_redirect_uris": list(client.post_logout_redirect_uris)}

    def get_client_id(self) -> str:
        return self.client.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scope asked for, None (refused) if any of it is not this client's."""
        asked = (scope or "").split()
        return " ".join(asked) if set(asked) <= set(self.client.scopes) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(self.client.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in self.client.auth_methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token")


def find_client(client_id: str) -> RegisteredClient | None:
    """The client of this id, as Authlib wants it."""
    client = provider_state().client(client_id)
    return None if client is None else RegisteredClient(client)
