from __future__ import annotations

from support.issuing import EC, OTHER_RSA, RSA, public_keys
from tokenstore.errors import ProviderUnavailable
from tokenstore.providers.cached import Cached
from tokenstore.providers.jwks import KeySet, RemoteKeys, read_key_set


class Publisher:
    """A provider's key set that can change or fail, a clock, and the source that reads it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.keys = read_key_set(public_keys(RSA))
        self.down = False
        self.loads = 0
        self.source = RemoteKeys(Cached(self.load, clock=lambda: self.now))

    def load(self) -> KeySet:
        self.loads += 1
        if self.down:
            raise ProviderUnavailable("down")
        return self.keys


def test_a_new_key_is_found_by_asking_again() -> None:
    publisher = Publisher()
    assert publisher.source.find("RS256", "rsa")
    publisher.keys = read_key_set(public_keys(RSA, EC))
    publisher.now = 31
    assert publisher.source.find("ES256", "ec")
    assert publisher.loads == 2


def test_an_unknown_key_is_not_asked_for_again_so_soon() -> None:
    publisher = Publisher()
    for publisher.now in (0.0, 10.0, 29.0):
        assert not publisher.source.find("ES256", "ec")
    assert publisher.loads == 1


def test_known_keys_go_on_working_while_the_provider_is_down() -> None:
    publisher = Publisher()
    publisher.source.find("RS256", "rsa")
    publisher.down, publisher.now = True, 60
    assert not publisher.source.find("ES256", "ec")
    assert publisher.source.find("RS256", "rsa")


def test_without_a_key_id_only_a_single_fitting_key_is_used() -> None:
    assert len(read_key_set(public_keys(RSA, EC)).find("RS256", None)) == 1
    assert not read_key_set(public_keys(RSA, OTHER_RSA)).find("RS256", None)


def test_a_key_is_not_used_for_an_algorithm_of_another_curve_or_type() -> None:
    keys = read_key_set(public_keys(EC))
    assert not keys.find("ES384", "ec")
    assert not keys.find("RS256", "ec")
    assert keys.find("ES256", "ec")
