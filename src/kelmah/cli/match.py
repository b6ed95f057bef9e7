"""`kelmah match evaluate`: how good the matching is, beside plain text ranking and chance."""

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from kelmah.kit.errors import BadInput
from kelmah.services.job.service import evaluation

LABELLED = Path("tests/data/matching.jsonl")


def evaluate(path: Path = LABELLED, *, json: bool = False) -> None:
    """Score a labelled set by nDCG@10, P@5 and Recall@100, whole and by slice.

    Args:
        path: JSON lines, each a query with graded candidates.
        json: print JSON instead of a table.
    """
    try:
        queries = evaluation.load(path)
        found = evaluation.evaluate(queries)
    except (OSError, msgspec.MsgspecError) as error:
        sys.exit(f"{path}: {error}")
    except BadInput as error:
        sys.exit(f"{path}: {', '.join(one.message for one in error.errors or [])}")
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())  # noqa: T201  # the command's answer
        return
    table = Table(title=f"{len(queries)} queries, {sum(len(one.candidates) for one in queries)} labels")
    for column in ("slice", "queries", "ranked by", "nDCG@10", "P@5", "Recall@100"):
        table.add_column(column, justify="left" if column in ("slice", "ranked by") else "right")
    for part, rankers in found.items():
        for name, quality in rankers.items():
            numbers = (quality.ndcg_at_10, quality.precision_at_5, quality.recall_at_100)
            table.add_row(part, str(quality.queries), name, *(f"{number:.3f}" for number in numbers))
        table.add_section()
    Console().print(table)
