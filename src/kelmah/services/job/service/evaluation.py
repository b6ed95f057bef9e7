"""How good the matching is: labelled queries, ranked by us, by their words alone and by chance, and measured.

A labelled set is a file of JSON lines, each a `Query`: a job and its candidates, graded 0 (no) to 3 (the best). To
each query's own candidates come workers of other queries who offer nothing of its trade; their grade is 0.
"""

import math
import random
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Contract, Latitude, Longitude, Money
from kelmah.services.job.service import ranking, words
from kelmah.services.job.service.ranking import Need, Offer

#: Grades from which a candidate counts as right, for precision and recall.
RIGHT = 2
#: Workers of other trades that are added to each query's own candidates.
STRANGERS = 180
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Place = tuple[Longitude, Latitude]
Count = Annotated[int, Meta(ge=0)]


class LabelledJob(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job; trades by any of their words."""

    title: str
    description: str
    category: str
    skills: list[str]
    budget: Money
    place: Place
    published_days_ago: Count = 0
    urgent: bool = False


class LabelledWorker(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker; trades by any of their words. `freeInDays` counts from today, which is 0."""

    id: str
    headline: str
    skills: list[str]
    place: Place | None = None
    hourly_rate: Money | None = None
    rating_milli: Annotated[int, Meta(ge=0, le=5000)] | None = None
    review_count: Count = 0
    completed: Count = 0
    active: Count = 0
    free_in_days: list[Count] | None = None
    response_rate_percent: Annotated[int, Meta(ge=0, le=100)] | None = None


class Candidate(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker and how right for the job: 3 is the best."""

    grade: Annotated[int, Meta(ge=0, le=3)]
    worker: LabelledWorker


class Query(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job, its candidates, and the slices of the set that it belongs to."""

    id: str
    slices: list[str]
    job: LabelledJob
    candidates: list[Candidate]


class Quality(Contract, frozen=True, kw_only=True):
    """Means over queries, from 0 to 1."""

    queries: int
    ndcg_at_10: float
    precision_at_5: float
    recall_at_100: float


Ranker = Callable[[Query, Sequence[LabelledWorker]], list[str]]


def load(path: Path) -> list[Query]:
    """The queries of a file.

    Raises:
        msgspec.MsgspecError: a line does not fit.
        OSError: the file cannot be read.
    """
    return msgspec.json.Decoder(Query).decode_lines(path.read_bytes())


def evaluate(queries: Sequence[Query]) -> dict[str, dict[str, Quality]]:
    """Slice → way of ranking → quality. The slice `all` has every query."""
    pools = [_pool(query, queries) for query in queries]
    found: dict[str, dict[str, Quality]] = {}
    for name, ranker in RANKERS.items():
        measured = [_measure(query, ranker(query, pool)) for query, pool in zip(queries, pools, strict=True)]
        for part in ["all", *sorted({one for query in queries for one in query.slices})]:
            chosen = [row for query, row in zip(queries, measured, strict=True) if part in ("all", *query.slices)]
            found.setdefault(part, {})[name] = _mean(chosen)
    return found


def by_fit(query: Query, pool: Sequence[LabelledWorker]) -> list[str]:
    """As people see it: our score, with the places for newcomers; strangers to the trade are not there."""
    job = query.job
    need = Need(
        category=words.trade("category", job.category),
        skills=words.trades("skills", job.skills),
        budget=job.budget,
        place=job.place,
        published_at=NOW - timedelta(days=job.published_days_ago),
        urgent=job.urgent,
    )
    scored = [(score.total, one) for one in pool if (score := ranking.fit(need, _offer(one), now=NOW)) is not None]
    scored.sort(key=lambda pair: (-pair[0], pair[1].id))
    shown = ranking.with_newcomers(scored, is_newcomer=lambda pair: not pair[1].review_count)
    return [worker.id for _, worker in shown]


def by_text(query: Query, pool: Sequence[LabelledWorker]) -> list[str]:
    """Okapi BM25 (k1 1.2, b 0.75) of the job's words in what the workers wrote; no taxonomy, no numbers."""
    texts = {one.id: words.words(" ".join([one.headline, *one.skills])) for one in pool}
    mean = sum(map(len, texts.values())) / len(texts)
    spread = Counter(word for text in texts.values() for word in set(text))
    asked = set(words.words(" ".join([query.job.title, query.job.description, *query.job.skills])))

    def score(text: Sequence[str]) -> float:
        counts = Counter(text)
        total = 0.0
        for word in asked & counts.keys():
            rarity = math.log(1 + (len(texts) - spread[word] + 0.5) / (spread[word] + 0.5))
            total += rarity * counts[word] * 2.2 / (counts[word] + 1.2 * (0.25 + 0.75 * len(text) / mean))
        return total

    return sorted(texts, key=lambda one: (-score(texts[one]), one))


def by_chance(query: Query, pool: Sequence[LabelledWorker]) -> list[str]:
    """A shuffle that is the same each time."""
    shuffled = sorted(one.id for one in pool)
    random.Random(zlib.crc32(query.id.encode())).shuffle(shuffled)  # noqa: S311  # a baseline, not a secret
    return shuffled


RANKERS: Mapping[str, Ranker] = {"kelmah": by_fit, "text": by_text, "random": by_chance}


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], *, at: int) -> float:
    """Normalized discounted cumulative gain, with gains of 2^grade - 1."""
    ideal = _gain(sorted(grades.values(), reverse=True)[:at])
    return _gain([grades.get(one, 0) for one in ranked[:at]]) / ideal if ideal else 1.0


def _gain(grades: Sequence[int]) -> float:
    return sum(((1 << grade) - 1) / math.log2(place + 2) for place, grade in enumerate(grades))


def _measure(query: Query, ranked: list[str]) -> tuple[float, float, float]:
    grades = {one.worker.id: one.grade for one in query.candidates}
    right = {one for one, grade in grades.items() if grade >= RIGHT}
    precision = len(right.intersection(ranked[:5])) / 5
    recall = len(right.intersection(ranked[:100])) / len(right) if right else 1.0
    return ndcg(ranked, grades, at=10), precision, recall


def _mean(rows: Sequence[tuple[float, float, float]]) -> Quality:
    gain, precision, recall = (round(sum(column) / len(rows), 4) for column in zip(*rows, strict=True))
    return Quality(queries=len(rows), ndcg_at_10=gain, precision_at_5=precision, recall_at_100=recall)


def _pool(query: Query, queries: Sequence[Query]) -> list[LabelledWorker]:
    """The query's own candidates, and workers of other queries who offer nothing of its trades."""
    trades = {words.trade("trade", one) for one in (query.job.category, *query.job.skills)}
    near = {one for trade in trades for one in ranking.related(trade)}
    own = [one.worker for one in query.candidates]
    others = [one.worker for other in queries if other is not query for one in other.candidates]
    strangers = [one for one in others if near.isdisjoint(_offer(one).skills)]
    chance = random.Random(zlib.crc32(query.id.encode()))  # noqa: S311  # the same strangers each time
    return own + chance.sample(strangers, min(STRANGERS, len(strangers)))


def _offer(worker: LabelledWorker) -> Offer:
    return Offer(
        skills=frozenset(skill.id for skill in map(taxonomy.resolve, worker.skills) if skill),
        place=worker.place,
        hourly_rate=worker.hourly_rate,
        rating_milli=worker.rating_milli,
        review_count=worker.review_count,
        completed=worker.completed,
        active=worker.active,
        free_on=None
        if worker.free_in_days is None
        else [(NOW + timedelta(days=one)).date() for one in worker.free_in_days],
        response_rate_percent=worker.response_rate_percent,
    )
