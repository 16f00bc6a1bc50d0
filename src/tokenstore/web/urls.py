"""PUBLIC_URL as a value: the only source of our absolute addresses. No request is looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The address people and programs reach the store at, checked by the settings.

    `origin` is scheme, host and port as browsers spell them; `path` is empty or starts with a slash and ends in none.
    """

    origin: str
    path: str

    @classmethod
    def parse(cls, text: str) -> PublicUrl:
        """From the text of PUBLIC_URL, with or without its last slash."""
        scheme, _, rest = text.partition("://")
        host, _, path = rest.partition("/")
        path = path.rstrip("/")
        return cls(origin=f"{scheme}://{host}", path=f"/{path}" if path else "")

    @property
    def scheme(self) -> str:
        """`https` or `http`."""
        return self.origin.partition("://")[0]

    @property
    def host(self) -> str:
        """Host with its port, as in a Host header."""
        return self.origin.partition("://")[2]

    @property
    def is_https(self) -> bool:
        """Whether browsers reach us over TLS."""
        return self.scheme == "https"

    def absolute(self, path: str) -> str:
        """The absolute address of a path of ours that starts with a slash."""
        return f"{self.origin}{self.path}{path}"
