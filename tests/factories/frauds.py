"""Made-up exchanges of reviews over 90 days: an honest market, and frauds hidden in it. The same seed, the same set.

The honest part holds what looks like fraud: tradespeople who hire each other, a household on one device, a block of
flats that thanks its painter on one day, and people who write the same words everywhere.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

DAYS = 90
_SYLLABLES = ("bo", "dan", "ko", "ma", "nya", "ase", "wu", "ta", "kro", "fi")
_DONE = ("rewired the flat", "tiled the bath", "painted the shop", "laid the drain", "built the gate", "fixed the roof")
_HOW = ("came early every day", "kept the price", "explained each step", "left it clean", "finished a week late")
_END = ("we will call again", "my neighbour wants him, too", "worth the money", "one socket is loose", "thank you")


class Exchange(NamedTuple):
    """Two reviews of one contract. People are named; `fraud` is the truth, None for what is honest."""

    day: float
    hirer: str
    worker: str
    text: str
    device: str | None = None
    amount: int = 50_000
    fraud: str | None = None


def exchanges(seed: int) -> list[Exchange]:
    """In the order of their days."""
    dice = random.Random(seed)
    return sorted([*_honest(dice), *_frauds(dice)], key=lambda one: one.day)


def _text(dice: random.Random) -> str:
    place = "".join(dice.choice(_SYLLABLES) for _ in range(4)).title()
    return f"He {dice.choice(_DONE)} in {place}, {dice.choice(_HOW)}; {dice.choice(_END)}."


def _honest(dice: random.Random) -> Iterator[Exchange]:
    workers = [f"worker {number}" for number in range(40)]
    weights = [1 / (rank + 1) for rank in range(len(workers))]  # few have most of the work
    for _ in range(260):
        (worker,) = dice.choices(workers, weights)
        yield Exchange(dice.uniform(0, DAYS), f"hirer {dice.randrange(60)}", worker, _text(dice))
    for number in range(3):  # two trades that hire each other
        day = dice.uniform(0, 60)
        yield Exchange(day, f"mason {number}", f"plumber {number}", _text(dice))
        yield Exchange(day + dice.uniform(5, 25), f"plumber {number}", f"mason {number}", _text(dice))
    for number in range(3):  # a nephew works for his aunt, on her telephone
        yield Exchange(
            dice.uniform(0, DAYS), f"aunt {number}", f"nephew {number}", _text(dice), device=f"home {number}"
        )
    day = dice.uniform(20, 80)
    for number in range(6):  # a block of flats
        yield Exchange(day + number / 48, f"flat {number}", "painter", _text(dice))
    for _ in range(6):
        words = "Good work, on time and at the agreed price. I can recommend this person."
        yield Exchange(dice.uniform(0, DAYS), "lazy hirer", dice.choice(workers), words)


def _frauds(dice: random.Random) -> Iterator[Exchange]:
    for length, count in ((2, 8), (3, 5), (4, 3)):
        for ring in range(count):
            begin = dice.uniform(0, 60)
            members = [f"ring {length}/{ring}/{number}" for number in range(length)]
            for number, hirer in enumerate(members):
                day = begin + dice.uniform(0, 28)
                yield Exchange(day, hirer, members[(number + 1) % length], _text(dice), fraud=f"ring of {length}")
    for puppet in range(6):
        for number in range(3):
            yield Exchange(
                dice.uniform(0, DAYS), f"puppet {puppet}/{number}", f"master {puppet}", _text(dice),
                device=f"desk {puppet}", amount=500, fraud="one device",
            )  # fmt: skip
    for pack in range(4):
        day = dice.uniform(10, 80)
        for number in range(6):
            at = day + dice.uniform(0, 0.8)
            yield Exchange(at, f"bought {pack}/{number}", f"buyer {pack}", _text(dice), fraud="bought pack")
    for farm in range(4):
        words = _text(dice).replace(";", " -")
        for number in range(5):
            day = dice.uniform(0, DAYS)
            yield Exchange(day, f"farm {farm}/{number}", f"farmer {farm}", words, fraud="copied text")
