"""Every caller at every route in every state gets exactly what the table declares, and the page shows the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.caller_matrix import CLASSES, STATES, Matrix, matrix_store
from support.caller_table import COLUMNS, TABLE, Operation, reference_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "callers.md"
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with matrix_store(tmp_path_factory.mktemp("matrix")) as made:
        yield made


@pytest.mark.xdist_group("caller-matrix")
def test_every_route_has_its_row_and_every_row_its_route(matrix: Matrix) -> None:
    routes = {
        (method, _CONVERTER.sub(r"{\1}", rule.rule))
        for rule in matrix.rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert sorted(TABLE) == sorted(routes)


@pytest.mark.xdist_group("caller-matrix")
@pytest.mark.parametrize("operation", TABLE, ids=" ".join)
def test_every_caller_gets_what_the_table_says(matrix: Matrix, operation: Operation) -> None:
    wanted, got = {}, {}
    for column in COLUMNS:
        cells = TABLE[operation][column].split(" | ")
        for caller in CLASSES[column]:
            for state, cell in zip(STATES, cells * (len(STATES) // len(cells)), strict=True):
                wanted[caller, state] = cell
                got[caller, state] = matrix.answer(*operation, caller, state)

    assert got == wanted


def test_page_shows_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(CLASSES, STATES), (
        "write it anew: PYTHONPATH=tests:. .venv/bin/python -c 'from support.caller_matrix import CLASSES, STATES; "
        'from support.caller_table import reference_page as p; print(p(CLASSES, STATES), end="")\''
        " > docs/reference/callers.md"
    )
