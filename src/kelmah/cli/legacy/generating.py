"""A made-up old database: realistic people, deals and money, of which a share is dirty in the ways that old data is.

The same seed makes the same rows. Money adds up, but where it is meant not to: wallets are the sum of their completed
transactions, escrows are what their milestones cost. Passwords are hashed with bcrypt at the lowest cost (4), from a
thousand hashes that people share, so that a large database is made in minutes: see `password`.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import bcrypt
import psycopg
from psycopg import sql

from kelmah.cli.legacy import dirt
from kelmah.cli.seed import words
from kelmah.contracts import taxonomy

BCRYPT_COST = 4
PASSWORDS = 1_000
#: People whose rows are in memory at once.
CHUNK = 2_000
#: The day on which made-up people stop doing things.
END = datetime(2026, 6, 30, tzinfo=UTC)
_FEE_BASIS_POINTS = 1_000
_SAID = ("Good morning.", "When can you come?", "Tomorrow at eight.", "Thank you!")
#: Tables in the order of their foreign keys.
ORDER = (
    *("users", "credentials", "social_logins", "refresh_tokens", "profiles", "addresses", "user_skills"),
    *("portfolio_items", "settings", "jobs", "applications", "contracts", "milestones", "wallets", "transactions"),
    *("escrows", "disputes", "conversations", "conversation_participants", "messages", "notifications", "reviews"),
)

Row = dict[str, Any]


def password(number: int) -> str:
    """The password of the person with this number."""
    return f"old password {number % PASSWORDS}"


@cache
def _hash(number: int) -> str:
    return bcrypt.hashpw(password(number).encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


class World:
    """The rows of one chunk of people."""

    def __init__(self, seed: int, chunk: int, dirty: float, skills: Mapping[str, str]) -> None:
        self.random = Random(f"{seed}/{chunk}")  # noqa: S311  # to be repeated is the purpose
        self.dirty = dirty
        self.rows: dict[str, list[Row]] = {table: [] for table in ORDER}
        self._skills = skills
        self._wallets: dict[str, Row] = {}

    def id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def when(self, after: datetime, *, days: float) -> datetime:
        found = after + timedelta(seconds=int(self.random.random() * days * 86_400))
        return min(found, END)

    def add(self, table: str, row: Row) -> Row:
        self.rows[table].append(row)
        return row

    def spoiled(self, table: str) -> list[Row]:
        """The rows of a table, a share of them dirty."""
        found: list[Row] = []
        before: Row | None = None
        for row in self.rows[table]:
            spoilers = dirt.SPOILERS.get(table, ())
            if spoilers and self.chance(self.dirty):
                found.append(self.random.choice(spoilers)(dict(row), self.random, before))
            else:
                found.append(row)
            before = row
        return found

    # --- People ---

    def person(self, number: int) -> Row:
        random = self.random
        woman = self.chance(0.5)
        first, last = random.choice(words.WOMEN if woman else words.MEN), random.choice(words.SURNAMES)
        created = END - timedelta(days=random.random() * 1_400)
        created = created.replace(microsecond=random.randrange(1_000) * 1_000)
        is_worker = number % 5 < 3
        verified = self.chance(0.9)
        user: Row = {
            "id": self.id(),
            "email": f"{first}.{last}.{number}@example.com"
            if self.chance(0.3)
            else f"{first.lower()}{number}@example.com",
            "phone": f"02{random.choice('04567')} {random.randrange(100, 999)} {random.randrange(1000, 9999)}",
            "first_name": first,
            "last_name": last,
            "role": "worker" if is_worker else "client",
            "status": "active" if verified else "pending",
            "email_verified_at": created + timedelta(hours=1) if verified else None,
            "last_login_at": self.when(created, days=300),
            "created_at": created,
            "updated_at": self.when(created, days=300),
            "deleted_at": None,
        }
        if self.chance(0.02):
            user["status"] = random.choice(("suspended", "banned"))
        elif self.chance(0.02):
            user |= {"status": "deleted", "deleted_at": self.when(created, days=100)}
        self.add("users", user)
        self.add(
            "credentials",
            {
                "user_id": user["id"],
                "password_hash": _hash(number % PASSWORDS),
                "algorithm": "bcrypt",
                "failed_attempts": random.choice((0, 0, 0, 1, 7)),
                "totp_secret": "JBSWY3DPEHPK3PXP" if self.chance(0.03) else None,
                "totp_enabled": False,
                "changed_at": created,
            },
        )
        if self.chance(0.2):
            provider = random.choice(("google", "google", "linkedin", "facebook"))
            self.add(
                "social_logins",
                {
                    "id": self.id(),
                    "user_id": user["id"],
                    "provider": provider,
                    "subject": str(random.getrandbits(60)),
                    "access_token": "gone",
                    "created_at": created,
                },
            )
        self.add(
            "refresh_tokens",
            {
                "id": self.id(),
                "user_id": user["id"],
                "token_hash": f"{random.getrandbits(256):064x}",
                "user_agent": "Mozilla/5.0",
                "ip": "41.66.200.1",
                "expires_at": END,
                "revoked_at": None,
                "created_at": created,
            },
        )
        self._profile(user, is_worker=is_worker)
        self._wallets[user["id"]] = self.add(
            "wallets",
            {
                "id": self.id(),
                "user_id": user["id"],
                "currency": "GHS",
                "balance": Decimal(0),
                "created_at": created,
                "updated_at": created,
            },
        )
        return user

    def _profile(self, user: Row, *, is_worker: bool) -> None:
        random, key, created = self.random, user["id"], user["created_at"]
        city = random.choice(words.CITIES)
        trades = random.sample(list(self._skills), 2)
        if self.chance(0.9):
            self.add(
                "profiles",
                {
                    "user_id": key,
                    "headline": f"{trades[0]} in {city.name}" if is_worker else None,
                    "bio": f"I live in {city.name} and know my trade." if self.chance(0.6) else None,
                    "company": f"{user['last_name']} and Sons" if self.chance(0.2) else None,
                    "hourly_rate": Decimal(random.randrange(20, 200)) if is_worker else None,
                    "currency": "GHS",
                    "languages": json.dumps(["en", random.choice(("tw", "ee", "ha", "gaa"))]),
                    "availability": random.choice(("available", "available", "busy", "away")),
                    "is_public": self.chance(0.95),
                    "avatar_url": f"https://cdn.example.com/{key}.jpg",
                    "date_of_birth": (created - timedelta(days=random.randrange(7_000, 20_000))).date(),
                    "created_at": created,
                    "updated_at": user["updated_at"],
                },
            )
        if self.chance(0.8):
            self.add(
                "addresses",
                {
                    "id": self.id(),
                    "user_id": key,
                    "line1": f"House {random.randrange(1, 400)}",
                    "line2": None,
                    "city": city.name,
                    "region": city.region,
                    "country": "GH",
                    "latitude": Decimal(str(round(city.latitude + random.random() / 50, 6))),
                    "longitude": Decimal(str(round(city.longitude + random.random() / 50, 6))),
                    "is_primary": True,
                    "created_at": created,
                    "deleted_at": None,
                },
            )
        for trade in trades if is_worker else ():
            self.add(
                "user_skills",
                {
                    "id": self.id(),
                    "user_id": key,
                    "skill_id": self._skills[trade],
                    "years_experience": random.randrange(30),
                    "created_at": created,
                },
            )
        if is_worker and self.chance(0.4):
            self.add(
                "portfolio_items",
                {
                    "id": self.id(),
                    "user_id": key,
                    "title": f"{trades[0]} at a house in {city.name}",
                    "description": None,
                    "completed_on": created.date(),
                    "image_urls": json.dumps(["https://cdn.example.com/1.jpg"]) if self.chance(0.3) else "[]",
                    "created_at": created,
                    "deleted_at": None,
                },
            )
        if self.chance(0.8):
            self.add(
                "settings",
                {
                    "user_id": key,
                    "locale": random.choice(("en", "en_GH", "fr")),
                    "time_zone": "Africa/Accra",
                    "currency": "GHS",
                    "notifications": json.dumps({"email": True, "sms": self.chance(0.3), "push": True}),
                    "updated_at": created,
                },
            )

    # --- Deals ---

    def job(self, hirer: Row, workers: list[Row]) -> None:
        random = self.random
        trade, city = random.choice(list(self._skills)), random.choice(words.CITIES)
        created = self.when(hirer["created_at"], days=200)
        price = Decimal(random.randrange(100, 3_000))
        stage = random.choice(("draft", "open", "open", "deal", "deal", "deal", "cancelled"))
        job = self.add(
            "jobs",
            {
                "id": self.id(),
                "hirer_id": hirer["id"],
                "title": f"{trade} wanted in {city.name}",
                "description": f"Work for a {trade.lower()} in {city.name}. Tools are there.",
                "category": trade,
                "skills": json.dumps([trade]),
                "budget": price,
                "currency": "GHS",
                "location": json.dumps(
                    {"city": city.name, "region": city.region, "lng": city.longitude, "lat": city.latitude}
                ),
                "status": {"deal": "in_progress"}.get(stage, stage),
                "is_urgent": self.chance(0.1),
                "deadline": None,
                "published_at": None if stage == "draft" else created,
                "created_at": created,
                "updated_at": created,
                "deleted_at": None,
            },
        )
        if stage == "draft":
            return
        applicants = random.sample(workers, min(2, len(workers)))
        for place, worker in enumerate(applicants):
            is_hired = stage == "deal" and place == 0
            applied = self.when(created, days=5)
            half = price / 2
            application = self.add(
                "applications",
                {
                    "id": self.id(),
                    "job_id": job["id"],
                    "worker_id": worker["id"],
                    "cover_letter": "I have done this for years.",
                    "proposed_rate": price,
                    "currency": "GHS",
                    "milestones": json.dumps(
                        [{"title": "First half", "amount": str(half)}, {"title": "Second half", "amount": str(half)}]
                    ),
                    "status": "accepted" if is_hired else "rejected" if stage == "deal" else "submitted",
                    "created_at": applied,
                    "updated_at": applied,
                },
            )
            if is_hired:
                self._contract(job, application, hirer, worker, price)

    def _contract(self, job: Row, application: Row, hirer: Row, worker: Row, price: Decimal) -> None:
        random = self.random
        signed = self.when(application["created_at"], days=3)
        stage = random.choice(("paid", "paid", "paid", "held", "submitted", "disputed", "refunded", "split", "unpaid"))
        over = stage in ("paid", "split")
        job["status"] = "completed" if over else job["status"]
        contract = self.add(
            "contracts",
            {
                "id": self.id(),
                "job_id": job["id"],
                "application_id": application["id"],
                "hirer_id": hirer["id"],
                "worker_id": worker["id"],
                "title": job["title"],
                "description": job["description"],
                "total": price,
                "currency": "GHS",
                "status": "completed" if over else "cancelled" if stage == "refunded" else "active",
                "hirer_signed_at": signed,
                "worker_signed_at": signed,
                "completed_at": signed + timedelta(days=20) if over else None,
                "cancelled_at": signed + timedelta(days=20) if stage == "refunded" else None,
                "created_at": application["created_at"],
                "updated_at": signed,
            },
        )
        states = {
            "paid": ("paid", "released"),
            "held": ("funded", "held"),
            "submitted": ("submitted", "held"),
            "disputed": ("disputed", "disputed"),
            "refunded": ("refunded", "refunded"),
            "split": ("paid", "split"),
            "unpaid": ("pending", None),
        }
        status, held = states[stage]
        for position in range(2):
            milestone = self.add(
                "milestones",
                {
                    "id": self.id(),
                    "contract_id": contract["id"],
                    "position": position,
                    "title": ("First half", "Second half")[position],
                    "amount": price / 2,
                    "status": status,
                    "due_on": None,
                    "submitted_at": signed + timedelta(days=2) if stage in ("paid", "submitted") else None,
                    "approved_at": signed + timedelta(days=3) if stage == "paid" else None,
                },
            )
            if held is not None:
                self._escrow(contract, milestone, held, signed)
        self._talk(hirer, worker, contract)
        if over:
            self._reviews(contract, hirer, worker)

    def _escrow(self, contract: Row, milestone: Row, status: str, at: datetime) -> None:
        amount: Decimal = milestone["amount"]
        fee = Decimal(int(amount * 100) * _FEE_BASIS_POINTS // 10_000) / 100
        escrow = self.add(
            "escrows",
            {
                "id": self.id(),
                "contract_id": contract["id"],
                "milestone_id": milestone["id"],
                "hirer_id": contract["hirer_id"],
                "worker_id": contract["worker_id"],
                "amount": amount,
                "fee": fee,
                "currency": "GHS",
                "status": status,
                "created_at": at,
                "updated_at": at,
            },
        )
        hirer, worker = contract["hirer_id"], contract["worker_id"]
        self._book(hirer, "deposit", amount + self.random.choice((0, 0, 25)), at)
        self._book(hirer, "escrow_hold", -amount, at)
        if status == "released":
            self._book(worker, "escrow_release", amount - fee, at)
            if self.chance(0.7):
                self._book(worker, "withdrawal", fee - amount, at)
        if status == "refunded":
            self._book(hirer, "escrow_refund", amount, at)
        if status in ("disputed", "split"):
            self._dispute(escrow, at)

    def _dispute(self, escrow: Row, at: datetime) -> None:
        is_open = escrow["status"] == "disputed"
        half = (escrow["amount"] / 2).quantize(Decimal("0.01"))
        self.add(
            "disputes",
            {
                "id": self.id(),
                "escrow_id": escrow["id"],
                "raised_by": escrow["hirer_id"],
                "reason": "The wall is not straight.",
                "status": self.random.choice(("open", "under_review")) if is_open else "resolved",
                "worker_amount": None if is_open else half,
                "hirer_amount": None if is_open else escrow["amount"] - half,
                "resolution": None if is_open else "Both had a part in it.",
                "resolved_by": None,
                "resolved_at": None if is_open else at + timedelta(days=9),
                "created_at": at,
            },
        )
        if not is_open:
            self._book(escrow["hirer_id"], "escrow_refund", escrow["amount"] - half, at)
            fee = Decimal(int(half * 100) * _FEE_BASIS_POINTS // 10_000) / 100
            self._book(escrow["worker_id"], "escrow_release", half - fee, at)

    def _book(self, user_id: str, kind: str, amount: Decimal, at: datetime) -> None:
        wallet = self._wallets[user_id]
        wallet["balance"] += amount
        self.add(
            "transactions",
            {
                "id": self.id(),
                "wallet_id": wallet["id"],
                "type": kind,
                "amount": amount,
                "status": "completed",
                "reference": f"ref-{self.random.getrandbits(40):010x}",
                "details": "{}",
                "created_at": at,
            },
        )

    # --- Words ---

    def _talk(self, hirer: Row, worker: Row, contract: Row) -> None:
        at: datetime = contract["created_at"]
        conversation = self.add(
            "conversations",
            {
                "id": self.id(),
                "kind": "contract",
                "contract_id": contract["id"],
                "created_at": at,
                "last_message_at": at + timedelta(hours=4),
            },
        )
        for person in (hirer, worker):
            self.add(
                "conversation_participants",
                {
                    "conversation_id": conversation["id"],
                    "user_id": person["id"],
                    "last_read_at": at + timedelta(hours=self.random.randrange(5)),
                    "is_muted": False,
                    "is_archived": self.chance(0.1),
                },
            )
        for hour in range(4):
            self.add(
                "messages",
                {
                    "id": self.id(),
                    "conversation_id": conversation["id"],
                    "sender_id": (hirer, worker)[hour % 2]["id"],
                    "body": self.random.choice(_SAID),
                    "attachments": "[]",
                    "sent_at": at + timedelta(hours=hour, minutes=5),
                    "edited_at": None,
                    "deleted_at": at + timedelta(hours=9) if self.chance(0.02) else None,
                },
            )
        for person, kind in ((hirer, "contract.signed"), (worker, "contract.active"), (worker, "escrow.funded")):
            self.add(
                "notifications",
                {
                    "id": self.id(),
                    "user_id": person["id"],
                    "type": kind,
                    "data": json.dumps({"contractId": contract["id"], "amount": "50.00", "currency": "GHS"}),
                    "read_at": at + timedelta(days=1) if self.chance(0.7) else None,
                    "created_at": at,
                },
            )

    def _reviews(self, contract: Row, hirer: Row, worker: Row) -> None:
        at: datetime = contract["completed_at"]
        for reviewer, subject in ((hirer, worker), (worker, hirer)):
            if not self.chance(0.7):
                continue
            stars = self.random.choice((5, 5, 4, 4, 3, 2))
            parts = ("quality", "communication", "timeliness", "professionalism", "value")
            self.add(
                "reviews",
                {
                    "id": self.id(),
                    "contract_id": contract["id"],
                    "reviewer_id": reviewer["id"],
                    "subject_id": subject["id"],
                    "rating": stars,
                    "criteria": json.dumps(dict.fromkeys(parts, stars)),
                    "text": "Good work, and on time." if stars > 3 else "It took long.",
                    "reply": "Thank you." if self.chance(0.2) else None,
                    "replied_at": None,
                    "status": self.random.choice(("published",) * 9 + ("pending",)),
                    "created_at": at,
                },
            )


def generate(
    url: str, *, users: int, seed: int, dirty: float, tell: Callable[[int], None] = lambda _: None
) -> dict[str, int]:
    """Fill an empty database that has the baseline; gives the rows of each table. All or nothing."""
    made: dict[str, int] = dict.fromkeys(("skills", *ORDER), 0)
    with psycopg.connect(url) as connection:
        skills = _skills(connection, seed)
        made["skills"] = len(skills)
        for chunk, start in enumerate(range(0, users, CHUNK)):
            world = World(seed, chunk, dirty, skills)
            people = [world.person(number) for number in range(start, min(start + CHUNK, users))]
            workers = [one for one in people if one["role"] == "worker"]
            for person in people:
                if person["role"] == "client" and world.chance(0.8):
                    world.job(person, workers)
            for table in ORDER:
                rows = world.spoiled(table)
                _copy(connection, table, rows)
                made[table] += len(rows)
            tell(min(start + CHUNK, users))
    return made


def _skills(connection: psycopg.Connection[Any], seed: int) -> dict[str, str]:
    """The old list of trades: those of the taxonomy, and one that nobody knows."""
    random = Random(seed)  # noqa: S311
    names = [one.name for one in taxonomy.skills().values() if one.parent] + ["Moon polisher"]
    rows = {name: str(uuid.UUID(int=random.getrandbits(128), version=4)) for name in names}
    _copy(connection, "skills", [{"id": key, "name": name} for name, key in rows.items()])
    known = [name for name in names if taxonomy.resolve(name)]
    return {name: rows[name] for name in known}


def _copy(connection: psycopg.Connection[Any], table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in columns])
