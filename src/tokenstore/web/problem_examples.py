"""The examples of errors in the API document: every set of members with which an operation may answer an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenstore import errors
from tokenstore.web.openapi import JSON, Callers, Operation
from tokenstore.web.problem_table import Row

_REQUEST_ID = "3f0c8a52-6d1b-4a57-9f2e-0b8f1c7d4e63"
_SINCE = 1795300000
_WRONG = [{"pointer": "min_valid", "detail": "must be whole seconds from 0 to 86400"}]


@dataclass(frozen=True, slots=True)
class Shape:
    """The members of an error besides those that all have. `name` is that of its example, `when` says what sets it off.

    `is_mended_by_linking`: it has an `authorize_url`.
    """

    name: str
    when: str = ""
    members: Mapping[str, Any] = field(default_factory=dict)
    is_mended_by_linking: bool = False

    def example(self, row: Row, status: int, base: str) -> dict[str, Any]:
        """The error as it arrives, with the text of the table in place of the one of an occasion."""
        url = {"authorize_url": f"{base}/link/idp1"} if self.is_mended_by_linking else {}
        return {
            "type": f"{base}/api/errors/{row.slug}",
            "title": row.error.title,
            "status": status,
            "detail": row.when,
            "instance": _REQUEST_ID,
            **url,
            **self.members,
        }

    def title(self, row: Row) -> str:
        """The line by which a reader chooses among examples."""
        return f"{row.error.title} ({self.when})" if self.when else row.error.title


_PLACES_NAMED = Shape("invalid-request", "places named", {"errors": _WRONG})
_AS_A_WHOLE = Shape("invalid-request-as-a-whole", "as a whole")
_OF_THE_LINK = {
    errors.ScopeNotGranted.slug: (
        Shape("scope-not-granted", "for the operator to mend"),
        Shape("scope-not-granted-yet", "for the person to mend", is_mended_by_linking=True),
    ),
    errors.NotLinked.slug: (Shape("not-linked", is_mended_by_linking=True),),
    errors.ReauthorizationRequired.slug: (
        Shape("reauthorization-required", "since an instant", {"since": _SINCE}, is_mended_by_linking=True),
        Shape("reauthorization-required-from-now", "found just now", is_mended_by_linking=True),
    ),
}


def shapes(operation: Operation, row: Row) -> tuple[Shape, ...]:
    """All the shapes in which an operation answers an error."""
    if row.error is not errors.InvalidRequest:
        return _OF_THE_LINK.get(row.slug, (Shape(row.slug),))
    names_places = operation.callers is Callers.ALL
    is_read_whole = not names_places or (operation.body is not None and operation.body.media == JSON)
    return (*((_PLACES_NAMED,) if names_places else ()), *((_AS_A_WHOLE,) if is_read_whole else ()))
