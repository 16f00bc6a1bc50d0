"""Token sets as JSON: nothing that a provider gave is lost on the way."""

from __future__ import annotations

import json
from dataclasses import fields

from hypothesis import given

from support.token_sets import FIELDS, token_sets
from tokenstore.core.model import TokenSet
from tokenstore.core.secret import Secret
from tokenstore.store.token_texts import tokens_from_json, tokens_to_json


@given(token_sets)
def test_a_token_set_comes_back_as_it_was(tokens: TokenSet) -> None:
    assert tokens_from_json(json.loads(json.dumps(tokens_to_json(tokens)))) == tokens


def test_every_field_but_the_id_token_is_kept_and_tried() -> None:
    kept = {field.name for field in fields(TokenSet)} - {"id_token"}

    assert set(tokens_to_json(TokenSet(Secret("access-1")))) == kept
    assert set(FIELDS) == kept


def test_the_id_token_is_left_out() -> None:
    text = json.dumps(tokens_to_json(TokenSet(Secret("access-1"), id_token=Secret("told-all-it-had-to"))))

    assert "told-all-it-had-to" not in text
