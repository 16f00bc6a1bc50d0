"""The error family, the table of statuses and the documentation agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenstore.errors import TokenStoreError
from tokenstore.web.problem_table import TABLE, reference_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"


def family(error: type[TokenStoreError]) -> Iterator[type[TokenStoreError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_every_slug_stands_in_the_table_once() -> None:
    slugs = {error.slug for error in family(TokenStoreError)}
    assert sorted(row.slug for row in TABLE) == sorted(slugs)


def test_documentation_page_is_the_table() -> None:
    assert PAGE.read_text() == reference_page(), (
        "write it anew: python -c 'from tokenstore.web.problem_table import reference_page as p; print(p(), end=\"\")'"
        " > docs/reference/errors.md"
    )
