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


_EMPTY = "is empty"
_COMPONENTS = {"schemas": closed(DOCUMENT["components"]["schemas"])}


def faults(schema: Any, value: object) -> list[str]:
    """What is wrong with a value, in words; empty if it fits."""
    validator = Draft202012Validator({**closed(schema), "components": _COMPONENTS})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def example(name: str) -> Any:
    """A shared example of the document."""
    return DOCUMENT["components"]["examples"][name]["value"]


def strays(schema: Any, example: object, value: object, at: str = "$") -> list[str]:
    """Where the members of a value are other than those of an example; empty if they are the same.

    Only members that the schema names are compared: what comes from a provider or a token may have any.
    """
    schema = _COMPONENTS["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(example, dict) and isinstance(value, dict):
        named = schema.get("properties", {})
        different = sorted((example.keys() ^ value.keys()) & named.keys())
        return [f"{at}.{name} is in one of both" for name in different] + [
            stray
            for name in sorted(example.keys() & value.keys() & named.keys())
            for stray in strays(named[name], example[name], value[name], f"{at}.{name}")
        ]
    if isinstance(example, list) and isinstance(value, list):
        if not example or not value:
            return [f"{at} {_EMPTY}"] if example else []
        found = [strays(schema["items"], example[0], one, f"{at}[]") for one in value]
        # One item that has all is enough: a provider that is not linked has no links.
        return [stray for each in found for stray in each if [] not in found or not stray.endswith(_EMPTY)]
    same = None in (example, value) or type(example) is type(value)
    return [] if same else [f"{at} is {value!r}, and {example!r} in the example"]


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
