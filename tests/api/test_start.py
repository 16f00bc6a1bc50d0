"""The store starts and serves whatever its providers do."""

from __future__ import annotations

from pathlib import Path

from support.store import API, local_store

NOBODY = "http://127.0.0.1:9/.well-known/openid-configuration"


def test_a_provider_that_is_down_at_start_does_not_stop_the_store(tmp_path: Path) -> None:
    with local_store(tmp_path, IDP1_DISCOVERY_URL=NOBODY) as store:
        person = store.person()
        person.link("slow")

        assert store.call("GET", "/readyz").status == 200
        assert person.token("slow").status == 200
        assert person.authorization("idp1")["status"] == "not_linked"


def test_a_provider_that_is_down_is_told_to_who_wants_to_link(tmp_path: Path) -> None:
    with local_store(tmp_path, IDP1_DISCOVERY_URL=NOBODY) as store:
        answer = store.person().call("POST", f"{API}/idp1/authorize")

        assert (answer.status, answer.slug) == (503, "provider-unavailable")
        assert answer.headers["Retry-After"]


def test_a_login_provider_that_is_down_at_start_does_not_stop_the_store(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        store.world.login.stop()

        login = store.call("GET", "/api/oidc/login")

        assert store.call("GET", "/readyz").status == 200
        assert (login.status, login.slug) == (503, "provider-unavailable")
        assert store.call("GET", "/api/whoami", bearer="a.b.c").status in {401, 503}
