"""The page on where each column of the old database goes, made from the table by which rows are moved."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from kelmah.legacy.entities import ENTITIES, LEFT_TABLES, contracts, jobs, messages, money, people, profiles, reviews
from kelmah.legacy.entity import Entity, Part

PAGE = Path("docs/legacy-mapping.md")
_WORDS: Mapping[str, Mapping[str, Any]] = {
    "users.role": people.ROLES,
    "profiles.availability": profiles.STATUSES,
    "jobs.status": jobs.JOB_STATUSES,
    "applications.status": jobs.APPLICATION_STATUSES,
    "contracts.status": contracts.CONTRACT_STATUSES,
    "milestones.status": contracts.MILESTONE_STATUSES,
    "escrows.status": money.ESCROW_STATUSES,
    "disputes.status": money.DISPUTE_STATUSES,
    "notifications.type": messages.NOTIFICATION_TYPES,
    "reviews.status": reviews.STATUSES,
}


def pages() -> Iterator[tuple[Path, str]]:
    """The page with its text."""
    yield PAGE, _page()


def _page() -> str:
    lines = [
        "# Where the old columns go",
        "",
        "Made by `kelmah contracts export` from `kelmah/legacy/entities`. What to do with it: [legacy](legacy.md).",
        "A column without a place is not moved, and the rule says why. Whatever a rule refuses is in the report.",
        "",
        "Ids are the old UUIDs without dashes; ids of another kind become a UUID (version 5) of table and id.",
        "Times without a zone are UTC, which is Accra's. Times before 2000 or after tomorrow are impossible.",
        "Text is NFC, without control and reordering characters.",
    ]
    for entity in ENTITIES:
        lines += ["", f"## {entity.name}", "", *_entity(entity)]
    lines += ["", "## Tables of which nothing is moved", "", "| table | why |", "|---|---|"]
    lines += [f"| {table} | {why} |" for table, why in LEFT_TABLES.items()]
    lines += ["", "## Words", "", "Capitals do not matter. Any other word is refused.", ""]
    lines += ["| column | old word → here |", "|---|---|"]
    for column, words in _WORDS.items():
        said = ", ".join(f"{old} → {new.value if isinstance(new, StrEnum) else new}" for old, new in words.items())
        lines.append(f"| {column} | {said} |")
    return "\n".join(lines) + "\n"


def _entity(entity: Entity[Any]) -> Iterator[str]:
    yield f"Moved to the {entity.service} service, {entity.batch} to a transaction."
    for one in entity.references:
        needed = "was moved" if one.strict else "was moved, or belongs to somebody who left"
        yield f"Refused unless the row of `{one.table}` that `{one.column}` names {needed}."
    yield ""
    yield "| old column | goes to | rule |"
    yield "|---|---|---|"
    for part in entity.parts:
        yield from _part(part)


def _part(part: Part) -> Iterator[str]:
    for column, to in part.columns.items():
        yield f"| {part.table}.{column} | {to.where} | {to.rule} |"
