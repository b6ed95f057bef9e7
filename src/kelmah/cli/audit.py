"""`kelmah audit`: who did what to accounts, money and trust, when and from where; filtered, exported and verified."""

import asyncio
import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec

from kelmah.cli import operator
from kelmah.cli.events import verify_
from kelmah.contracts.events import EVENT_TYPES
from kelmah.contracts.operators import OPERATOR_ACTED
from kelmah.kit.crypto import DecryptionError
from kelmah.kit.events import EventStore, Stored

#: How the types of events begin that matter to security, money and trust.
AUDITED = (
    *("auth.", "payment.", "job.contract_", "job.milestone_approved", "job.amendment_closed", "job.past_job_viewed"),
    *("review.review_moderated", "review.review_held", "review.review_appealed", "user.certificate_decided"),
    *("messaging.conversation_reported", "messaging.report_decided"),
    *(one.TYPE for one in OPERATOR_ACTED.values()),
)
FIELDS = ("time", "type", "actor", "subject", "address", "device", "request", "correlation", "data", "id", "digest")


def audit(
    *,
    actor: str | None = None,
    subject: str | None = None,
    type: str | None = None,  # noqa: A002  # the name of the option
    address: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    every: bool = False,
    format: Literal["table", "csv", "json"] = "table",  # noqa: A002  # the name of the option
    verify: bool = False,
) -> None:
    """List what was done to accounts, money and trust, oldest first.

    Args:
        actor: a person's id, system:<actor>, or operator:<login name>
        type: how the event's type begins
        subject: such as contract:<id>
        address: the IP address it was done from
        since: ISO 8601; UTC unless it says otherwise
        until: ISO 8601; UTC unless it says otherwise
        every: all events, not only those that matter to security, money and trust
        format: json writes one object a line
        verify: check the chain of every service first
    """
    if verify:
        verify_()
    wanted = [name for name in EVENT_TYPES if name.startswith(type or "") and (every or name.startswith(AUDITED))]

    async def find() -> list[dict[str, Any]]:
        async with operator.resources() as opened:
            rows = [
                await _entry(one.events, event)
                for one in opened.values()
                async for event in one.events.find(
                    types=wanted, actor=actor, subject=subject, since=operator.utc(since), until=operator.utc(until)
                )
            ]
        return sorted(
            (row for row in rows if address is None or row["address"] == address), key=lambda row: str(row["id"])
        )

    _write(asyncio.run(find()), format)


async def _entry(events: EventStore, event: Stored) -> dict[str, Any]:
    one = event.envelope
    return {
        "time": one.time.isoformat(),
        "type": one.type,
        "actor": one.actor,
        "subject": one.subject,
        "address": await _opened(events, one.person, one.address),
        "device": await _opened(events, one.person, one.device),
        "request": one.requestid,
        "correlation": one.correlationid,
        "data": msgspec.json.decode(one.data),
        "id": one.id,
        "digest": event.digest,
    }


async def _opened(events: EventStore, person: str | None, token: str | None) -> str | None:
    if person is None or token is None:
        return None
    try:
        return await events.people.open(person, token) or "(erased)"
    except DecryptionError:
        return "(altered)"


def _write(rows: list[dict[str, Any]], how: str) -> None:
    if how == "json":
        for row in rows:
            operator.say(json.dumps(row, ensure_ascii=False))
    elif how == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(FIELDS)
        writer.writerows(_cells(row) for row in rows)
    else:
        shown = ("time", "type", "actor", "subject", "address", "id")
        operator.show_table(shown, ([row[name] or "-" for name in shown] for row in rows))


def _cells(row: dict[str, Any]) -> Iterator[str]:
    for name in FIELDS:
        value = row[name]
        text = json.dumps(value, ensure_ascii=False) if name == "data" else str(value if value is not None else "")
        # A spreadsheet would run what begins like a formula.
        yield f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
