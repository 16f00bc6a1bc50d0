"""OpenAPI 3.1 made from operations: their paths, and the parts that they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from tokenstore import errors
from tokenstore.web.openapi import PAGE, Answer, Callers, Operation, ProblemJson
from tokenstore.web.problem_examples import Shape, shapes
from tokenstore.web.problem_table import BY_SLUG, Row

_PROBLEM = "application/problem+json"
_PAGE_CONTENT = {PAGE: {"schema": {"type": "string"}, "example": "<!doctype html>"}}
_REF = "#/components/schemas/{name}"
_WAIT = {"description": "Seconds after which to ask again", "schema": {"type": "integer", "minimum": 1}}
_CHALLENGE = {"description": "How to say who one is (RFC 6750 section 3)", "schema": {"type": "string"}}
# Of no operation in particular.
_ANYWHERE = (errors.MethodNotAllowed, errors.TokenStoreError)
_OTHERWISE = """\
Any other status: a problem document. 405 `method-not-allowed`, with `Allow`, where an address does not know the \
method; 500 `internal`; 400 `invalid-request` for what cannot be read, such as a body over 64 KiB. Where browsers go, \
a page."""


class Builder:
    """Makes the parts of a document: `paths()`, then `schemas`, `responses` and `examples`.

    `legacy`: with the statuses of LEGACY_STATUS_CODES.
    """

    def __init__(self, operations: Iterable[Operation], *, base: str, legacy: bool = False) -> None:
        self._operations = tuple(operations)
        self._base = base
        self._legacy = legacy
        types = {id(body): body for body in self._bodies()}
        schemas, components = msgspec.json.schema_components([*types.values(), ProblemJson], ref_template=_REF)
        self._schema_of = dict(zip([*types, id(ProblemJson)], schemas, strict=True))
        for one in self._operations:
            if one.body is not None and one.body.closed:
                components[one.body.type.__name__]["additionalProperties"] = False
        self.schemas: dict[str, Any] = dict(sorted(components.items()))
        self.examples: dict[str, Any] = {}
        self.responses: dict[str, Any] = {"otherwise": self._otherwise()}

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
            "responses": {
                **{str(answer.status): self._answer(answer) for answer in operation.answers},
                **self._problems(operation),
                "default": {"$ref": "#/components/responses/otherwise"},
            },
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
        return {str(status): self._problem(operation, status, rows) for status, rows in sorted(by_status.items())}

    def _problem(self, operation: Operation, status: int, rows: list[Row]) -> dict[str, Any]:
        named = [self._example(row, shape, status) for row in rows for shape in shapes(operation, row)]
        described: dict[str, Any] = {
            "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{row.slug}`" for row in rows),
            "content": self._problem_content(named) | (_PAGE_CONTENT if operation.has_pages else {}),
        }
        if any(issubclass(row.error, errors.RetryLater) for row in rows):
            described["headers"] = {"Retry-After": _WAIT}
        if any(issubclass(row.error, errors.Unauthenticated | errors.BadCredentials) for row in rows):
            described["headers"] = {"WWW-Authenticate": _CHALLENGE}
        return described

    def _otherwise(self) -> dict[str, Any]:
        rows = [BY_SLUG[error.slug] for error in _ANYWHERE]
        named = [self._example(row, Shape(row.slug), row.status) for row in rows]
        return {"description": _OTHERWISE, "content": self._problem_content(named) | _PAGE_CONTENT}

    def _problem_content(self, named: list[str]) -> dict[str, Any]:
        examples = {name: {"$ref": f"#/components/examples/{name}"} for name in named}
        return {_PROBLEM: {"schema": self._schema_of[id(ProblemJson)], "examples": examples}}

    def _example(self, row: Row, shape: Shape, status: int) -> str:
        """Add an example to those that are shared; its name, which is another one with a legacy status."""
        name = shape.name if status == row.status else f"{shape.name}-{status}"
        self.examples[name] = {"summary": shape.title(row), "value": shape.example(row, status, self._base)}
        return name
