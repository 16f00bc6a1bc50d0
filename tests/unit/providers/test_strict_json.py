from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.providers.strict_json import MAX_DEPTH, BadJson, parse_object


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_an_object_is_read() -> None:
    assert parse_object(b'{"a": [1, null, "\xc3\xa4"], "b": {"c": 1e3}}') == {"a": [1, None, "ä"], "b": {"c": 1000.0}}


def test_the_deepest_allowed_object_is_read_and_a_deeper_one_is_not() -> None:
    assert parse_object(nested(MAX_DEPTH))
    with pytest.raises(BadJson):
        parse_object(nested(MAX_DEPTH + 1))


def test_a_number_too_large_is_infinity() -> None:
    assert math.isinf(parse_object(b'{"a": 1e400}')["a"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b'"a"',
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 1}',
        b'{"x": {"a": 1, "a": 2}}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        b"{'a': 1}",
        b'{"a": 1} x',
        b'{"a": ' + b"9" * 5000 + b"}",
        nested(200_000),
        b"[" * 200_000,
    ],
)
def test_what_is_not_strict_is_refused_without_quoting_it(body: bytes) -> None:
    with pytest.raises(BadJson) as refused:
        parse_object(body)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@given(st.binary())
def test_no_bytes_fail_in_another_way(body: bytes) -> None:
    try:
        parse_object(body)
    except BadJson:
        return


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.booleans() | st.none()))
def test_what_json_wrote_is_read_back(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode()) == value
