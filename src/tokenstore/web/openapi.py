"""What the API document is made of: operations, declared beside the views.

Knows no route: which operations there are is `api`'s business, and `web.openapi_builder` makes OpenAPI 3.1 from them.
Nothing here runs while a request is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from tokenstore import errors
from tokenstore.web.problem_table import BY_SLUG, Row
from tokenstore.web.problems import BROWSER_STOPS

BASE = "https://tokens.example.org"
"""Where the store of the examples is."""

JSON, PAGE = "application/json", "text/html"


class Callers(StrEnum):
    """Who may call an operation: anybody; programs and people; people in a browser alone."""

    ANYBODY = "anybody"
    ALL = "all"
    BROWSER = "browser"


def meaning(text: str, **schema: Any) -> msgspec.Meta:
    """What a member of an answer means, with further members of its JSON schema."""
    return msgspec.Meta(description=text, extra_json_schema=schema or None)


class FieldProblemJson(TypedDict):
    """One thing wrong with a request."""

    pointer: Annotated[str, meaning("The parameter or member")]
    detail: Annotated[str, meaning("What would be right")]


class ProblemJson(TypedDict):
    """An error (RFC 9457)."""

    type: Annotated[str, meaning("Address that ends in the name of the error, which programs compare", format="uri")]
    title: str
    status: int
    detail: Annotated[str, meaning("What happened and what to do next; never a secret")]
    instance: Annotated[str, meaning("The request id, also in the header X-Request-Id")]
    authorize_url: NotRequired[Annotated[str, meaning("Where a person mends it with a click", format="uri")]]
    since: NotRequired[Annotated[int, meaning("When a link stopped working, in epoch seconds")]]
    errors: NotRequired[list[FieldProblemJson]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation; `schema` is JSON schema. Those of the path are required.

    `may_be_empty`: an empty one is taken as none.
    """

    name: str
    where: Literal["path", "query"]
    meaning: str
    schema: Mapping[str, Any]
    example: object = None
    may_be_empty: bool = False

    def described(self) -> dict[str, Any]:
        """As the document has it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.where == "path",
            "description": self.meaning,
            "schema": dict(self.schema),
            **({} if self.example is None else {"example": self.example}),
            **({"allowEmptyValue": True} if self.may_be_empty else {}),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error. `body` is a type of `api`, None: there is none. `example` is what a test gets."""

    meaning: str
    body: Any = None
    example: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON


@dataclass(frozen=True, slots=True)
class Body:
    """An object that a request may carry, as JSON or as a form. `closed`: with no members but those described."""

    type: Any
    example: Mapping[str, Any]
    media: str = JSON
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `problems` are errors of its own, besides those that go with its callers."""

    name: str
    method: Literal["get", "post", "patch", "delete"]
    path: str
    summary: str
    tag: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    problems: tuple[type[errors.TokenStoreError], ...] = ()
    callers: Callers = Callers.ALL
    reads_storage: bool = True

    def all_problems(self) -> tuple[Row, ...]:
        """Every error it may answer with, in the order of the table."""
        slugs = {each.slug for each in self.problems}
        if self.reads_storage:
            slugs.add(errors.StorageUnavailable.slug)
        if self.callers is Callers.ALL:
            slugs |= {errors.Unauthenticated.slug, errors.BadCredentials.slug, errors.PolicyDenied.slug}
            # To verify a program's token the login provider's keys are needed.
            slugs |= {errors.ProviderUnavailable.slug, errors.ProviderMisconfigured.slug}
        if self.callers is not Callers.ANYBODY:  # a session is sealed
            slugs.add(errors.KeyUnavailable.slug)
        if self.callers is not Callers.ANYBODY and self.method != "get":
            slugs.add(errors.CsrfFailed.slug)
        return tuple(row for row in BY_SLUG.values() if row.slug in slugs)

    @property
    def is_for_old_clients(self) -> bool:
        """Whether LEGACY_STATUS_CODES changes its answers."""
        return self.path == "/api/whoami" or self.path.startswith("/api/v1.0/")

    @property
    def has_pages(self) -> bool:
        """Whether its errors are pages where a browser asks for one."""
        return self.path.rpartition("/")[2] in BROWSER_STOPS
