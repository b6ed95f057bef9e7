"""The ASVS page is that of its table, leaves no requirement out, and names tests that exist."""

import ast
from functools import cache

import pytest

from tests import asvs

#: Levels 1 and 2 of 5.0.0: section → the numbers of its requirements.
REQUIREMENTS = {
    "6.1": range(1, 4), "6.2": range(1, 13), "6.3": range(1, 5), "6.4": range(1, 5), "6.5": range(1, 6),
    "6.6": range(1, 4), "6.8": range(1, 5), "7.1": range(1, 4), "7.2": range(1, 5), "7.3": range(1, 3),
    "7.4": range(1, 6), "7.5": range(1, 3), "7.6": range(1, 3), "8.1": range(1, 3), "8.2": range(1, 4),
    "8.3": range(1, 2), "8.4": range(1, 2), "9.1": range(1, 4), "9.2": range(1, 5), "10.1": range(1, 3),
    "10.2": range(1, 3), "10.3": range(1, 5), "10.4": range(1, 12), "10.5": range(1, 6), "10.6": range(1, 3),
    "10.7": range(1, 4),
}  # fmt: skip
ROWS = {one: row for entries in asvs.rows().values() for one, row in entries.items()}


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((asvs.ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_requirement_has_a_row_and_every_row_an_answer() -> None:
    assert list(ROWS) == [f"{section}.{number}" for section, numbers in REQUIREMENTS.items() for number in numbers]
    for one, row in ROWS.items():
        assert row["tests"] or "not_ours" in row or "open" in row, one
        assert not (row["tests"] and "not_ours" in row), one


@pytest.mark.parametrize("one", ROWS)
def test_the_tests_of_a_row_exist(one: str) -> None:
    for node in ROWS[one]["tests"]:
        path, _, name = node.partition("::")
        assert name in names_in(path), node


def test_the_page_is_fresh() -> None:
    assert asvs.PAGE.read_text(encoding="utf-8") == asvs.page()
