"""The lists of routes that are no pages, and of names that no provider may have, agree with the routes there are."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from support.settings import good_settings
from tokenstore import create_app
from tokenstore.composing.services import NO_PAGES
from tokenstore.config.names import id_problem
from tokenstore.core.redirects import ReturnUrlPolicy

PAGES = {"", "confirm", "link", "links", "sessions"}
RESOURCES = "/api/v1.0/"
_VARIABLE = re.compile(r"<(?:(\w+):)?\w+>")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A path of every route."""
    app = create_app(good_settings(INSTANCE_PATH=str(tmp_path_factory.mktemp("instance"))))
    return [_VARIABLE.sub(sample, rule.rule) for rule in app.url_map.iter_rules()]


def sample(variable: re.Match[str]) -> str:
    """Something that a variable part of a rule matches."""
    return str(UUID(int=1)) if variable[1] == "uuid" else "some-idp"


def test_a_browser_may_return_to_our_pages_and_to_no_other_route(paths: list[str]) -> None:
    policy = ReturnUrlPolicy("https://store.example.org", reserved_prefixes=NO_PAGES)

    assert {path.split("/")[1] for path in paths if policy.allows(path)} == PAGES


@pytest.mark.parametrize("prefix", NO_PAGES)
def test_what_is_called_no_page_is_a_route(paths: list[str], prefix: str) -> None:
    assert any((path + "/").startswith(prefix + "/") for path in paths)


def test_no_provider_can_have_the_name_of_a_resource_or_page(paths: list[str]) -> None:
    resources = {path.removeprefix(RESOURCES).split("/")[0] for path in paths if path.startswith(RESOURCES)}
    top = {path.split("/")[1] for path in paths} - {"api"}
    names = {name for name in resources | top if re.fullmatch("[a-z]+", name)}

    assert {name for name in names if not id_problem(name, ())} == set()
    assert "links" in names
    assert id_problem("some-idp", ()) is None
