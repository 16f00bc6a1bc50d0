"""What every LinkStore promises about users who are disabled: nothing is read, and no refresh begins or goes on."""

from __future__ import annotations

from datetime import timedelta

from support.harness import ANN, Harness, event, new_link
from tokenstore.core.model import Link, ProviderId

LENGTH = timedelta(seconds=20)


def attached(stores: Harness) -> Link:
    return stores.links.attach(new_link(), event("link.created"))


def test_links_of_a_disabled_user_are_not_there(stores: Harness) -> None:
    attached(stores)
    stores.disable(ANN.identity)
    assert stores.links.read(ANN.identity, ProviderId("idp1"), None, "default") is None
    assert stores.links.standings(ANN.identity) == []


def test_no_refresh_begins_for_a_disabled_user(stores: Harness) -> None:
    link = attached(stores)
    stores.disable(ANN.identity)
    assert stores.links.take_lease(link, "worker", LENGTH) is None


def test_a_refresh_under_way_is_not_prolonged_for_a_disabled_user(stores: Harness) -> None:
    lease = stores.links.take_lease(attached(stores), "worker", LENGTH)
    assert lease is not None
    stores.disable(ANN.identity)
    assert not stores.links.renew_lease(lease, LENGTH)
