"""Makes the labelled set of the matching: `python -m tests.factories.matching` writes it anew, the same each time.

A hidden world decides the grades, not our formula: each worker has a true quality that ratings show with noise (and
newcomers not at all), hirers decide by trade, quality and price and by who answers and is free soon, workers by journey
time, pay and free hands; the grade is cut from the chance that both say yes, with some noise. Who does not know the
trade gets 0.
"""

import math
import random
from pathlib import Path

import msgspec

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Money
from kelmah.services.job.service.evaluation import Candidate, LabelledJob, LabelledWorker, Query
from kelmah.services.job.service.ranking import kilometres

LABELLED = Path("tests/data/matching.jsonl")
SEED, QUERIES = 2026, 210
TOWNS = {
    "Accra": (-0.187, 5.6037), "Kumasi": (-1.6244, 6.6885), "Tamale": (-0.8393, 9.4008), "Takoradi": (-1.7831, 4.8845),
    "Cape Coast": (-1.2466, 5.1053), "Tema": (-0.0166, 5.6698),
}  # fmt: skip
VILLAGES = {
    "Bongo": (-0.8080, 10.9070), "Nkoranza": (-1.7080, 7.5667), "Kpandu": (0.2930, 6.9950), "Axim": (-2.2405, 4.8699),
    "Damongo": (-1.8200, 9.0830),
}  # fmt: skip
#: Trades that few offer.
MINORITY = {"blacksmith", "upholsterer", "glazier", "land-surveyor", "tree-feller", "borehole-driller", "shoemaker"}
WORK = ("needed", "wanted for a house", "for two days", "to help with a shop", "for repairs", "before the rains")


class World:
    """The hidden truth, drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        #: Drawn apart, so that what was made before these were known stays as it was.
        self.habits = random.Random(seed + 1)
        self.trades = [one for one in taxonomy.skills().values() if one.parent]

    def query(self, number: int) -> Query:
        """One job with 20 graded workers."""
        chance = self.chance
        is_minority = number % 6 == 0
        trade = taxonomy.skills()[chance.choice(sorted(MINORITY))] if is_minority else chance.choice(self.trades)
        siblings = [one for one in self.trades if one.parent == trade.parent and one.id != trade.id]
        extra = [chance.choice(siblings).id] if siblings and chance.random() < 0.4 else []
        is_rural = number % 4 == 0
        town, place = chance.choice(sorted((VILLAGES if is_rural else TOWNS).items()))
        job = LabelledJob(
            title=f"{chance.choice([trade.name, *trade.synonyms]).capitalize()} {chance.choice(WORK)}",
            description=f"In {town}. {chance.choice(WORK).capitalize()}.",
            category=trade.parent or trade.id,
            skills=[trade.id, *extra],
            budget=Money(amount=chance.randrange(8, 120) * 1000),
            place=place,
            published_days_ago=chance.randrange(20),
        )
        kinds = ["able"] * 9 + ["partly"] * 3 + ["sibling"] * 3 + ["tempting"] * 5
        candidates = [self.candidate(f"q{number}w{at}", kind, job, siblings) for at, kind in enumerate(kinds)]
        right = [one.worker for one in candidates if one.grade >= 2]
        new = [one for one in right if not one.review_count]
        flags = {"minority trades": is_minority, "rural": is_rural, "newcomers": 2 * len(new) > len(right)}
        return Query(
            id=f"q{number}", slices=[name for name, holds in flags.items() if holds], job=job, candidates=candidates
        )

    def candidate(self, worker_id: str, kind: str, job: LabelledJob, siblings: list[taxonomy.Skill]) -> Candidate:
        """A worker of one kind, graded by the hidden truth."""
        chance = self.chance
        quality = min(5.0, max(1.0, chance.gauss(3.9, 0.7)))
        reviews = 0 if chance.random() < 0.3 else round(chance.expovariate(1 / 15)) + 1
        seen = chance.gauss(quality, 0.9 / math.sqrt(reviews)) if reviews else 0.0
        km = chance.expovariate(1 / 15) if kind == "tempting" or chance.random() < 0.7 else chance.uniform(40, 300)
        place = _moved(job.place, km, chance.uniform(0, 2 * math.pi))
        rate = chance.randrange(15, 90) * 100
        skills = self.skills(kind, job, siblings)
        busy = chance.choice([0, 0, 0, 1, 1, 2, 3, 4])
        answers = min(1.0, max(0.0, self.habits.gauss(0.75, 0.25)))
        free = sorted(self.habits.sample(range(28), self.habits.choice([0, 2, 6, 12, 18, 24])))
        worker = LabelledWorker(
            id=worker_id,
            headline=f"{skills[0].capitalize()} in {chance.choice([*TOWNS, *VILLAGES])}",
            skills=skills,
            place=place,
            hourly_rate=Money(amount=rate),
            rating_milli=round(1000 * min(5.0, max(1.0, (seen * reviews + 3.7 * 5) / (reviews + 5))))
            if reviews
            else None,
            review_count=reviews,
            completed=reviews + chance.randrange(3) if reviews else 0,
            active=busy,
            free_in_days=free,
            response_rate_percent=round(100 * answers) if reviews else None,
        )
        covered = {"able": 1.0, "partly": 0.4 if len(job.skills) > 1 else 0.75}.get(kind, 0.0)
        if not covered:
            return Candidate(grade=0, worker=worker)
        hours = kilometres(job.place, place) / 35
        pay = job.budget.amount / (rate * 8)
        takes = _logistic(2.5 * min(1.5, pay) - 1.1 * hours - 0.5 * busy + 0.6 + chance.gauss(0, 0.3))
        hires = _logistic(4.0 * covered + 1.3 * (quality - 3.9) - 0.25 * hours - 1.6 + chance.gauss(0, 0.3))
        soon = min(1.0, sum(day < 10 for day in free) / 4)
        both = takes * hires * (0.75 + 0.25 * soon) * (0.85 + 0.15 * answers)
        return Candidate(grade=sum(both >= bound for bound in (0.25, 0.6, 0.8)), worker=worker)

    def skills(self, kind: str, job: LabelledJob, siblings: list[taxonomy.Skill]) -> list[str]:
        """Trades in the words a worker might use."""
        wanted = [taxonomy.skills()[one] for one in job.skills]
        if kind == "able":
            offered = wanted
        elif kind == "partly":
            offered = wanted[:1] if len(wanted) > 1 else [taxonomy.skills()[job.category]]
        elif kind == "sibling":
            others = [one for one in siblings if one.id not in job.skills]
            offered = [self.chance.choice(others or self._others(job))]
        else:
            offered = [self.chance.choice(self._others(job))]
        return [self.chance.choice([one.name, *one.synonyms]) for one in offered]

    def _others(self, job: LabelledJob) -> list[taxonomy.Skill]:
        families = {taxonomy.skills()[one].parent for one in job.skills}
        return [one for one in self.trades if one.parent not in families]


def make() -> bytes:
    """The labelled set as JSON lines."""
    world = World(SEED)
    return b"".join(msgspec.json.encode(world.query(number)) + b"\n" for number in range(QUERIES))


def _moved(place: tuple[float, float], km: float, angle: float) -> tuple[float, float]:
    lng = place[0] + km * math.cos(angle) / 111.3 / math.cos(math.radians(place[1]))
    return round(lng, 4), round(place[1] + km * math.sin(angle) / 111.3, 4)


def _rating_milli(mean: float, reviews: int) -> int | None:
    """The Bayesian mean, as the review service has it."""
    return round(1000 * min(5.0, max(1.0, (mean * reviews + 3.7 * 5) / (reviews + 5)))) if reviews else None


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


if __name__ == "__main__":
    LABELLED.write_bytes(make())
