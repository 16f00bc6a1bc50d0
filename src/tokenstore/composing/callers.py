"""Who may come in, and how the documentation page lets people in."""

from __future__ import annotations

from tokenstore.composing.adapters import Adapters
from tokenstore.composing.providers import Providers
from tokenstore.config import Loaded
from tokenstore.identity.bearer import BearerScheme
from tokenstore.identity.browser import SessionScheme
from tokenstore.identity.disabled import DisabledUsers
from tokenstore.identity.guards import Guards, Scheme
from tokenstore.identity.known import KnownPrograms
from tokenstore.identity.userinfo import KINDS, ApiKeyScheme, BasicScheme, function_of
from tokenstore.web.documentation import ApiLogin
from tokenstore.web.requests import request_id
from tokenstore.web.urls import PublicUrl


def make_guards(
    loaded: Loaded, public_url: PublicUrl, adapters: Adapters, providers: Providers
) -> tuple[Guards, KnownPrograms]:
    """Programs with a token, key or password, and browsers with a session; and the programs known already."""
    settings = loaded.settings
    issuer = loaded.login.effective_issuer if loaded.login else public_url.origin
    functions = {kind: function_of(value) for kind, value in settings.userinfo_map.items() if kind in KINDS}
    bearer = BearerScheme(providers.callers.verify, settings.oidc_roles_claim)
    programs: list[Scheme] = [bearer, ApiKeyScheme(functions.get("apikey-v1"), issuer)]
    if "basic" in functions:
        programs.insert(0, BasicScheme(functions["basic"], issuer))
    session = SessionScheme(settings.oidc_roles_claim, adapters.logins)
    disabled = DisabledUsers(adapters.people.disabled)
    return Guards(programs, session, request_id, disabled), KnownPrograms(bearer, disabled)


def make_api_login(loaded: Loaded, providers: Providers) -> ApiLogin | None:
    """With whom the documentation page gets tokens, if it does."""
    settings, provider = loaded.settings, loaded.login
    if provider is None or not settings.oidc_swagger_client_id:
        return None
    scopes = ("openid", *filter(None, [settings.oidc_required_scope]))
    return ApiLogin(settings.oidc_swagger_client_id, scopes, lambda: providers.discovery.metadata(provider).endpoints)
