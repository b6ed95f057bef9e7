"""Profiles: users, profiles, addresses, skills, portfolio and settings become profiles of the user service."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import available_timezones

import msgspec

from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import DEFAULT_CURRENCY, DEFAULT_TIME_ZONE, Role
from kelmah.contracts.user import WorkerStatus
from kelmah.legacy.database import Row
from kelmah.legacy.entities.people import MAX_NAME_CHARS, ROLES
from kelmah.legacy.entity import Entity, Group, Part, Reference, To, stays
from kelmah.legacy.reading import LeftBehind, Old, Unmappable, major, old_uuid

STATUSES = {
    "available": WorkerStatus.AVAILABLE,
    "busy": WorkerStatus.BUSY,
    "away": WorkerStatus.PAUSED,
    "on_leave": WorkerStatus.PAUSED,
}
_OLD_STATUSES = {
    WorkerStatus.AVAILABLE: "available",
    WorkerStatus.BUSY: "busy",
    WorkerStatus.PAUSED: "away",
}
_TIME_ZONES = frozenset(available_timezones())


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """By which ways somebody wants to be told."""

    email: bool = True
    sms: bool = False
    push: bool = True


class OldSkill(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    years: int | None


class OldWork(msgspec.Struct, frozen=True, kw_only=True):
    """A finished work to show."""

    id: str
    title: str
    description: str | None
    completed_on: date | None


class OldProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of himself or herself."""

    id: str
    role: Role
    first_name: str
    last_name: str
    phone: str | None
    created_at: datetime
    updated_at: datetime
    headline: str | None = None
    bio: str | None = None
    company: str | None = None
    hourly_rate: tuple[int, str] | None = None
    languages: tuple[str, ...] = ()
    status: WorkerStatus = WorkerStatus.AVAILABLE
    is_discoverable: bool = True
    address: str | None = None
    city: str | None = None
    region: str | None = None
    coordinates: tuple[float, float] | None = None
    skills: tuple[OldSkill, ...] = ()
    portfolio: tuple[OldWork, ...] = ()
    locale: str = "en"
    time_zone: str = DEFAULT_TIME_ZONE
    currency: str = DEFAULT_CURRENCY
    preferences: Preferences | None = None

    def compared(self) -> "OldProfile":
        """Without what is remade with each edit."""
        return msgspec.structs.replace(self, updated_at=self.created_at)


def make(group: Group) -> OldProfile:
    user = group.root
    if user.raw("status") == "deleted" or user.raw("deleted_at") is not None:
        raise LeftBehind("deleted by its owner")
    created_at = user.instant("created_at")
    said = next(iter(group.rows("profiles", _profile)), {})
    place = next(iter(group.rows("addresses", _address)), {})
    chosen = next(iter(group.rows("settings", _settings)), {})
    skills = {one.id: one for one in group.rows("user_skills", _skill)}
    return OldProfile(
        id=user.id("id", "users"),
        role=user.choice("role", ROLES),
        first_name=user.optional_line("first_name", MAX_NAME_CHARS) or "",
        last_name=user.optional_line("last_name", MAX_NAME_CHARS) or "",
        phone=user.soft(lambda: user.optional_phone("phone"), None),
        created_at=created_at,
        **({"updated_at": created_at} | said | place | chosen),
        skills=tuple(skills.values())[:30],
        portfolio=tuple(group.rows("portfolio_items", _work)),
    )


def _profile(row: Old) -> dict[str, Any]:
    currency = row.soft(lambda: row.currency("currency"), DEFAULT_CURRENCY)
    rate = row.soft(lambda: row.minor("hourly_rate", currency) if row.raw("hourly_rate") else 0, 0)
    languages = row.words("languages")
    known = [one for one in dict.fromkeys(languages) if 2 <= len(one) <= 3 and one.isascii() and one.islower()]
    found: dict[str, Any] = {
        "headline": row.soft(lambda: row.optional_line("headline", 120), None),
        "bio": row.soft(lambda: row.optional_text("bio", 4000), None),
        "company": row.soft(lambda: row.optional_line("company", 120), None),
        "hourly_rate": (rate, currency) if rate else None,
        "languages": tuple(known[:10]),
        "status": row.soft(lambda: row.choice("availability", STATUSES), WorkerStatus.AVAILABLE),
        "is_discoverable": row.flag("is_public"),
    }
    if (updated_at := row.soft(lambda: row.optional_instant("updated_at"), None)) is not None:
        found["updated_at"] = updated_at
    return found


def _address(row: Old) -> dict[str, Any]:
    if row.raw("deleted_at") is not None:
        raise LeftBehind("deleted by its owner")
    if not row.flag("is_primary"):
        raise LeftBehind("only the primary address has a place in a profile")
    lines = [row.optional_line(name, 140) for name in ("line1", "line2")]
    found: dict[str, Any] = {"address": ", ".join(one for one in lines if one) or None}
    latitude = row.soft(lambda: row.degrees("latitude", 90), None)
    longitude = row.soft(lambda: row.degrees("longitude", 180), None)
    city, region = row.soft(lambda: row.optional_line("city", 80), None), row.optional_line("region", 80)
    if city and region and latitude is not None and longitude is not None and regions.key(region):
        known = regions.ghana().get(regions.key(region), region)
        found |= {"city": city, "region": known, "coordinates": (longitude, latitude)}
    else:
        row.remarks.append("addresses: no place, which takes a city, a region and coordinates")
    return found


def _settings(row: Old) -> dict[str, Any]:
    time_zone = row.raw("time_zone") or DEFAULT_TIME_ZONE
    if time_zone not in _TIME_ZONES:
        row.remarks.append("settings.time_zone: not a time zone")
        time_zone = DEFAULT_TIME_ZONE
    locale = (row.raw("locale") or "en").replace("_", "-")[:2].lower()
    return {
        "locale": locale if locale.isascii() and locale.isalpha() else "en",
        "time_zone": time_zone,
        "currency": row.soft(lambda: row.currency("currency"), DEFAULT_CURRENCY),
        "preferences": row.soft(lambda: row.json("notifications", Preferences), None),
    }


def _skill(row: Old) -> OldSkill:
    known = taxonomy.resolve(row.line("skill", 80))
    if known is None:
        raise Unmappable("user_skills.skill_id: no trade is called so")
    years = row.soft(
        lambda: row.whole("years_experience", least=0, most=70) if row.raw("years_experience") else None, None
    )
    return OldSkill(id=known.id, years=years)


def _work(row: Old) -> OldWork:
    if row.raw("deleted_at") is not None:
        raise LeftBehind("deleted by its owner")
    if row.raw("image_urls") not in (None, "[]"):
        row.remarks.append("portfolio_items.image_urls: pictures lie outside of the database")
    return OldWork(
        id=row.id("id", "portfolio_items"),
        title=row.line("title", 120),
        description=row.optional_text("description", 4000),
        completed_on=row.soft(lambda: row.optional_day("completed_on"), None),
    )


def rows(profile: OldProfile) -> Iterator[tuple[str, Row]]:
    """As the old tables have it, without what has rows of its own: see `kelmah.legacy.belongings`."""
    key = old_uuid(profile.id)
    yield "users", {"id": key, "phone": profile.phone}
    amount, currency = profile.hourly_rate or (None, DEFAULT_CURRENCY)
    yield (
        "profiles",
        {
            "user_id": key,
            "headline": profile.headline,
            "bio": profile.bio,
            "company": profile.company,
            "hourly_rate": None if amount is None else major(amount, currency),
            "currency": currency,
            "languages": msgspec.json.encode(profile.languages).decode(),
            "availability": _OLD_STATUSES[profile.status],
            "is_public": profile.is_discoverable,
            "updated_at": profile.updated_at,
        },
    )
    ways = profile.preferences
    yield (
        "settings",
        {
            "user_id": key,
            "locale": profile.locale,
            "time_zone": profile.time_zone,
            "currency": profile.currency,
            "updated_at": profile.updated_at,
        }
        | ({"notifications": msgspec.json.encode(ways).decode()} if ways else {}),
    )


PROFILES = Entity(
    name="profiles",
    service="user",
    make=make,
    rows=rows,
    references=(Reference("id", "users", "auth", strict=True),),
    root=Part(
        table="users",
        columns={
            "id": To("profiles._id", "the UUID without dashes"),
            "email": stays("moved with the account"),
            "phone": To("profiles.private", "E.164, sealed; left out if it is none"),
            "first_name": To("profiles.private, display_name", "sealed; others see the first name and an initial"),
            "last_name": To("profiles.private, display_name", "sealed; others see the first name and an initial"),
            "role": To("profiles.role", "as for people"),
            "status": To("(left behind)", "of a deleted person nothing is moved"),
            "email_verified_at": stays("moved with the account"),
            "last_login_at": stays("moved with the account"),
            "created_at": To("profiles.created_at"),
            "updated_at": stays("the profile's own counts"),
            "deleted_at": To("(left behind)", "of a deleted person nothing is moved"),
        },
    ),
    children=(
        Part(
            table="profiles",
            key=("user_id",),
            of="user_id",
            columns={
                "user_id": To("profiles._id"),
                "headline": To("profiles.headline", "left out if it does not fit"),
                "bio": To("profiles.bio", "left out if it does not fit"),
                "company": To("profiles.company", "left out if it does not fit"),
                "hourly_rate": To("profiles.hourly_rate.amount", "minor units; left out if negative or NaN"),
                "currency": To("profiles.hourly_rate.currency"),
                "languages": To("profiles.languages", "codes of two or three letters, at most 10"),
                "availability": To("profiles.availability.status", "away, on_leave → paused; unknown → available"),
                "is_public": To("profiles.settings.is_discoverable"),
                "avatar_url": stays("pictures lie outside of the database"),
                "date_of_birth": stays("Kelmah keeps none"),
                "created_at": stays("the user's counts"),
                "updated_at": To("profiles.updated_at"),
            },
        ),
        Part(
            table="addresses",
            of="user_id",
            columns={
                "id": stays("an address has no id here"),
                "user_id": To("profiles._id"),
                "line1": To("profiles.private", "sealed"),
                "line2": To("profiles.private", "sealed"),
                "city": To("profiles.place.city", "a place takes city, region and coordinates"),
                "region": To("profiles.place.region", "as Ghana writes it if it is one of hers"),
                "country": stays("regions are Ghana's, or free text"),
                "latitude": To("profiles.private, place.point", "exact: sealed; to a kilometre: for search"),
                "longitude": To("profiles.private, place.point", "exact: sealed; to a kilometre: for search"),
                "is_primary": To("(left behind)", "only the primary address is moved"),
                "created_at": stays("no such field"),
                "deleted_at": To("(left behind)", "deleted ones are not moved"),
            },
        ),
        Part(
            table="user_skills",
            of="user_id",
            extra={"skill": "SELECT s.name FROM {skills} s WHERE s.id = t.skill_id"},
            columns={
                "id": stays("a skill of a person has no id here"),
                "user_id": To("profiles._id"),
                "skill_id": To("profiles.skills.id", "by its name in the taxonomy; unknown trades are refused"),
                "years_experience": To("profiles.skills.years", "0 to 70, else left out"),
                "created_at": stays("no such field"),
            },
        ),
        Part(
            table="portfolio_items",
            of="user_id",
            columns={
                "id": To("profiles.portfolio.id"),
                "user_id": To("profiles._id"),
                "title": To("profiles.portfolio.title"),
                "description": To("profiles.portfolio.description"),
                "completed_on": To("profiles.portfolio.completed_on", "left out if impossible"),
                "image_urls": To("(remark)", "pictures lie outside of the database"),
                "created_at": stays("no such field"),
                "deleted_at": To("(left behind)", "deleted ones are not moved"),
            },
        ),
        Part(
            table="settings",
            key=("user_id",),
            of="user_id",
            columns={
                "user_id": To("profiles._id"),
                "locale": To("profiles.settings.locale", "the language alone"),
                "time_zone": To("profiles.settings.time_zone", "Africa/Accra if it is none"),
                "currency": To("profiles.settings.currency"),
                "notifications": To("profiles.channels", "the same ways for every kind"),
                "updated_at": stays("no such field"),
            },
        ),
    ),
)
