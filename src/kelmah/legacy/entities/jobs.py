"""Jobs and applications."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from kelmah.contracts import taxonomy
from kelmah.contracts.job import ApplicationStatus, JobStatus
from kelmah.kit import clock, text
from kelmah.legacy.database import Row
from kelmah.legacy.entity import Entity, Group, Part, Reference, To
from kelmah.legacy.reading import LeftBehind, Old, major, old_uuid

JOB_STATUSES = {
    "draft": JobStatus.DRAFT,
    "open": JobStatus.OPEN,
    "active": JobStatus.OPEN,
    "published": JobStatus.OPEN,
    "paused": JobStatus.PAUSED,
    "on_hold": JobStatus.PAUSED,
    "expired": JobStatus.EXPIRED,
    "in_progress": JobStatus.IN_PROGRESS,
    "assigned": JobStatus.IN_PROGRESS,
    "completed": JobStatus.COMPLETED,
    "done": JobStatus.COMPLETED,
    "cancelled": JobStatus.CANCELLED,
    "canceled": JobStatus.CANCELLED,
}
APPLICATION_STATUSES = {
    "submitted": ApplicationStatus.SUBMITTED,
    "pending": ApplicationStatus.SUBMITTED,
    "shortlisted": ApplicationStatus.SHORTLISTED,
    "accepted": ApplicationStatus.ACCEPTED,
    "hired": ApplicationStatus.ACCEPTED,
    "rejected": ApplicationStatus.REJECTED,
    "declined": ApplicationStatus.REJECTED,
    "withdrawn": ApplicationStatus.WITHDRAWN,
}


class _Location(msgspec.Struct, frozen=True):
    city: str
    region: str
    lng: float
    lat: float


class _Offer(msgspec.Struct, frozen=True):
    title: str
    amount: str | float | int


class OldJob(msgspec.Struct, frozen=True, kw_only=True):
    """Work that a hirer described."""

    id: str
    hirer_id: str
    status: JobStatus
    title: str
    description: str
    category: str
    skills: tuple[str, ...]
    budget: int
    currency: str
    city: str
    region: str
    coordinates: tuple[float, float]
    urgent: bool
    deadline: datetime | None
    created_at: datetime
    published_at: datetime | None = None
    updated_at: datetime | None = None
    contract_id: str | None = None

    def compared(self) -> "OldJob":
        """Without what is remade with each step."""
        return msgspec.structs.replace(self, updated_at=None, published_at=None, contract_id=None)


class OldOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone as a worker proposed it."""

    title: str
    amount: int


class OldApplication(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's offer."""

    id: str
    job_id: str
    hirer_id: str
    worker_id: str
    status: ApplicationStatus
    rate: int
    currency: str
    cover_letter: str
    milestones: tuple[OldOffer, ...]
    created_at: datetime
    updated_at: datetime | None = None
    contract_id: str | None = None

    def compared(self) -> "OldApplication":
        """Without what is remade with each step."""
        return msgspec.structs.replace(self, updated_at=None, contract_id=None)


def make_job(group: Group) -> OldJob:
    row = group.root
    if row.raw("deleted_at") is not None:
        raise LeftBehind("deleted by its hirer")
    status, deadline = row.choice("status", JOB_STATUSES), row.soft(lambda: row.optional_deadline("deadline"), None)
    if status is JobStatus.OPEN and deadline is not None and deadline <= clock.now():
        status = JobStatus.EXPIRED
    place = row.json("location", _Location)
    if not (-180 <= place.lng <= 180 and -90 <= place.lat <= 90):
        raise row.fault("location", "no place on earth")
    currency = row.currency("currency")
    budget = row.minor("budget", currency)
    if budget == 0:
        raise row.fault("budget", "nothing")
    skills = row.words("skills")
    known = [skill.id for skill in map(taxonomy.resolve, skills) if skill]
    if len(known) < len(skills):
        row.remarks.append(f"jobs.skills: {len(skills) - len(known)} unknown trades left out")
    return OldJob(
        id=row.id("id", "jobs"),
        hirer_id=row.id("hirer_id", "users"),
        status=status,
        title=row.line("title", 120),
        description=row.text("description", 10_000),
        category=_trade(row, "category"),
        skills=tuple(dict.fromkeys(known)),
        budget=budget,
        currency=currency,
        city=_cleaned(row, place.city),
        region=_cleaned(row, place.region),
        coordinates=(place.lng, place.lat),
        urgent=row.flag("is_urgent"),
        deadline=deadline,
        created_at=row.instant("created_at"),
        published_at=row.soft(lambda: row.optional_instant("published_at"), None),
        updated_at=row.soft(lambda: row.optional_instant("updated_at"), None),
        contract_id=row.optional_id("contract", "contracts"),
    )


def _trade(row: Old, column: str) -> str:
    known = taxonomy.resolve(row.line(column, 80))
    if known is None:
        raise row.fault(column, "no trade is called so")
    return known.id


def _cleaned(row: Old, value: str) -> str:
    try:
        cleaned = text.clean_line(value, 80)
    except ValueError:
        cleaned = ""
    if not taxonomy.fold(cleaned):
        raise row.fault("location", "no name of a place")
    return cleaned


def make_application(group: Group) -> OldApplication:
    row = group.root
    currency = row.currency("currency")
    rate = row.minor("proposed_rate", currency)
    if rate == 0:
        raise row.fault("proposed_rate", "nothing")
    return OldApplication(
        id=row.id("id", "applications"),
        job_id=row.id("job_id", "jobs"),
        hirer_id=row.id("hirer", "users"),
        worker_id=row.id("worker_id", "users"),
        status=row.choice("status", APPLICATION_STATUSES),
        rate=rate,
        currency=currency,
        cover_letter=row.optional_text("cover_letter", 10_000) or "",
        milestones=_offers(row, rate, currency),
        created_at=row.instant("created_at"),
        updated_at=row.soft(lambda: row.optional_instant("updated_at"), None),
        contract_id=row.optional_id("contract", "contracts"),
    )


def _offers(row: Old, rate: int, currency: str) -> tuple[OldOffer, ...]:
    """The proposed milestones; where there are none that add up to the rate, one of the whole."""
    whole = (OldOffer(title="The whole work", amount=rate),)

    def read() -> tuple[OldOffer, ...]:
        found = tuple(
            OldOffer(
                title=text.clean_line(one.title, 120), amount=row.minor_of("milestones", str(one.amount), currency)
            )
            for one in (row.json("milestones", list[_Offer]) if row.raw("milestones") else [])
        )
        if found and (sum(one.amount for one in found) != rate or not all(one.title and one.amount for one in found)):
            raise row.fault("milestones", "do not add up to the rate")
        return found or whole

    return row.soft(read, whole)


def job_rows(job: OldJob) -> Iterator[tuple[str, Row]]:
    """As the old tables have it."""
    place = {"city": job.city, "region": job.region, "lng": job.coordinates[0], "lat": job.coordinates[1]}
    yield (
        "jobs",
        {
            "id": old_uuid(job.id),
            "hirer_id": old_uuid(job.hirer_id),
            "title": job.title,
            "description": job.description,
            "category": job.category,
            "skills": msgspec.json.encode(job.skills).decode(),
            "budget": major(job.budget, job.currency),
            "currency": job.currency,
            "location": msgspec.json.encode(place).decode(),
            "status": job.status.value,
            "is_urgent": job.urgent,
            "deadline": job.deadline and job.deadline.replace(tzinfo=None),
            "published_at": job.published_at,
            "created_at": job.created_at,
            "updated_at": job.updated_at,
        },
    )


def application_rows(application: OldApplication) -> Iterator[tuple[str, Row]]:
    """As the old tables have it."""
    currency = application.currency
    offers = [{"title": one.title, "amount": str(major(one.amount, currency))} for one in application.milestones]
    yield (
        "applications",
        {
            "id": old_uuid(application.id),
            "job_id": old_uuid(application.job_id),
            "worker_id": old_uuid(application.worker_id),
            "cover_letter": application.cover_letter,
            "proposed_rate": major(application.rate, currency),
            "currency": currency,
            "milestones": msgspec.json.encode(offers).decode(),
            "status": application.status.value,
            "created_at": application.created_at,
            "updated_at": application.updated_at,
        },
    )


_JOB_CONTRACT = """SELECT c.id FROM {contracts} c
WHERE c.job_id = t.id AND c.status::text <> 'cancelled' ORDER BY c.created_at DESC, c.id LIMIT 1"""

JOBS = Entity(
    name="jobs",
    service="job",
    make=make_job,
    rows=job_rows,
    references=(Reference("hirer_id", "users", "auth"),),
    root=Part(
        table="jobs",
        extra={"contract": _JOB_CONTRACT},
        columns={
            "id": To("jobs._id", "the UUID without dashes"),
            "hirer_id": To("jobs.hirer_id"),
            "title": To("jobs.title"),
            "description": To("jobs.description"),
            "category": To("jobs.category", "by its name in the taxonomy; unknown trades are refused"),
            "skills": To("jobs.skills", "by their names in the taxonomy; unknown ones are left out"),
            "budget": To("jobs.budget.amount", "minor units; none, NaN and negative ones are refused"),
            "currency": To("jobs.budget.currency"),
            "location": To("jobs.location", "JSON of city, region, lng, lat; any other shape is refused"),
            "status": To("jobs.status", "see `JOB_STATUSES`; open past its deadline → expired"),
            "is_urgent": To("jobs.urgent"),
            "deadline": To("jobs.application_deadline, expires_at", "written without a zone in Accra, which is UTC"),
            "published_at": To("jobs.published_at", "else when it was made"),
            "created_at": To("jobs.created_at"),
            "updated_at": To("jobs.updated_at"),
            "deleted_at": To("(left behind)", "deleted ones are not moved"),
        },
    ),
)

APPLICATIONS = Entity(
    name="applications",
    service="job",
    make=make_application,
    rows=application_rows,
    references=(Reference("job_id", "jobs", "job"), Reference("worker_id", "users", "auth")),
    root=Part(
        table="applications",
        extra={
            "hirer": "SELECT j.hirer_id FROM {jobs} j WHERE j.id = t.job_id",
            "contract": "SELECT c.id FROM {contracts} c WHERE c.application_id = t.id ORDER BY c.created_at LIMIT 1",
        },
        columns={
            "id": To("applications._id", "the UUID without dashes"),
            "job_id": To("applications.job_id"),
            "worker_id": To("applications.worker_id"),
            "cover_letter": To("applications.cover_letter"),
            "proposed_rate": To("applications.proposed_rate.amount", "minor units; none, NaN and negative are refused"),
            "currency": To("applications.proposed_rate.currency"),
            "milestones": To("applications.milestones", "JSON; where it does not add up to the rate, one of the whole"),
            "status": To("applications.status", "see `APPLICATION_STATUSES`; a second live one to a job is refused"),
            "created_at": To("applications.created_at"),
            "updated_at": To("applications.updated_at"),
        },
    ),
)
