"""The configured token providers by id. Looking up is a dictionary lookup and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenstore.core.model import Provider
from tokenstore.errors import UnknownProvider


class Registry:
    """The token providers in the order of TOKEN_PROVIDERS; the login provider is never among them."""

    __slots__ = ("_providers",)

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers: dict[str, Provider] = {provider.id: provider for provider in providers}

    def get(self, text: str) -> Provider:
        """The provider of exactly this id. Raises UnknownProvider."""
        provider = self.find(text)
        if provider is None:
            raise UnknownProvider(
                "There is no provider of that name here. The list of providers shows which there are."
            )
        return provider

    def find(self, text: str) -> Provider | None:
        """The provider of exactly this id, None if it is not offered."""
        return self._providers.get(text)

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers.values())
