"""The ASVS page is that of its table, leaves no requirement out, and names tests that exist."""

import ast
from functools import cache

import pytest

from tests import asvs

#: Levels 1 and 2 of 5.0.0: section → how many requirements; those of level 3 come after them and are left out.
REQUIREMENTS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2, "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1, "3.2": 2, "3.3": 4,
    "3.4": 6, "3.5": 5, "3.7": 2, "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5,
    "7.5": 2, "7.6": 2, "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4, "10.1": 2, "10.2": 2, "10.3": 4,
    "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3, "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4, "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5, "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3, "17.1": 1, "17.2": 4,
    "17.3": 2,
}  # fmt: skip
ROWS = {one: row for entries in asvs.rows().values() for one, row in entries.items()}


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((asvs.ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_requirement_has_a_row_and_every_row_an_answer() -> None:
    assert list(ROWS) == [
        f"{section}.{number}" for section, count in REQUIREMENTS.items() for number in range(1, count + 1)
    ]
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
