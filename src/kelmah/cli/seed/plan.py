"""What a seed makes: people and deals, the same for the same seed, size and day. Nothing here touches a database."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from random import Random

from kelmah.cli.seed import words
from kelmah.contracts.common import Location, Role

#: Digits of a mobile number after 024.
_PHONE_DIGITS = 7
#: The staff's accounts are a year old on the seed's day, which is how that day is found again.
STAFF_AGE = timedelta(days=365)
DOMAIN = "example.com"


class Size(StrEnum):
    """How much is made: about 20, 300 or 5,000 people."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Stage(StrEnum):
    """How far a deal has come."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"
    AWAITING_SIGNATURES = "awaiting signatures"
    CANCELLED = "cancelled"
    ACTIVE = "active"
    FUNDED = "funded"
    SUBMITTED = "submitted"
    CHANGES_REQUESTED = "changes requested"
    DISPUTED = "disputed"
    RULED = "ruled"
    REFUNDED = "refunded"
    RELEASED = "released"
    REVIEW_SEALED = "review sealed"
    REVIEWED = "reviewed"


#: Days before the seed's day that a deal of this stage began. What waits for somebody is young, so that no deadline
#: (of a signature, an approval, a review) has passed on that day.
_AGES = {
    Stage.DRAFT: (1, 3),
    Stage.OPEN: (1, 8),
    Stage.PAUSED: (3, 12),
    Stage.CLOSED: (10, 60),
    Stage.AWAITING_SIGNATURES: (3, 4),
    Stage.CANCELLED: (12, 70),
    Stage.ACTIVE: (4, 6),
    Stage.FUNDED: (4, 8),
    Stage.SUBMITTED: (5, 9),
    Stage.CHANGES_REQUESTED: (6, 10),
    Stage.DISPUTED: (7, 11),
    Stage.RULED: (20, 80),
    Stage.REFUNDED: (15, 80),
    Stage.RELEASED: (12, 20),
    Stage.REVIEW_SEALED: (12, 14),
    Stage.REVIEWED: (16, 90),
}
#: One deal of each stage, then mostly those that a market has most of.
_COMMON = (*Stage, Stage.OPEN, Stage.REVIEWED, Stage.REVIEWED, Stage.REVIEWED, Stage.FUNDED, Stage.SUBMITTED)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody to register. `name` is unique within a seed; a worker has work and a rate in pesewas an hour."""

    name: str
    first: str
    last: str
    role: Role
    email: str
    joined: datetime
    location: Location
    street: str
    phone: str
    languages: list[str]
    company: str | None = None
    work: words.Work | None = None
    years: int = 0
    hourly_rate: int = 0


@dataclass(frozen=True, kw_only=True)
class Part:
    """A milestone; the amount is in pesewas."""

    title: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Deal:
    """A job and what became of it. `others` apply in vain. The fee aside, `parts` are what the worker is paid."""

    name: str
    stage: Stage
    hirer: Person
    worker: Person
    others: tuple[Person, ...]
    title: str
    description: str
    trade: str
    parts: tuple[Part, ...]
    chats: tuple[tuple[str, str], ...]
    letter: str
    stars: tuple[int, int]
    begins: datetime

    @property
    def price(self) -> int:
        return sum(part.amount for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one seed makes."""

    seed: int
    as_of: date
    staff: tuple[Person, ...]
    hirers: tuple[Person, ...]
    workers: tuple[Person, ...]
    deals: tuple[Deal, ...]

    @property
    def people(self) -> tuple[Person, ...]:
        return (*self.staff, *self.hirers, *self.workers)


#: Hirers, workers and deals.
_COUNTS = {Size.SMALL: (7, 10, 22), Size.MEDIUM: (97, 200, 240), Size.LARGE: (1_500, 3_497, 2_400)}
_STAFF = {"admin": Role.ADMIN, "moderator": Role.MODERATOR, "support": Role.SUPPORT}


def make_plan(seed: int, size: Size, as_of: date) -> Plan:
    """The plan of a seed. A larger size has the people of the smaller ones, and deals of its own."""
    hirers, workers, deals = _COUNTS[size]
    end = datetime.combine(as_of, time(), UTC)
    staff = tuple(_person(seed, name, role, end - STAFF_AGE) for name, role in _STAFF.items())
    hiring = tuple(_joining(seed, f"hirer-{n}", Role.HIRER, end) for n in range(hirers))
    working = tuple(_joining(seed, f"worker-{n}", Role.WORKER, end) for n in range(workers))
    return Plan(
        seed=seed,
        as_of=as_of,
        staff=staff,
        hirers=hiring,
        workers=working,
        deals=tuple(_deal(seed, size, n, hiring, working, end) for n in range(deals)),
    )


def _random(*parts: object) -> Random:
    return Random("/".join(map(str, parts)))  # noqa: S311  # to be repeated is the purpose


def _joining(seed: int, name: str, role: Role, end: datetime) -> Person:
    random = _random(seed, name, "joined")
    return _person(seed, name, role, end - timedelta(days=random.randint(100, 300), minutes=random.randint(1, 700)))


def _person(seed: int, name: str, role: Role, joined: datetime) -> Person:
    random = _random(seed, name)
    first, last = random.choice(words.WOMEN + words.MEN), random.choice(words.SURNAMES)
    # The first cities have most of the people.
    city = words.CITIES[min(random.randrange(len(words.CITIES)) for _ in range(2))]
    point = (
        round(city.longitude + random.uniform(-0.03, 0.03), 5),
        round(city.latitude + random.uniform(-0.03, 0.03), 5),
    )
    is_worker = role is Role.WORKER
    address = f"{name}.seed{seed}" if role in _STAFF.values() else f"{first}.{last}.{name}.seed{seed}"
    return Person(
        name=name,
        first=first,
        last=last,
        role=role,
        email=f"{address.lower()}@{DOMAIN}",
        joined=joined,
        location=Location(city=city.name, region=city.region, coordinates=point),
        street=f"{random.randint(1, 90)} {random.choice(words.STREETS)}",
        phone=f"024{random.randrange(10**_PHONE_DIGITS):0{_PHONE_DIGITS}}",
        languages=["en", *random.sample(words.LANGUAGES[1:], random.randint(0, 2))],
        company=f"{last} {random.choice(words.COMPANIES)}" if role is Role.HIRER and random.random() < 0.4 else None,
        work=random.choice(words.WORK) if is_worker else None,
        years=random.randint(1, 30) if is_worker else 0,
        hourly_rate=random.randrange(1_500, 12_000, 100) if is_worker else 0,
    )


def _deal(
    seed: int, size: Size, number: int, hirers: tuple[Person, ...], workers: tuple[Person, ...], end: datetime
) -> Deal:
    name = f"{size}-deal-{number}"
    random = _random(seed, name)
    stage = _COMMON[number % len(_COMMON)]
    worker, *others = random.sample(workers, 1 + random.randint(0, 2))
    assert worker.work is not None  # noqa: S101  # workers have work
    hirer = random.choice(hirers)
    least, most = worker.work.prices
    price = random.randrange(least, most, 10) * 100
    youngest, oldest = _AGES[stage]
    begins = end - timedelta(days=random.randint(youngest, oldest), hours=random.randint(1, 12))
    return Deal(
        name=name,
        stage=stage,
        hirer=hirer,
        worker=worker,
        others=tuple(others),
        title=random.choice(worker.work.titles),
        description=f"In {hirer.location.city}. " + " ".join(random.sample(words.DETAILS, 2)),
        trade=worker.work.trade,
        parts=_parts(price, random.choice((1, 1, 2, 3))),
        chats=tuple(random.sample(words.CHATS, random.randint(1, 3))),
        letter=random.choice(words.LETTERS),
        stars=(random.choice((5, 5, 5, 4, 4, 3, 2)), random.choice((5, 5, 4, 3))),
        begins=begins,
    )


def _parts(price: int, count: int) -> tuple[Part, ...]:
    """The price in `count` milestones; the last one has what does not divide."""
    each = price // count
    amounts = [*[each] * (count - 1), price - each * (count - 1)]
    titles = words.PARTS if count > 1 else ("All of the work",)
    return tuple(Part(title=title, amount=amount) for title, amount in zip(titles, amounts, strict=False))
