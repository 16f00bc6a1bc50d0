"""What every LinkStore promises about names of links and the choice of the default one."""

from __future__ import annotations

from support.harness import ANN, BOB, Harness, account, event, in_parallel, new_link, provider, unknown_link
from tokenstore.core.model import Link, LinkId


def attached(stores: Harness, subject: str = "ann-at-idp", provider_id: str = "idp1") -> Link:
    at = provider(provider_id)
    return stores.links.attach(new_link(at=at, who=account(subject, provider_id)), event("link.created"))


def defaults(stores: Harness) -> set[LinkId]:
    return {one.link.id for one in stores.links.standings(ANN.identity) if one.link.is_default}


def test_a_link_gets_a_name_and_loses_it(stores: Harness) -> None:
    link = attached(stores)
    named = stores.links.name(ANN.identity, link.id, "Work", event("link.named"))
    unnamed = stores.links.name(ANN.identity, link.id, None, event("link.named"))
    assert named is not None
    assert unnamed is not None
    assert (named.label, unnamed.label) == ("Work", None)
    assert stores.events()[1:] == [("link.named", "idp1", link.id)] * 2


def test_naming_leaves_the_version_alone(stores: Harness) -> None:
    link = attached(stores)
    named = stores.links.name(ANN.identity, link.id, "Work", event())
    assert named is not None
    assert named.version == link.version


def test_a_name_survives_unlinking_and_linking_again(stores: Harness) -> None:
    link = attached(stores)
    stores.links.name(ANN.identity, link.id, "Work", event())
    stores.links.unlink(ANN.identity, None, link.id, event())
    assert attached(stores).label == "Work"


def test_the_chosen_default_takes_the_place_of_the_other_at_its_provider(stores: Harness) -> None:
    first, second, elsewhere = attached(stores), attached(stores, "ann-2"), attached(stores, provider_id="idp2")
    assert defaults(stores) == {first.id, elsewhere.id}
    chosen = stores.links.make_default(ANN.identity, second.id, event("link.default"))
    assert chosen is not None
    assert chosen.is_default
    assert defaults(stores) == {second.id, elsewhere.id}
    assert stores.events()[-1] == ("link.default", "idp1", second.id)


def test_what_changes_nothing_is_no_event(stores: Harness) -> None:
    link = attached(stores)
    stores.links.name(ANN.identity, link.id, "Work", event())
    before = stores.events()
    stores.links.name(ANN.identity, link.id, "Work", event())
    stores.links.make_default(ANN.identity, link.id, event())
    assert stores.events() == before


def test_links_of_others_and_links_that_are_gone_cannot_be_changed(stores: Harness) -> None:
    link, gone = attached(stores), attached(stores, "ann-2")
    stores.links.unlink(ANN.identity, None, gone.id, event())
    stores.users.remember(BOB)
    before = stores.events()
    for user, link_id in ((BOB, link.id), (ANN, gone.id), (ANN, unknown_link())):
        assert stores.links.name(user.identity, link_id, "Mine", event()) is None
        assert stores.links.make_default(user.identity, link_id, event()) is None
    assert stores.events() == before


def test_choices_at_the_same_time_end_with_one_default(stores: Harness) -> None:
    links = [attached(stores, f"ann-{number}") for number in range(4)]
    chosen = in_parallel(4, lambda number: stores.links.make_default(ANN.identity, links[number].id, event()))
    assert all(one is not None and one.is_default for one in chosen)
    assert len(defaults(stores)) == 1
