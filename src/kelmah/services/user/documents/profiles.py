"""Profiles: one document a person, with all that is read together, and the queries by id."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from beanie import Document
from beanie.odm.utils.encoder import Encoder
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, GEOSPHERE, IndexModel

from kelmah.contracts.common import DEFAULT_CURRENCY, DEFAULT_TIME_ZONE, Role
from kelmah.contracts.user import Verification, WorkerStatus
from kelmah.kit.mongo import session


class Private(msgspec.Struct, frozen=True, kw_only=True):
    """What only the person sees. Stored sealed, as one value."""

    first_name: str
    last_name: str
    phone: str | None = None
    address: str | None = None
    coordinates: tuple[float, float] | None = None


class Point(BaseModel):
    """A GeoJSON point."""

    type: str = "Point"
    coordinates: tuple[float, float]


class Place(BaseModel):
    """Where a person works from. The point is cut to about a kilometre: searches must not find front doors."""

    city: str
    region: str
    region_key: str
    point: Point


class Rate(BaseModel):
    amount: int
    currency: str


class SkillEntry(BaseModel):
    id: str
    years: int | None = None


class ExperienceEntry(BaseModel):
    """Days are ISO 8601 text, as they are in JSON: BSON has no type for a day."""

    id: str
    title: str
    employer: str | None
    description: str | None
    started_on: str
    ended_on: str | None


class ImageEntry(BaseModel):
    """A picture; its bytes are in the blob store under its id, and under `<id>-thumbnail`."""

    id: str
    size: int


class PortfolioEntry(BaseModel):
    id: str
    title: str
    description: str | None
    skills: list[str]
    completed_on: str | None
    images: list[ImageEntry] = Field(default_factory=list)


class CertificateEntry(BaseModel):
    """`number` is sealed. `reminded` is how many days before the end the last reminder was due."""

    id: str
    title: str
    issuer: str
    number: str | None
    issued_on: str
    expires_on: str | None
    verification: Verification = Verification.UNVERIFIED
    requested_at: datetime | None = None
    note: str | None = None
    reminded: int | None = None


class SlotEntry(BaseModel):
    day: int
    start: str
    end: str


class ExceptionEntry(BaseModel):
    day: str
    is_available: bool


class AvailabilityEntry(BaseModel):
    status: WorkerStatus = WorkerStatus.AVAILABLE
    time_zone: str = DEFAULT_TIME_ZONE
    weekly: list[SlotEntry] = []
    exceptions: list[ExceptionEntry] = []


class BookingEntry(BaseModel):
    """Time that a contract took. `local_start` and `local_end` are it in the worker's time zone, for search."""

    id: str
    contract_id: str
    starts_at: datetime
    ends_at: datetime
    local_start: str = ""
    local_end: str = ""


class SettingsEntry(BaseModel):
    locale: str = "en"
    time_zone: str = DEFAULT_TIME_ZONE
    currency: str = DEFAULT_CURRENCY
    is_discoverable: bool = True


#: What narrows a search and what facets count. Each index of a list ends in them: who does not fit is left out without
#: being read, and counting reads no profile at all.
_NARROWING = ("hourly_rate.currency", "hourly_rate.amount", "rating_milli", "place.region_key", "counted_as")


def _search_index(name: str, *order: tuple[str, int | str]) -> IndexModel:
    """`listed_as` leads each index, so that no search reads those who are not listed.

    `trades`, `terms` and `traits` are arrays, and two arrays cannot share an index.
    """
    return IndexModel([("listed_as", ASCENDING), *order], name=name)


def _rating_index(name: str, *first: str) -> IndexModel:
    """By these fields, then the best rated first."""
    ahead = [*((field, ASCENDING) for field in first), ("rating_milli", DESCENDING), ("_id", ASCENDING)]
    return _search_index(name, *ahead, *_narrowing(*first, "rating_milli"))


def _narrowing(*ahead: str) -> list[tuple[str, int]]:
    return [(field, ASCENDING) for field in _NARROWING if field not in ahead]


def _place_index(name: str, *first: str) -> IndexModel:
    """By place; the rating and the rate come after it, so that who does not fit is left out without being read."""
    last = [("rating_milli", DESCENDING), ("hourly_rate.currency", ASCENDING), ("hourly_rate.amount", ASCENDING)]
    return _search_index(name, *((field, ASCENDING) for field in first), ("place.point", GEOSPHERE), *last)


class ProfileDocument(Document):
    """A person. `listed_as`, `terms`, `trades`, `traits`, `counted_as` and `place.region_key` are derived, for search.

    Shard key: `_id`, hashed. Every change is of one person; searches ask all shards anyhow.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId: the account's id, so that a person has one profile
    version: int = 1
    role: Role
    display_name: str
    private: str
    headline: str | None = None
    bio: str | None = None
    company: str | None = None
    languages: list[str] = Field(default_factory=list)
    place: Place | None = None
    hourly_rate: Rate | None = None
    skills: list[SkillEntry] = Field(default_factory=list)
    experience: list[ExperienceEntry] = Field(default_factory=list)
    portfolio: list[PortfolioEntry] = Field(default_factory=list)
    certificates: list[CertificateEntry] = Field(default_factory=list)
    availability: AvailabilityEntry = Field(default_factory=AvailabilityEntry)
    bookings: list[BookingEntry] = Field(default_factory=list)
    settings: SettingsEntry = Field(default_factory=SettingsEntry)
    channels: dict[str, dict[str, bool]] = Field(default_factory=dict)
    visibility: dict[str, str] = Field(default_factory=dict)
    bookmark_count: int = 0
    rating_milli: int = 0
    review_count: int = 0
    reputation_sequence: int = 0
    response_rate_percent: int | None = None
    #: The account is at rest, or gone; and how far in its story that is known.
    is_resting: bool = False
    is_erased: bool = False
    life_sequence: int = 0
    role_sequence: int = 0
    listed_as: Role | None = None
    terms: list[str] = Field(default_factory=list)
    trades: list[str] = Field(default_factory=list)
    traits: list[str] = Field(default_factory=list)
    counted_as: str = ""
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "profiles"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("role", ASCENDING)], name="role"),
            IndexModel([("certificates.verification", ASCENDING), ("_id", ASCENDING)], name="verification"),
            _rating_index("rating"),
            _rating_index("trade_rating", "trades"),
            _rating_index("region_rating", "place.region_key"),
            _rating_index("trade_region_rating", "trades", "place.region_key"),
            _rating_index("term_rating", "terms"),
            _rating_index("trait_rating", "traits"),
            _search_index(
                "rate",
                *(("hourly_rate.currency", ASCENDING), ("hourly_rate.amount", ASCENDING), ("_id", ASCENDING)),
                *_narrowing("hourly_rate.currency", "hourly_rate.amount"),
            ),
            _place_index("near"),
            _place_index("region_near", "place.region_key"),
            _place_index("trade_near", "trades"),
            _place_index("term_near", "terms"),
        ]


def encode(profile: ProfileDocument) -> dict[str, Any]:
    """The stored form, without the id."""
    encoded: dict[str, Any] = Encoder(exclude={"_id"}, to_db=True).encode(profile)
    return encoded


async def insert(profile: ProfileDocument) -> bool:
    """Make the profile unless the person has one. Returns whether it was made now."""
    made = await ProfileDocument.get_pymongo_collection().update_one(
        {"_id": profile.id}, {"$setOnInsert": encode(profile)}, upsert=True, session=session()
    )
    return made.upserted_id is not None


async def find(user_id: str) -> ProfileDocument | None:
    return await ProfileDocument.find_one({"_id": user_id}, session=session())


async def every() -> AsyncIterator[ProfileDocument]:
    """All profiles."""
    async for profile in ProfileDocument.find_all():
        yield profile


async def find_many(user_ids: Sequence[str]) -> list[ProfileDocument]:
    return await ProfileDocument.find({"_id": {"$in": list(user_ids)}}, session=session()).to_list()


async def terms_of(user_ids: Sequence[str]) -> list[str]:
    """Every word that these profiles are indexed by, once."""
    wanted = {"_id": {"$in": list(user_ids)}}
    found: list[str] = await ProfileDocument.get_pymongo_collection().distinct("terms", wanted)
    return found


async def replace(profile: ProfileDocument, *, version: int) -> bool:
    """Write the profile, if it still has the version it was read at."""
    written = await ProfileDocument.get_pymongo_collection().replace_one(
        {"_id": profile.id, "version": version}, encode(profile), session=session()
    )
    return written.modified_count == 1


async def overwrite(profile: ProfileDocument) -> None:
    """Write the profile as it was read in the open transaction. It is not the person's edit: the version stays."""
    await ProfileDocument.get_pymongo_collection().replace_one({"_id": profile.id}, encode(profile), session=session())


async def set_reputation(user_id: str, *, rating_milli: int, review_count: int, sequence: int) -> bool:
    """Take over a reputation unless a later one is known. It is not an edit: the version stays."""
    written = await ProfileDocument.get_pymongo_collection().update_one(
        {"_id": user_id, "reputation_sequence": {"$lt": sequence}},
        {"$set": {"rating_milli": rating_milli, "review_count": review_count, "reputation_sequence": sequence}},
        session=session(),
    )
    return written.modified_count == 1


async def set_response_rate(user_id: str, percent: int | None) -> None:
    """Keep how often a person answers, if there is such a profile. It is not an edit: the version stays."""
    await ProfileDocument.get_pymongo_collection().update_one(
        {"_id": user_id}, {"$set": {"response_rate_percent": percent}}
    )


async def count_bookmark(user_id: str, *, by: int, at_most: int) -> bool:
    """Count one bookmark more or less, up to a limit. Returns whether there was room."""
    room = {"$lte": at_most - by} if by > 0 else {"$gt": 0}
    written = await ProfileDocument.get_pymongo_collection().update_one(
        {"_id": user_id, "bookmark_count": room}, {"$inc": {"bookmark_count": by}}, session=session()
    )
    return written.modified_count == 1


async def has_image(user_id: str, image_id: str) -> bool:
    found = await ProfileDocument.get_pymongo_collection().find_one(
        {"_id": user_id, "portfolio.images.id": image_id}, {"_id": 1}, session=session()
    )
    return found is not None


async def with_certificates(verification: Verification, *, after: str | None, limit: int) -> list[ProfileDocument]:
    """Profiles with a certificate in this state, by id, which is by age."""
    query: dict[str, Any] = {"certificates.verification": verification.value}
    if after is not None:
        query["_id"] = {"$gt": after}
    return await ProfileDocument.find(query).sort("_id").limit(limit).to_list()
