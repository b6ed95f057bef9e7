"""What the user service says: profiles, skills and discovery."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType, field

from kelmah.contracts.common import (
    DEFAULT_CURRENCY,
    DEFAULT_TIME_ZONE,
    Contract,
    Currency,
    Event,
    Id,
    Location,
    Money,
    Request,
    Response,
    Role,
)

Headline = Annotated[str, Meta(min_length=1, max_length=120, examples=["Plumber for houses and small hotels"])]
LongText = Annotated[str, Meta(min_length=1, max_length=4000)]
ShortLine = Annotated[str, Meta(min_length=1, max_length=120)]
Word = Annotated[str, Meta(min_length=1, max_length=80, examples=["plumber", "sparky"])]
#: A language as BCP 47 writes it, region optional.
LanguageTag = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?\Z", examples=["en", "tw", "fr-CI"])]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA name.", examples=[DEFAULT_TIME_ZONE])]
TimeOfDay = Annotated[
    str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z", description="HH:MM.", examples=["08:00"])
]


class WorkerStatus(StrEnum):
    """Whether a worker takes work. A paused worker is not found by search."""

    AVAILABLE = "available"
    BUSY = "busy"
    PAUSED = "paused"


class Verification(StrEnum):
    """What Kelmah knows of a certificate: nothing, being checked, genuine, not genuine, or genuine until it ran out."""

    UNVERIFIED = "unverified"
    PENDING = "pending"
    VERIFIED = "verified"
    REJECTED = "rejected"
    EXPIRED = "expired"


class NotificationKind(StrEnum):
    """What a notification is about; a person chooses the channels of each."""

    MESSAGES = "messages"
    INVITATIONS = "invitations"
    APPLICATIONS = "applications"
    CONTRACTS = "contracts"
    MILESTONES = "milestones"
    PAYMENTS = "payments"
    DISPUTES = "disputes"
    REVIEWS = "reviews"
    CERTIFICATES = "certificates"
    RECOMMENDATIONS = "recommendations"
    SECURITY = "security"
    NEWS = "news"


# --- Profiles ---


class UpdateProfile(Request, frozen=True, kw_only=True):
    """Only what is sent is changed; null clears. Phone, address and the exact place are shown to the person alone."""

    headline: Headline | UnsetType | None = UNSET
    bio: LongText | UnsetType | None = UNSET
    company: ShortLine | UnsetType | None = UNSET
    languages: Annotated[list[LanguageTag], Meta(max_length=10)] | UnsetType = UNSET
    location: Location | UnsetType | None = UNSET
    address: Annotated[str, Meta(min_length=1, max_length=300)] | UnsetType | None = UNSET
    phone: Annotated[str, Meta(min_length=3, max_length=32, examples=["024 123 4567"])] | UnsetType | None = UNSET
    hourly_rate: Money | UnsetType | None = UNSET


class SkillChoice(Request, frozen=True, kw_only=True):
    """A trade by its id, name or synonym, with years of practice."""

    skill: Word
    years: Annotated[int, Meta(ge=0, le=70)] | None = None


class SetSkills(Request, frozen=True, kw_only=True):
    """The whole list, best first: words alone, or words with years of practice."""

    skills: Annotated[list[Word | SkillChoice], Meta(max_length=30)]


class ProfileSkill(Response, frozen=True, kw_only=True):
    """A trade of a worker."""

    id: str
    name: str
    years: int | None = None


class ExperienceInput(Request, frozen=True, kw_only=True):
    """Work that was done. Without an end it still goes on."""

    title: ShortLine
    employer: ShortLine | None = None
    description: LongText | None = None
    started_on: date
    ended_on: date | None = None


class Experience(ExperienceInput, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """An entry of the profile."""

    id: str


class PortfolioInput(Request, frozen=True, kw_only=True):
    """A finished work to show."""

    title: ShortLine
    description: LongText | None = None
    skills: Annotated[list[Word], Meta(max_length=10)] = field(default_factory=list)
    completed_on: date | None = None


class PortfolioImage(Response, frozen=True, kw_only=True):
    """A picture of a finished work, as WebP: `GET /workers/{id}/images/{imageId}`, also with `?size=thumbnail`.

    `size` is in bytes.
    """

    id: str
    size: int


class PortfolioItem(PortfolioInput, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """An entry of the profile; `skills` are ids."""

    id: str
    images: list[PortfolioImage] = field(default_factory=list)


class CertificateInput(Request, frozen=True, kw_only=True):
    """A licence or certificate. The number is kept sealed and shown to the person alone."""

    title: ShortLine
    issuer: ShortLine
    number: Annotated[str, Meta(min_length=1, max_length=60)] | None = None
    issued_on: date
    expires_on: date | None = None


class Certificate(Response, frozen=True, kw_only=True):
    """An entry of the profile. `number`, and the moderator's `note`, are null for everybody else."""

    id: str
    title: str
    issuer: str
    issued_on: date
    expires_on: date | None
    verification: Verification
    number: str | None = None
    note: str | None = None


class MyProfile(Response, frozen=True, kw_only=True):
    """The person's own view; its `version` is the ETag."""

    user_id: str
    role: Role
    display_name: str
    first_name: str
    last_name: str
    headline: str | None
    bio: str | None
    company: str | None
    languages: list[str]
    location: Location | None
    address: str | None
    phone: str | None
    hourly_rate: Money | None
    skills: list[ProfileSkill]
    status: WorkerStatus
    rating_milli: int | None
    review_count: int
    version: int
    created_at: datetime
    updated_at: datetime


class PublicProfile(Response, frozen=True, kw_only=True):
    """What the viewer may see. Coordinates are cut to about a kilometre; what is hidden is null, empty or absent."""

    user_id: str
    role: Role
    display_name: str
    headline: str | None
    bio: str | None
    company: str | None
    languages: list[str]
    location: Location | None
    hourly_rate: Money | None
    skills: list[ProfileSkill]
    status: WorkerStatus
    rating_milli: int | None
    review_count: int
    experience: list[Experience]
    portfolio: list[PortfolioItem]
    certificates: list[Certificate]
    created_at: datetime
    full_name: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    address: str | UnsetType = UNSET


# --- Availability, settings, notifications ---


class WeeklySlot(Request, frozen=True, kw_only=True):
    """Hours of one weekday (ISO 8601: 1 is Monday) in the pattern's time zone."""

    day: Annotated[int, Meta(ge=1, le=7)]
    start: TimeOfDay
    end: TimeOfDay


class DayException(Request, frozen=True, kw_only=True):
    """A day that differs from the weekly pattern: off, or worked although the pattern says not."""

    day: date
    is_available: bool = False


class Availability(Request, frozen=True, kw_only=True):
    """When a worker takes work. An empty weekly pattern says that any time may be asked for."""

    status: WorkerStatus = WorkerStatus.AVAILABLE
    time_zone: TimeZone = DEFAULT_TIME_ZONE
    weekly: Annotated[list[WeeklySlot], Meta(max_length=50)] = field(default_factory=list)
    exceptions: Annotated[list[DayException], Meta(max_length=100)] = field(default_factory=list)


class UserSettings(Request, frozen=True, kw_only=True):
    """How Kelmah speaks to a person; whoever is not discoverable is not found by search."""

    locale: LanguageTag = "en"
    time_zone: TimeZone = DEFAULT_TIME_ZONE
    currency: Currency = DEFAULT_CURRENCY
    is_discoverable: bool = True


class Channels(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which ways a notification goes out."""

    in_app: bool
    email: bool
    sms: bool
    push: bool


class SetNotificationPreferences(Request, frozen=True, kw_only=True):
    """The whole choice; a kind that is left out has its defaults. Security is always told in the app and by mail."""

    channels: dict[NotificationKind, Channels]


class NotificationPreferences(Response, frozen=True, kw_only=True):
    """The channels of every kind, defaults filled in, with what messaging needs to send at a fair hour."""

    user_id: str
    locale: str
    time_zone: str
    channels: dict[NotificationKind, Channels]


# --- Bookmarks ---


class AddBookmark(Request, frozen=True, kw_only=True):
    """Whom to remember."""

    user_id: Id


class Bookmark(Response, frozen=True, kw_only=True):
    """A person that was bookmarked."""

    user_id: str
    role: Role
    display_name: str
    headline: str | None
    created_at: datetime


# --- Events ---


class ProfileUpdated(Event, frozen=True, kw_only=True):
    """A person changed the named parts of the profile."""

    TYPE: ClassVar[str] = "user.profile_updated.v1"
    user_id: str
    changed: list[str]


class ProfileViewed(Event, frozen=True, kw_only=True):
    """Somebody looked at a person's profile for the first time on this day (UTC, ISO 8601)."""

    TYPE: ClassVar[str] = "user.profile_viewed.v1"
    user_id: str
    viewer_id: str
    day: str


class StatusChanged(Event, frozen=True, kw_only=True):
    """A worker became available for work, busy, or paused."""

    TYPE: ClassVar[str] = "user.status_changed.v1"
    user_id: str
    status: str


# --- For other services (/internal) ---


class Person(Response, frozen=True, kw_only=True):
    """What other people see of a person next to a message, an application or a review."""

    user_id: str
    role: Role
    display_name: str


class WorkerFacts(Response, frozen=True, kw_only=True):
    """What matching needs to know of a worker. `rating_milli` is the Bayesian mean times 1,000.

    `skills` are ids of the taxonomy; the coordinates are cut to about a kilometre. `free_on` are the days of the next
    four weeks, in the worker's time zone, that are worked and have no booking. `response_rate_percent` is how many of
    those who wrote first in the last 90 days were answered; None while nobody waited for a day.
    """

    user_id: str
    display_name: str
    skills: list[str]
    location: Location | None = None
    hourly_rate: Money | None = None
    is_available: bool = True
    free_on: list[date] = field(default_factory=list)
    response_rate_percent: int | None = None
    rating_milli: int | None = None
    review_count: int = 0
