"""The labelled set and the measures of the matching."""

import json
from pathlib import Path

import pytest

from kelmah.cli.match import evaluate as command
from kelmah.services.job.service import evaluation
from tests.factories import matching

#: nDCG@10 of the first 60 queries of the committed set when it was last looked at.
BASELINE = 0.921


def test_the_committed_set_is_what_its_generator_makes() -> None:
    assert matching.LABELLED.read_bytes() == matching.make()


def test_the_set_is_large_enough_and_has_every_slice_and_grade() -> None:
    queries = evaluation.load(matching.LABELLED)
    assert len(queries) >= 200
    assert {len(one.candidates) for one in queries} == {20}
    assert {one for query in queries for one in query.slices} == {"minority trades", "newcomers", "rural"}
    assert {one.grade for query in queries for one in query.candidates} == {0, 1, 2, 3}


def test_the_matching_is_as_good_as_it_was_and_better_than_words_and_chance_in_every_slice() -> None:
    found = evaluation.evaluate(evaluation.load(matching.LABELLED)[:60])
    assert found["all"]["kelmah"].ndcg_at_10 >= BASELINE - 0.01
    for part, rankers in found.items():
        assert rankers["kelmah"].ndcg_at_10 > rankers["text"].ndcg_at_10 > rankers["random"].ndcg_at_10, part
        assert rankers["kelmah"].recall_at_100 >= 0.99, part


def test_ndcg_of_the_ideal_is_one_and_of_a_reversed_list_known() -> None:
    grades = {"a": 3, "b": 2, "c": 0}
    assert evaluation.ndcg(["a", "b", "c"], grades, at=10) == 1.0
    assert evaluation.ndcg(["c", "b", "a"], grades, at=10) == pytest.approx(0.6064, abs=1e-4)
    assert evaluation.ndcg(["c"], {"c": 0}, at=10) == 1.0
    assert evaluation.ndcg([], grades, at=10) == 0.0


def test_the_command_takes_any_file_of_the_format_and_refuses_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few.jsonl"
    lines = matching.LABELLED.read_bytes().splitlines()
    few.write_bytes(b"\n".join(lines[:5]))
    command(few, json=True)
    assert json.loads(capsys.readouterr().out)["all"]["kelmah"]["queries"] == 5
    bad = tmp_path / "bad.jsonl"
    for content, message in {
        b'{"id": 1}': "Expected `str`, got `int`",
        lines[0].replace(b'"grade":0', b'"grade":9', 1): "Expected `int` <= 3",
        b"\xff\xfe": "malformed",
    }.items():
        bad.write_bytes(content)
        with pytest.raises(SystemExit) as caught:
            command(bad)
        assert message in str(caught.value)
    with pytest.raises(SystemExit):
        command(tmp_path / "nothing.jsonl")
