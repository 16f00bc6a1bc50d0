"""The checked-in API document as tests use it: what it promises of an operation, and whether an answer keeps that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from demo.client import Answer

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))


def closed(schema: Any) -> Any:
    """A schema in which objects have no members but those listed, so that nothing is answered that is not described."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {name: closed(value) for name, value in schema.items()}
    if "properties" in shut and "additionalProperties" not in shut:
        shut["additionalProperties"] = False
    return shut


_COMPONENTS = {"schemas": closed(DOCUMENT["components"]["schemas"])}


def faults(schema: Any, value: object) -> list[str]:
    """What is wrong with a value, in words; empty if it fits."""
    validator = Draft202012Validator({**closed(schema), "components": _COMPONENTS})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def operation(method: str, path: str) -> dict[str, Any]:
    """What the document says of an operation."""
    described: dict[str, Any] = DOCUMENT["paths"][path][method]
    return described


def broken_promises(described: dict[str, Any], answer: Answer) -> list[str]:
    """In what an answer is other than the document says; empty if in nothing."""
    promised = described["responses"].get(str(answer.status))
    if promised is None:
        return [f"the status {answer.status} is not in the document: {answer.text[:300]}"]
    found = [f"there is no {name}" for name in promised.get("headers", {}) if name not in answer.headers]
    content = promised.get("content")
    if content is None:
        return found
    media = answer.headers.get_content_type()
    if media not in content:
        return [*found, f"the type {media} is not in the document"]
    value = answer.json() if media.endswith("json") else answer.text
    return found + faults(content[media]["schema"], value)
