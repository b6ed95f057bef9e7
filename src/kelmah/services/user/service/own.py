"""What a person asks of the own profile as a whole: what is missing, what changed, and a copy of everything."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from kelmah.contracts.common import Page, Role
from kelmah.contracts.user import (
    Completeness,
    MissingPart,
    MyProfile,
    ProfileChange,
    ProfileExport,
    ProfileVersion,
    UpdateProfile,
    VisibilityChoice,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.pagination import MAX_LIMIT, encode_cursor
from kelmah.services.user import mapping
from kelmah.services.user.documents import history as documents
from kelmah.services.user.documents import versions as version_documents
from kelmah.services.user.documents.profiles import ProfileDocument
from kelmah.services.user.errors import VersionNotFound
from kelmah.services.user.service import analytics, bookings, bookmarks, choices, entries, profiles, search, versions
from kelmah.services.user.service.context import Context

#: The most changes of an export.
MAX_CHANGES = 1000


class Part(NamedTuple):
    """A part that makes a profile complete, for whom, and what it brings."""

    name: str
    points: int
    hint: str
    is_there: Callable[[ProfileDocument], object]
    roles: frozenset[Role]


_WORKER, _ALL = frozenset({Role.WORKER}), frozenset(Role)
#: What brings most comes first: what people are found by, then what makes them trusted.
PARTS = (
    Part("skills", 25, "Say which trades you offer.", lambda one: one.skills, _WORKER),
    Part("location", 20, "Say where you work, so that people nearby find you.", lambda one: one.place, _ALL),
    Part("headline", 15, "Say in one line what you do.", lambda one: one.headline, _ALL),
    Part("bio", 10, "Tell people about yourself.", lambda one: one.bio, _ALL),
    Part("hourlyRate", 10, "Say what an hour of yours costs.", lambda one: one.hourly_rate, _WORKER),
    Part("portfolio", 10, "Show a finished work, with pictures.", lambda one: one.portfolio, _WORKER),
    Part("languages", 5, "Say which languages you speak.", lambda one: one.languages, _ALL),
    Part("experience", 5, "Say what you did before.", lambda one: one.experience, _WORKER),
    Part("certificates", 5, "Add a certificate and have it verified.", lambda one: one.certificates, _WORKER),
    Part("availability", 5, "Say when you work.", lambda one: one.availability.weekly, _WORKER),
    Part("company", 5, "Say whom you hire for.", lambda one: one.company, frozenset({Role.HIRER})),
)


async def get_completeness(context: Context, *, by: Principal) -> Completeness:
    """How complete the caller's profile is."""
    profile = await profiles.get(context, by.user_id)
    parts = [part for part in PARTS if profile.role in part.roles]
    missing = [part for part in parts if not part.is_there(profile)]
    whole = sum(part.points for part in parts)
    return Completeness(
        percent=100 * (whole - sum(part.points for part in missing)) // whole,
        missing=[MissingPart(part=part.name, points=part.points, hint=part.hint) for part in missing],
    )


async def list_changes(context: Context, *, by: Principal, limit: int, cursor: str | None) -> Page[ProfileChange]:
    """What happened to the caller's profile, the last first."""
    before = search.read_cursor(cursor, (int,))[0] if cursor else None
    rows = await documents.changes(context.mongo, by.user_id, before=before, limit=limit + 1)
    return Page(
        items=[_change(row) for row in rows[:limit]],
        next_cursor=encode_cursor((rows[limit - 1]["sequence"],)) if len(rows) > limit else None,
    )


async def list_versions(context: Context, *, by: Principal, limit: int, cursor: str | None) -> Page[ProfileVersion]:
    """What each edit of the caller's own fields changed, the last first."""
    before = search.read_cursor(cursor, (int,))[0] if cursor else None
    rows = await version_documents.of_person(by.user_id, before=before, limit=limit + 1)
    return Page(
        items=[versions.view(context.ring, row) for row in rows[:limit]],
        next_cursor=encode_cursor((rows[limit - 1].version,)) if len(rows) > limit else None,
    )


async def restore(context: Context, version: int, *, by: Principal, if_version: int | None) -> tuple[MyProfile, int]:
    """Have the caller's own fields read as they did at a version. It is checked as an edit like any other."""
    row = await version_documents.find(by.user_id, version)
    if row is None:
        raise VersionNotFound
    data = msgspec.convert(versions.contents(context.ring, row).before, UpdateProfile)
    profile = await profiles.update_me(context, data, by=by, if_version=if_version)
    return profile, profile.version


async def export(context: Context, *, by: Principal) -> ProfileExport:
    """A copy of all that is kept of the caller here."""
    profile = await profiles.get(context, by.user_id)
    saved, cursor = [], None
    while True:
        page = await bookmarks.list_bookmarks(context, by=by, limit=MAX_LIMIT, cursor=cursor)
        saved += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    changes = await documents.changes(context.mongo, by.user_id, before=None, limit=MAX_CHANGES)
    edits = await version_documents.of_person(by.user_id, before=None, limit=version_documents.KEPT)
    return ProfileExport(
        exported_at=clock.now(),
        profile=mapping.my_profile(profile, profiles.unseal(context.ring, profile)),
        experience=[mapping.experience(entry) for entry in profile.experience],
        portfolio=[mapping.portfolio_item(entry) for entry in profile.portfolio],
        certificates=(await entries.list_certificates(context, by=by)).items,
        availability=mapping.availability(profile),
        bookings=[bookings.view(one) for one in profile.bookings],
        settings=mapping.settings(profile),
        notification_preferences=(await choices.get_notification_preferences(context, by.user_id))[0],
        visibility=VisibilityChoice(parts=mapping.visibility(profile)),
        bookmarks=saved,
        changes=[_change(row) for row in changes],
        versions=[versions.view(context.ring, row) for row in edits],
        analytics=await analytics.get_mine(context, by=by, days=365),
    )


def _change(row: documents.Change) -> ProfileChange:
    data = msgspec.json.decode(row["data"])
    return ProfileChange(
        sequence=row["sequence"],
        at=row["time"],
        event=row["type"],
        changed=data.get("changed", []),
    )
