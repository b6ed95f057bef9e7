"""`kelmah moderate evaluate`: how good the screen of reviews is."""

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from kelmah.services.review.service import evaluation

LABELLED = Path("tests/data/moderation.jsonl")


def evaluate(path: Path = LABELLED, *, json: bool = False) -> None:
    """Score the screen on labelled texts: precision, recall and F1, by label and in all.

    Args:
        path: JSON lines, each {"text": "…", "labels": ["insult", …]}; no labels mean a clean text.
        json: print JSON instead of a table.
    """
    try:
        texts = evaluation.load(path)
    except (OSError, msgspec.MsgspecError) as error:
        sys.exit(f"{path}: {error}")
    found = evaluation.evaluate(texts)
    if json:
        rows = {
            name: {"precision": quality.precision, "recall": quality.recall, "f1": quality.f1, **quality._asdict()}
            for name, quality in found.items()
        }
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())  # noqa: T201  # the command's answer
        return
    table = Table(title=f"{len(texts)} texts, {sum(not one.labels for one in texts)} of them clean")
    for column in ("label", "precision", "recall", "F1", "hits", "false alarms", "misses"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for name, quality in found.items():
        shares = (quality.precision, quality.recall, quality.f1)
        table.add_row(name, *(f"{share:.3f}" for share in shares), *(str(count) for count in quality))
    Console().print(table)
