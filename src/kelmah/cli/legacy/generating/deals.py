"""Made-up deals: jobs, offers, contracts, the money of each, and what was said about it."""

import json
from datetime import datetime, timedelta
from decimal import Decimal

from kelmah.cli.legacy.generating.world import Row, World
from kelmah.cli.seed import words

_FEE_BASIS_POINTS = 1_000
_SAID = ("Good morning.", "When can you come?", "Tomorrow at eight.", "Thank you!")


def job(world: World, hirer: Row, workers: list[Row]) -> None:
    random = world.random
    trade, city = random.choice(list(world.skills)), random.choice(words.CITIES)
    created = world.when(hirer["created_at"], days=200)
    price = Decimal(random.randrange(100, 3_000))
    stage = random.choice(("draft", "open", "open", "deal", "deal", "deal", "cancelled"))
    job = world.add(
        "jobs",
        {
            "id": world.id(),
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
            "is_urgent": world.chance(0.1),
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
        applied = world.when(created, days=5)
        half = price / 2
        application = world.add(
            "applications",
            {
                "id": world.id(),
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
            _contract(world, job, application, hirer, worker, price)


def _contract(world: World, job: Row, application: Row, hirer: Row, worker: Row, price: Decimal) -> None:
    random = world.random
    signed = world.when(application["created_at"], days=3)
    stage = random.choice(("paid", "paid", "paid", "held", "submitted", "disputed", "refunded", "split", "unpaid"))
    over = stage in ("paid", "split")
    job["status"] = "completed" if over else job["status"]
    contract = world.add(
        "contracts",
        {
            "id": world.id(),
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
        milestone = world.add(
            "milestones",
            {
                "id": world.id(),
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
            _escrow(world, contract, milestone, held, signed)
    _talk(world, hirer, worker, contract)
    if over:
        _reviews(world, contract, hirer, worker)


def _escrow(world: World, contract: Row, milestone: Row, status: str, at: datetime) -> None:
    amount: Decimal = milestone["amount"]
    fee = Decimal(int(amount * 100) * _FEE_BASIS_POINTS // 10_000) / 100
    escrow = world.add(
        "escrows",
        {
            "id": world.id(),
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
    _book(world, hirer, "deposit", amount + world.random.choice((0, 0, 25)), at)
    _book(world, hirer, "escrow_hold", -amount, at)
    if status == "released":
        _book(world, worker, "escrow_release", amount - fee, at)
        if world.chance(0.7):
            _book(world, worker, "withdrawal", fee - amount, at)
    if status == "refunded":
        _book(world, hirer, "escrow_refund", amount, at)
    if status in ("disputed", "split"):
        _dispute(world, escrow, at)


def _dispute(world: World, escrow: Row, at: datetime) -> None:
    is_open = escrow["status"] == "disputed"
    half = (escrow["amount"] / 2).quantize(Decimal("0.01"))
    world.add(
        "disputes",
        {
            "id": world.id(),
            "escrow_id": escrow["id"],
            "raised_by": escrow["hirer_id"],
            "reason": "The wall is not straight.",
            "status": world.random.choice(("open", "under_review")) if is_open else "resolved",
            "worker_amount": None if is_open else half,
            "hirer_amount": None if is_open else escrow["amount"] - half,
            "resolution": None if is_open else "Both had a part in it.",
            "resolved_by": None,
            "resolved_at": None if is_open else at + timedelta(days=9),
            "created_at": at,
        },
    )
    if not is_open:
        _book(world, escrow["hirer_id"], "escrow_refund", escrow["amount"] - half, at)
        fee = Decimal(int(half * 100) * _FEE_BASIS_POINTS // 10_000) / 100
        _book(world, escrow["worker_id"], "escrow_release", half - fee, at)


def _book(world: World, user_id: str, kind: str, amount: Decimal, at: datetime) -> None:
    wallet = world.wallets[user_id]
    wallet["balance"] += amount
    world.add(
        "transactions",
        {
            "id": world.id(),
            "wallet_id": wallet["id"],
            "type": kind,
            "amount": amount,
            "status": "completed",
            "reference": f"ref-{world.random.getrandbits(40):010x}",
            "details": "{}",
            "created_at": at,
        },
    )


def _talk(world: World, hirer: Row, worker: Row, contract: Row) -> None:
    at: datetime = contract["created_at"]
    conversation = world.add(
        "conversations",
        {
            "id": world.id(),
            "kind": "contract",
            "contract_id": contract["id"],
            "created_at": at,
            "last_message_at": at + timedelta(hours=4),
        },
    )
    for person in (hirer, worker):
        world.add(
            "conversation_participants",
            {
                "conversation_id": conversation["id"],
                "user_id": person["id"],
                "last_read_at": at + timedelta(hours=world.random.randrange(5)),
                "is_muted": False,
                "is_archived": world.chance(0.1),
            },
        )
    for hour in range(4):
        world.add(
            "messages",
            {
                "id": world.id(),
                "conversation_id": conversation["id"],
                "sender_id": (hirer, worker)[hour % 2]["id"],
                "body": world.random.choice(_SAID),
                "attachments": "[]",
                "sent_at": at + timedelta(hours=hour, minutes=5),
                "edited_at": None,
                "deleted_at": at + timedelta(hours=9) if world.chance(0.02) else None,
            },
        )
    for person, kind in ((hirer, "contract.signed"), (worker, "contract.active"), (worker, "escrow.funded")):
        world.add(
            "notifications",
            {
                "id": world.id(),
                "user_id": person["id"],
                "type": kind,
                "data": json.dumps({"contractId": contract["id"], "amount": "50.00", "currency": "GHS"}),
                "read_at": at + timedelta(days=1) if world.chance(0.7) else None,
                "created_at": at,
            },
        )


def _reviews(world: World, contract: Row, hirer: Row, worker: Row) -> None:
    at: datetime = contract["completed_at"]
    for reviewer, subject in ((hirer, worker), (worker, hirer)):
        if not world.chance(0.7):
            continue
        stars = world.random.choice((5, 5, 4, 4, 3, 2))
        parts = ("quality", "communication", "timeliness", "professionalism", "value")
        world.add(
            "reviews",
            {
                "id": world.id(),
                "contract_id": contract["id"],
                "reviewer_id": reviewer["id"],
                "subject_id": subject["id"],
                "rating": stars,
                "criteria": json.dumps(dict.fromkeys(parts, stars)),
                "text": "Good work, and on time." if stars > 3 else "It took long.",
                "reply": "Thank you." if world.chance(0.2) else None,
                "replied_at": None,
                "status": world.random.choice(("published",) * 9 + ("pending",)),
                "created_at": at,
            },
        )
