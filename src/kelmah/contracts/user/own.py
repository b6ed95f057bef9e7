"""What a person has about the own profile: who sees what, what is missing, what changed, and all of it at once."""

from datetime import datetime
from enum import StrEnum

from kelmah.contracts.common import FieldChange, Request, Response
from kelmah.contracts.user.analytics import UserAnalytics
from kelmah.contracts.user.bookings import Booking
from kelmah.contracts.user.profiles import (
    Availability,
    Bookmark,
    Certificate,
    Experience,
    MyProfile,
    NotificationPreferences,
    PortfolioItem,
    UserSettings,
)


class ProfilePart(StrEnum):
    """What of a profile may be shown to fewer. All else is what people are found by, and public."""

    BIO = "bio"
    COMPANY = "company"
    PHONE = "phone"
    ADDRESS = "address"
    FULL_NAME = "fullName"
    EXACT_LOCATION = "exactLocation"
    EXPERIENCE = "experience"
    PORTFOLIO = "portfolio"
    CERTIFICATES = "certificates"


class Visibility(StrEnum):
    """Who sees a part: everybody, those one has a contract with, or oneself."""

    PUBLIC = "public"
    COUNTERPART = "counterpart"
    PRIVATE = "private"


class SetVisibility(Request, frozen=True, kw_only=True):
    """The whole choice; a part that is left out has its default."""

    parts: dict[ProfilePart, Visibility]


class VisibilityChoice(Response, frozen=True, kw_only=True):
    """Who sees each part. Phone, address, full name and exact place are private unless said otherwise."""

    parts: dict[ProfilePart, Visibility]


class MissingPart(Response, frozen=True, kw_only=True):
    """What is not filled in yet, the points that it brings, and what to do."""

    part: str
    points: int
    hint: str


class Completeness(Response, frozen=True, kw_only=True):
    """How complete a profile is; what brings most comes first."""

    percent: int
    missing: list[MissingPart]


class ProfileChange(Response, frozen=True, kw_only=True):
    """Something that happened to the profile; `changed` names the parts that the person changed."""

    sequence: int
    at: datetime
    event: str
    changed: list[str]


class ProfileVersion(Response, frozen=True, kw_only=True):
    """What an edit of the profile's own fields made of this version; those of the last 500 versions are kept."""

    version: int
    replaced_at: datetime
    diff: list[FieldChange]


class ProfileExport(Response, frozen=True, kw_only=True):
    """Everything that the user service keeps of the caller; the newest 1,000 changes."""

    exported_at: datetime
    profile: MyProfile
    experience: list[Experience]
    portfolio: list[PortfolioItem]
    certificates: list[Certificate]
    availability: Availability
    bookings: list[Booking]
    settings: UserSettings
    notification_preferences: NotificationPreferences
    visibility: VisibilityChoice
    bookmarks: list[Bookmark]
    changes: list[ProfileChange]
    versions: list[ProfileVersion]
    analytics: UserAnalytics
