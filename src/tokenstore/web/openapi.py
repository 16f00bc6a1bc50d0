"""What the API document is made of: operations declared beside the views, and OpenAPI 3.1 made from them.

Knows no route: which operations there are is `api`'s business. Nothing here runs while a request is answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from tokenstore import errors
from tokenstore.web.problem_table import BY_SLUG, Row

BASE = "https://tokens.example.org"
"""Where the store of the examples is."""

_REF = "#/components/schemas/{name}"
_PLACE = re.compile(r"\{(\w+)\}")
_WAIT = {"description": "Seconds after which to ask again", "schema": {"type": "integer", "minimum": 1}}
_MENDED_BY_LINKING = (errors.NotLinked, errors.ReauthorizationRequired, errors.ScopeNotGranted)
_CHALLENGE = {"description": "How to say who one is (RFC 6750 section 3)", "schema": {"type": "string"}}


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
    """A parameter of an operation; `schema` is JSON schema. Those of the path are required."""

    name: str
    where: Literal["path", "query"]
    meaning: str
    schema: Mapping[str, Any]
    example: object = None

    def described(self) -> dict[str, Any]:
        """As the document has it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.where == "path",
            "description": self.meaning,
            "schema": dict(self.schema),
            **({} if self.example is None else {"example": self.example}),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error. `body` is a type of `api`, None: there is none. `example` is what a test gets."""

    meaning: str
    body: Any = None
    example: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Body:
    """An object that a request may carry, as JSON or as a form."""

    type: Any
    example: Mapping[str, Any]
    media: str = "application/json"


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


class Builder:
    """Makes the parts of a document: `paths()`, then `schemas` and `examples`.

    `legacy`: with the statuses of LEGACY_STATUS_CODES.
    """

    def __init__(self, operations: Iterable[Operation], *, base: str, legacy: bool = False) -> None:
        self._operations = tuple(operations)
        self._base = base
        self._legacy = legacy
        types = {id(body): body for body in self._bodies()}
        schemas, components = msgspec.json.schema_components([*types.values(), ProblemJson], ref_template=_REF)
        self._schema_of = dict(zip([*types, id(ProblemJson)], schemas, strict=True))
        self.schemas: dict[str, Any] = dict(sorted(components.items()))
        self.examples: dict[str, Any] = {}

    def paths(self, security: Mapping[Callers, list[dict[str, list[str]]]]) -> dict[str, Any]:
        """Every operation, by path and method, with who may call it."""
        paths: dict[str, Any] = {}
        for operation in sorted(self._operations, key=lambda one: one.path):
            described = self._described(operation) | {"security": security[operation.callers]}
            paths.setdefault(operation.path, {})[operation.method] = described
        return paths

    def _bodies(self) -> list[Any]:
        answers = [answer.body for one in self._operations for answer in one.answers if answer.body is not None]
        return answers + [one.body.type for one in self._operations if one.body is not None]

    def _described(self, operation: Operation) -> dict[str, Any]:
        described: dict[str, Any] = {
            "operationId": operation.name,
            "summary": operation.summary,
            "tags": [operation.tag],
            "parameters": [parameter.described() for parameter in operation.parameters],
            "responses": {str(answer.status): self._answer(answer) for answer in operation.answers}
            | self._problems(operation),
        }
        if operation.body is not None:
            content = {"schema": self._schema_of[id(operation.body.type)], "example": dict(operation.body.example)}
            described["requestBody"] = {"required": False, "content": {operation.body.media: content}}
        return described

    def _answer(self, answer: Answer) -> dict[str, Any]:
        described: dict[str, Any] = {"description": answer.meaning}
        if answer.headers:
            described["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
            }
        if answer.body is not None:
            content = {"schema": self._schema_of[id(answer.body)], "example": answer.example}
            described["content"] = {answer.media: content}
        return described

    def _problems(self, operation: Operation) -> dict[str, Any]:
        by_status: dict[int, list[Row]] = {}
        for row in operation.all_problems():
            legacy = row.legacy if self._legacy and operation.is_for_old_clients else None
            by_status.setdefault(legacy or row.status, []).append(row)
        return {str(status): self._problem(status, rows) for status, rows in sorted(by_status.items())}

    def _problem(self, status: int, rows: list[Row]) -> dict[str, Any]:
        examples = {row.slug: self._example(row, status) for row in rows}
        described: dict[str, Any] = {
            "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{row.slug}`" for row in rows),
            "content": {
                "application/problem+json": {"schema": self._schema_of[id(ProblemJson)], "examples": examples},
            },
        }
        if any(issubclass(row.error, errors.RetryLater) for row in rows):
            described["headers"] = {"Retry-After": _WAIT}
        if any(issubclass(row.error, errors.Unauthenticated | errors.BadCredentials) for row in rows):
            described["headers"] = {"WWW-Authenticate": _CHALLENGE}
        return described

    def _example(self, row: Row, status: int) -> dict[str, str]:
        """A reference to the error's example, which it adds; with a legacy status it is another one."""
        name = row.slug if status == row.status else f"{row.slug}-{status}"
        self.examples[name] = {"summary": row.error.title, "value": problem_example(row, status, self._base)}
        return {"$ref": f"#/components/examples/{name}"}


def problem_example(row: Row, status: int, base: str) -> dict[str, Any]:
    """An error as it arrives, with the text of the table in place of the one of an occasion."""
    problem: dict[str, Any] = {
        "type": f"{base}/api/errors/{row.slug}",
        "title": row.error.title,
        "status": status,
        "detail": row.when,
        "instance": "3f0c8a52-6d1b-4a57-9f2e-0b8f1c7d4e63",
    }
    if issubclass(row.error, _MENDED_BY_LINKING):
        problem["authorize_url"] = f"{base}/link/idp1"
    return problem


def path_names(path: str) -> list[str]:
    """The names of the parameters in a path."""
    return _PLACE.findall(path)
