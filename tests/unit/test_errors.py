"""The closed family of errors: slugs, public details, private debugging."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tokenstore import errors
from tokenstore.errors import ConfigError, FieldProblem, InvalidRequest, RetryLater, TokenStoreError

ABSTRACT = {TokenStoreError, RetryLater}


def family(root: type[TokenStoreError] = TokenStoreError) -> Iterator[type[TokenStoreError]]:
    """All errors that callers may meet."""
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            # Some have other words for one kind of error; programs see the same slug.
            if kind not in ABSTRACT and "slug" in vars(kind):
                yield kind
            yield from family(kind)


FAMILY = sorted(family(), key=lambda kind: kind.slug)


def made(kind: type[TokenStoreError]) -> TokenStoreError:
    """An error of this kind."""
    if kind in {errors.NotLinked, errors.ReauthorizationRequired, errors.ScopeNotGranted}:
        return kind("what to do", provider_id="idp1")
    return kind("what to do")


def test_the_family_is_the_one_that_the_map_lists() -> None:
    assert [kind.slug for kind in FAMILY] == [
        "account-mismatch",
        "attempt-expired",
        "csrf",
        "invalid-request",
        "invalid-token",
        "key-unavailable",
        "link-denied",
        "method-not-allowed",
        "no-offline-access",
        "not-found",
        "not-linked",
        "policy-denied",
        "provider-misconfigured",
        "provider-unavailable",
        "reauthorization-required",
        "refresh-in-progress",
        "return-url-refused",
        "scope-not-granted",
        "storage-unavailable",
        "unauthenticated",
        "unknown-provider",
    ]


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.slug)
def test_every_error_has_a_slug_and_a_title_of_its_own(kind: type[TokenStoreError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug)
    assert kind.title
    assert kind.title != TokenStoreError.title


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.slug)
def test_the_text_of_an_error_is_its_public_detail(kind: type[TokenStoreError]) -> None:
    error = made(kind)
    assert (str(error), error.detail, error.debug) == ("what to do", "what to do", "")


def test_debugging_text_does_not_show() -> None:
    error = TokenStoreError("public", debug="private")
    assert "private" not in f"{error} {error!r}"


@pytest.mark.parametrize("kind", [kind for kind in FAMILY if issubclass(kind, RetryLater)], ids=lambda kind: kind.slug)
def test_a_passing_condition_says_when_to_ask_again(kind: type[RetryLater]) -> None:
    assert kind("x").retry_after == timedelta(seconds=5)
    assert kind("x", retry_after=timedelta(seconds=1)).retry_after == timedelta(seconds=1)


def test_a_malformed_request_lists_all_its_problems() -> None:
    problems = [FieldProblem("min_valid", "must be a number"), FieldProblem("link", "must be an id")]
    assert InvalidRequest("see errors", errors=problems).errors == tuple(problems)


def test_one_configuration_problem_is_counted_in_the_singular() -> None:
    assert str(ConfigError(["A is missing"])).startswith("1 problem in the settings:")


def test_a_configuration_error_shows_every_problem() -> None:
    error = ConfigError(["A is missing", "B is wrong"])
    assert error.problems == ("A is missing", "B is wrong")
    assert str(error) == "2 problems in the settings:\n  - A is missing\n  - B is wrong"
