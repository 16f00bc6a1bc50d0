"""Programs that were here a moment ago, recognised without Flask, for what is asked for all the time."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from tokenstore.core.model import Caller, Identity
from tokenstore.identity.bearer import BearerScheme

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class KnownPrograms:
    """Knows the callers whose bearer token is remembered as verified; all others are for `Guards`."""

    def __init__(self, bearer: BearerScheme, disabled: Container[Identity]) -> None:
        self._bearer = bearer
        self._disabled = disabled

    def caller(self, environ: WSGIEnvironment) -> Caller | None:
        """The caller of a request; None: not known, or disabled. Raises StorageUnavailable."""
        found = self._bearer.known(environ.get("HTTP_AUTHORIZATION", ""))
        return None if found is None or found.caller.identity in self._disabled else found.caller
