"""Measures the screen on labelled texts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from kelmah.contracts.review import Label
from kelmah.services.review.service import screening


class LabelledText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text and what a person said it is; no label is clean."""

    text: str
    labels: list[Label]


class Quality(NamedTuple):
    """How often the screen was right, missed something, or saw what is not there."""

    hits: int
    false_alarms: int
    misses: int

    @property
    def precision(self) -> float:
        return self.hits / max(self.hits + self.false_alarms, 1)

    @property
    def recall(self) -> float:
        return self.hits / max(self.hits + self.misses, 1)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(2 * self.hits + self.false_alarms + self.misses, 1)


def load(path: Path) -> list[LabelledText]:
    """Read JSON lines.

    Raises:
        OSError: the file cannot be read.
        msgspec.MsgspecError: a line does not fit.
    """
    return msgspec.json.Decoder(LabelledText).decode_lines(path.read_bytes())


def evaluate(texts: Iterable[LabelledText]) -> Mapping[str, Quality]:
    """The quality of each label, of all labels together, and of holding back at all ("held")."""
    pairs = [(frozenset(screening.labels_of(one.text)), frozenset(one.labels)) for one in texts]
    found = {label.value: _quality((label in got, label in said) for got, said in pairs) for label in Label}
    every = [sum(column) for column in zip(*found.values(), strict=True)]
    return {
        **found,
        "all labels": Quality(*every),
        "held": _quality((bool(got), bool(said)) for got, said in pairs),
    }


def _quality(pairs: Iterable[tuple[bool, bool]]) -> Quality:
    seen = list(pairs)
    return Quality(seen.count((True, True)), seen.count((True, False)), seen.count((False, True)))
