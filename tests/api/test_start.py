"""The store starts and serves whatever its providers do."""

from __future__ import annotations

from pathlib import Path

from demo.address import Address
from demo.client import call
from demo.knobs import Fault
from support.local_store import serving_locally
from support.store import API, local_store
from support.waiting import eventually
from tokenstore.store.tables import link

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


def test_a_provider_whose_metadata_cannot_be_had_at_a_refresh_harms_no_link(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        person, address = store.person(), Address()
        person.link("slow")
        store.let_pass(4000)
        store.providers["slow"].knobs.set(Fault.STATUS, 503, fail_at=["discovery"])
        # Another process on the same database, which knows nothing of the provider yet.
        url = address.url
        with serving_locally(address, {**store.settings, "PUBLIC_URL": url}):

            def told() -> str | None:
                return call(url, "GET", f"{API}/slow/token", bearer=person.bearer()).slug

            eventually(lambda: told() == "provider-unavailable", "the end of the flight")

        [row] = store.rows(link)
        assert (row["state"], row["lease_owner"]) == ("active", None)
        store.let_pass(10)
        assert person.token("slow").status == 200
