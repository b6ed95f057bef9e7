"""A person's calendar: the work that is agreed, and what falls due; also as iCalendar (RFC 5545)."""

import hashlib
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from kelmah.contracts.job import BookingStatus, Calendar, CalendarEntry, CalendarFeed, CalendarKind, JobStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents import feeds
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.parts import Milestone
from kelmah.services.job.errors import FeedNotFound
from kelmah.services.job.service.reminders import UNDONE

#: Active contracts, and open jobs, that a calendar looks at: the last made.
MAX_CONTRACTS = 500
MAX_JOBS = 200
#: Where programs read a calendar; the token is in the query, which no log keeps.
FEED_PATH = "/api/v1/calendar/feed.ics"
#: Octets of a line before it is folded.
_LINE = 75
_WORDS = {
    CalendarKind.WORK: "Work",
    CalendarKind.MILESTONE_DUE: "Due",
    CalendarKind.ANSWER_DUE: "Counts as approved without an answer",
    CalendarKind.APPLICATIONS_CLOSE: "Applications close",
}


async def calendar(user_id: str) -> Calendar:
    """What is agreed and what falls due for a person, the earliest first."""
    found = await documents.active_contracts_of(user_id, limit=MAX_CONTRACTS)
    entries = [entry for contract in found for entry in _of_contract(contract)]
    jobs = await job_documents.jobs_of_hirer(user_id, status=JobStatus.OPEN, after=None, limit=MAX_JOBS)
    entries += [
        CalendarEntry(
            id=f"{job.id}-closes",
            kind=CalendarKind.APPLICATIONS_CLOSE,
            title=job.title,
            starts_at=job.expires_at,
            updated_at=job.updated_at,
            job_id=job.id,
        )
        for job in jobs
        if job.expires_at is not None
    ]
    return Calendar(items=sorted(entries, key=lambda entry: (entry.starts_at, entry.id)))


async def open_feed(*, by: Principal) -> CalendarFeed:
    """A private address of the person's calendar, in place of the one before."""
    token, now = secrets.token_urlsafe(32), clock.now()
    await feeds.open_feed(by.user_id, _hashed(token), at=now)
    return CalendarFeed(path=f"{FEED_PATH}?token={token}", created_at=now)


async def close_feed(*, by: Principal) -> None:
    """End the private address."""
    if not await feeds.close_feed(by.user_id):
        raise FeedNotFound


async def read_feed(token: str) -> bytes:
    """The calendar that this token opens, as iCalendar.

    Raises:
        FeedNotFound: it opens none, or none any more.
    """
    owner = await feeds.owner_of(_hashed(token))
    if owner is None:
        raise FeedNotFound
    return icalendar((await calendar(owner)).items)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _of_contract(contract: ContractDocument) -> Iterator[CalendarEntry]:
    if contract.work is not None:
        yield CalendarEntry(
            id=f"{contract.id}-work",
            kind=CalendarKind.WORK,
            title=contract.title,
            starts_at=contract.work.starts_at,
            ends_at=contract.work.ends_at,
            updated_at=contract.updated_at,
            is_firm=contract.booking is not None and contract.booking.status is BookingStatus.BOOKED,
            job_id=contract.job_id,
            contract_id=contract.id,
        )
    for milestone in contract.milestones:
        if milestone.due_at is not None and milestone.status in UNDONE:
            yield _instant_of(contract, milestone, CalendarKind.MILESTONE_DUE, "due", milestone.due_at)
        if milestone.auto_approves_at is not None:
            yield _instant_of(contract, milestone, CalendarKind.ANSWER_DUE, "answer", milestone.auto_approves_at)


def _instant_of(
    contract: ContractDocument, milestone: Milestone, kind: CalendarKind, suffix: str, at: datetime
) -> CalendarEntry:
    return CalendarEntry(
        id=f"{milestone.id}-{suffix}",
        kind=kind,
        title=f"{contract.title}: {milestone.title}",
        starts_at=at,
        updated_at=contract.updated_at,
        job_id=contract.job_id,
        contract_id=contract.id,
        milestone_id=milestone.id,
    )


def icalendar(entries: list[CalendarEntry]) -> bytes:
    """The entries as one iCalendar object, in UTC."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Kelmah//Calendar//EN", "CALSCALE:GREGORIAN"]
    for entry in entries:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{entry.id}@kelmah",
            f"DTSTAMP:{_instant(entry.updated_at)}",
            f"DTSTART:{_instant(entry.starts_at)}",
            *([f"DTEND:{_instant(entry.ends_at)}"] if entry.ends_at is not None else []),
            f"SUMMARY:{_escaped(f'{_WORDS[entry.kind]}: {entry.title}')}",
            f"STATUS:{'CONFIRMED' if entry.is_firm else 'TENTATIVE'}",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    r"""A TEXT value: `\`, `;`, `,` and line ends are escaped, other control characters are not allowed."""
    text = re.sub(r"([\\;,])", r"\\\1", text)
    text = re.sub(r"\r\n|\r|\n", r"\\n", text)
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", text)


def _folded(line: str) -> bytes:
    """The line with its end, in pieces of at most 75 octets, none of which ends within a character."""
    folded, room = bytearray(), _LINE
    for character in line:
        octets = character.encode()
        if len(octets) > room:
            folded += b"\r\n "
            room = _LINE - 1
        folded += octets
        room -= len(octets)
    return bytes(folded + b"\r\n")
