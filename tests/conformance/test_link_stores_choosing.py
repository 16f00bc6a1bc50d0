"""What every LinkStore promises about names of links and the choice of the default one."""

from __future__ import annotations

from dataclasses import replace

from support.harness import ANN, BOB, Harness, account, event, in_parallel, new_link, provider, unknown_link
from tokenstore.core.model import Chosen, Identity, Link, LinkId


def attached(stores: Harness, subject: str = "ann-at-idp", provider_id: str = "idp1") -> Link:
    at = provider(provider_id)
    return stores.links.attach(new_link(at=at, who=account(subject, provider_id)), event("link.created"))


def name(stores: Harness, link: Link | LinkId, label: str, user: Identity = ANN.identity) -> Link | None:
    """Name a link; an empty label takes the name away."""
    return choose(stores, link, Chosen(label=label), user)


def make_default(stores: Harness, link: Link | LinkId, user: Identity = ANN.identity) -> Link | None:
    return choose(stores, link, Chosen(default=True), user)


def choose(stores: Harness, link: Link | LinkId, chosen: Chosen, user: Identity = ANN.identity) -> Link | None:
    link_id = link.id if isinstance(link, Link) else link
    return stores.links.choose(user, link_id, chosen, event("link.named"), event("link.default"))


def defaults(stores: Harness) -> set[LinkId]:
    return {one.link.id for one in stores.links.standings(ANN.identity) if one.link.is_default}


def test_a_link_gets_a_name_and_loses_it(stores: Harness) -> None:
    link = attached(stores)
    named = name(stores, link, "Work")
    unnamed = name(stores, link, "")
    assert named is not None
    assert unnamed is not None
    assert (named.label, unnamed.label) == ("Work", None)
    assert stores.events()[1:] == [("link.named", "idp1", link.id)] * 2


def test_naming_leaves_the_version_alone(stores: Harness) -> None:
    link = attached(stores)
    named = name(stores, link, "Work")
    assert named is not None
    assert named.version == link.version


def test_a_name_survives_unlinking_and_linking_again(stores: Harness) -> None:
    link = attached(stores)
    name(stores, link, "Work")
    stores.links.unlink(ANN.identity, None, link.id, event())
    assert attached(stores).label == "Work"


def test_the_chosen_default_takes_the_place_of_the_other_at_its_provider(stores: Harness) -> None:
    first, second, elsewhere = attached(stores), attached(stores, "ann-2"), attached(stores, provider_id="idp2")
    assert defaults(stores) == {first.id, elsewhere.id}
    chosen = make_default(stores, second)
    assert chosen is not None
    assert chosen.is_default
    assert defaults(stores) == {second.id, elsewhere.id}
    assert stores.events()[-1] == ("link.default", "idp1", second.id)


def test_both_are_chosen_at_once(stores: Harness) -> None:
    first, second = attached(stores), attached(stores, "ann-2")
    chosen = choose(stores, second, Chosen("Work", default=True))
    assert chosen is not None
    assert (chosen.label, chosen.is_default, defaults(stores)) == ("Work", True, {second.id})
    assert [action for action, _, _ in stores.events()[-2:]] == ["link.named", "link.default"]
    choose(stores, first, Chosen(default=True))
    assert choose(stores, second, Chosen()) == replace(chosen, is_default=False)


def test_what_changes_nothing_is_no_event(stores: Harness) -> None:
    link = attached(stores)
    name(stores, link, "Work")
    before = stores.events()
    name(stores, link, "Work")
    make_default(stores, link)
    assert stores.events() == before


def test_links_of_others_and_links_that_are_gone_cannot_be_changed(stores: Harness) -> None:
    link, gone = attached(stores), attached(stores, "ann-2")
    stores.links.unlink(ANN.identity, None, gone.id, event())
    stores.users.remember(BOB)
    before = stores.events()
    for user, link_id in ((BOB, link.id), (ANN, gone.id), (ANN, unknown_link())):
        assert name(stores, link_id, "Mine", user.identity) is None
        assert make_default(stores, link_id, user.identity) is None
    assert stores.events() == before


def test_choices_at_the_same_time_end_with_one_default(stores: Harness) -> None:
    links = [attached(stores, f"ann-{number}") for number in range(4)]
    chosen = in_parallel(4, lambda number: make_default(stores, links[number]))
    assert all(one is not None and one.is_default for one in chosen)
    assert len(defaults(stores)) == 1
