"""Turns stored profiles into what clients and other services see."""

from collections.abc import Container
from datetime import date

from msgspec import UNSET

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Location, Money
from kelmah.contracts.user import (
    Availability,
    Bookmark,
    Certificate,
    Channels,
    DayException,
    Experience,
    HirerHit,
    MyProfile,
    NotificationKind,
    NotificationPreferences,
    Person,
    PortfolioImage,
    PortfolioItem,
    ProfilePart,
    ProfileSkill,
    PublicProfile,
    UserSettings,
    Visibility,
    WeeklySlot,
    WorkerFacts,
    WorkerHit,
    WorkerStatus,
)
from kelmah.services.user.documents.bookmarks import BookmarkDocument
from kelmah.services.user.documents.profiles import (
    CertificateEntry,
    ExperienceEntry,
    Place,
    PortfolioEntry,
    Private,
    ProfileDocument,
    Rate,
)
from kelmah.services.user.documents.search import FactsRow, Row

_TOLD = Channels(in_app=True, email=True, sms=False, push=True)
_IN_APP = Channels(in_app=True, email=False, sms=False, push=True)
_URGENT = Channels(in_app=True, email=True, sms=True, push=True)
#: What a person is told of, and how, until the person says otherwise. SMS costs money: only where work or money waits.
DEFAULT_CHANNELS = {
    NotificationKind.MESSAGES: _TOLD,  # by mail only when it stays unread
    NotificationKind.INVITATIONS: _TOLD,
    NotificationKind.APPLICATIONS: _TOLD,
    NotificationKind.CONTRACTS: _URGENT,
    NotificationKind.MILESTONES: _TOLD,
    NotificationKind.PAYMENTS: _URGENT,
    NotificationKind.DISPUTES: _URGENT,
    NotificationKind.REVIEWS: _TOLD,
    NotificationKind.CERTIFICATES: _TOLD,
    NotificationKind.RECOMMENDATIONS: _IN_APP,
    NotificationKind.SECURITY: _TOLD,
    NotificationKind.NEWS: Channels(in_app=True, email=False, sms=False, push=False),
}


#: The parts that are stored sealed: private unless the person says otherwise.
SEALED_PARTS = frozenset({ProfilePart.PHONE, ProfilePart.ADDRESS, ProfilePart.FULL_NAME, ProfilePart.EXACT_LOCATION})
DEFAULT_VISIBILITY = {part: Visibility.PRIVATE if part in SEALED_PARTS else Visibility.PUBLIC for part in ProfilePart}


def my_profile(profile: ProfileDocument, private: Private) -> MyProfile:
    return MyProfile(
        user_id=profile.id,
        role=profile.role,
        display_name=profile.display_name,
        first_name=private.first_name,
        last_name=private.last_name,
        headline=profile.headline,
        bio=profile.bio,
        company=profile.company,
        languages=profile.languages,
        location=_location(profile.place, exactly=private.coordinates),
        address=private.address,
        phone=private.phone,
        hourly_rate=_money(profile.hourly_rate),
        skills=profile_skills(profile),
        status=profile.availability.status,
        rating_milli=_rating(profile),
        review_count=profile.review_count,
        version=profile.version,
        created_at=profile.created_at,
        updated_at=profile.updated_at,
    )


def visibility(profile: ProfileDocument) -> dict[ProfilePart, Visibility]:
    """Who sees each part, defaults filled in."""
    return DEFAULT_VISIBILITY | {ProfilePart(part): Visibility(to) for part, to in profile.visibility.items()}


def public_profile(
    profile: ProfileDocument, *, shown: Container[ProfilePart], private: Private | None = None
) -> PublicProfile:
    """The parts that are shown; `private` is needed for those that are stored sealed."""
    full_name = f"{private.first_name} {private.last_name}".strip() if private else None
    return PublicProfile(
        user_id=profile.id,
        role=profile.role,
        display_name=profile.display_name,
        headline=profile.headline,
        bio=profile.bio if ProfilePart.BIO in shown else None,
        company=profile.company if ProfilePart.COMPANY in shown else None,
        languages=profile.languages,
        location=_location(
            profile.place,
            exactly=private.coordinates if private and ProfilePart.EXACT_LOCATION in shown else None,
        ),
        hourly_rate=_money(profile.hourly_rate),
        skills=profile_skills(profile),
        status=profile.availability.status,
        rating_milli=_rating(profile),
        review_count=profile.review_count,
        experience=[experience(entry) for entry in profile.experience] if ProfilePart.EXPERIENCE in shown else [],
        portfolio=[portfolio_item(entry) for entry in profile.portfolio] if ProfilePart.PORTFOLIO in shown else [],
        certificates=[certificate(entry) for entry in profile.certificates]
        if ProfilePart.CERTIFICATES in shown
        else [],
        created_at=profile.created_at,
        full_name=full_name if full_name and ProfilePart.FULL_NAME in shown else UNSET,
        phone=private.phone if private and private.phone and ProfilePart.PHONE in shown else UNSET,
        address=private.address if private and private.address and ProfilePart.ADDRESS in shown else UNSET,
    )


def profile_skills(profile: ProfileDocument) -> list[ProfileSkill]:
    return [_skill(entry.id, entry.years) for entry in profile.skills]


def experience(entry: ExperienceEntry) -> Experience:
    return Experience(
        id=entry.id,
        title=entry.title,
        employer=entry.employer,
        description=entry.description,
        started_on=date.fromisoformat(entry.started_on),
        ended_on=_day(entry.ended_on),
    )


def portfolio_item(entry: PortfolioEntry) -> PortfolioItem:
    return PortfolioItem(
        id=entry.id,
        title=entry.title,
        description=entry.description,
        skills=entry.skills,
        completed_on=_day(entry.completed_on),
        images=[PortfolioImage(id=image.id, size=image.size) for image in entry.images],
    )


def certificate(entry: CertificateEntry, *, number: str | None = None, is_own: bool = False) -> Certificate:
    return Certificate(
        id=entry.id,
        title=entry.title,
        issuer=entry.issuer,
        issued_on=date.fromisoformat(entry.issued_on),
        expires_on=_day(entry.expires_on),
        verification=entry.verification,
        number=number,
        note=entry.note if is_own else None,
    )


def availability(profile: ProfileDocument) -> Availability:
    stored = profile.availability
    return Availability(
        status=stored.status,
        time_zone=stored.time_zone,
        weekly=[WeeklySlot(day=slot.day, start=slot.start, end=slot.end) for slot in stored.weekly],
        exceptions=[
            DayException(day=date.fromisoformat(one.day), is_available=one.is_available) for one in stored.exceptions
        ],
    )


def settings(profile: ProfileDocument) -> UserSettings:
    stored = profile.settings
    return UserSettings(
        locale=stored.locale,
        time_zone=stored.time_zone,
        currency=stored.currency,
        is_discoverable=stored.is_discoverable,
    )


def notification_preferences(profile: ProfileDocument) -> NotificationPreferences:
    return NotificationPreferences(
        user_id=profile.id,
        locale=profile.settings.locale,
        time_zone=profile.settings.time_zone,
        channels={
            kind: Channels(**profile.channels[kind]) if kind in profile.channels else default
            for kind, default in DEFAULT_CHANNELS.items()
        },
    )


def bookmark(entry: BookmarkDocument, target: ProfileDocument) -> Bookmark:
    return Bookmark(
        user_id=target.id,
        role=target.role,
        display_name=target.display_name,
        headline=target.headline,
        created_at=entry.created_at,
    )


def person(profile: ProfileDocument) -> Person:
    return Person(user_id=profile.id, role=profile.role, display_name=profile.display_name)


def worker_hit(row: Row) -> WorkerHit:
    return WorkerHit(
        user_id=row.id,
        display_name=row.display_name,
        headline=row.headline,
        skills=[_skill(entry.id, entry.years) for entry in row.skills],
        city=row.place.city if row.place else None,
        region=row.place.region if row.place else None,
        hourly_rate=_money(row.hourly_rate),
        status=WorkerStatus(row.availability.status),
        rating_milli=_rating(row),
        review_count=row.review_count,
        distance_m=round(row.distance_m) if row.distance_m is not None else None,
    )


def hirer_hit(row: Row) -> HirerHit:
    return HirerHit(
        user_id=row.id,
        display_name=row.display_name,
        headline=row.headline,
        company=row.company if row.visibility.get(ProfilePart.COMPANY, "public") == "public" else None,
        city=row.place.city if row.place else None,
        region=row.place.region if row.place else None,
        rating_milli=_rating(row),
        review_count=row.review_count,
    )


def worker_facts(worker: FactsRow, *, free_on: list[date]) -> WorkerFacts:
    return WorkerFacts(
        user_id=worker.id,
        display_name=worker.display_name,
        skills=[entry.id for entry in worker.skills],
        location=_location(worker.place),
        hourly_rate=_money(worker.hourly_rate),
        is_available=worker.availability.status == WorkerStatus.AVAILABLE and not worker.is_resting,
        free_on=free_on,
        response_rate_percent=worker.response_rate_percent,
        rating_milli=_rating(worker),
        review_count=worker.review_count,
    )


def skill_name(skill_id: str) -> str:
    """A trade that left the taxonomy keeps its id as its name until the person chooses anew."""
    known = taxonomy.skills().get(skill_id)
    return known.name if known else skill_id


def _skill(skill_id: str, years: int | None) -> ProfileSkill:
    return ProfileSkill(id=skill_id, name=skill_name(skill_id), years=years)


def _rating(rated: ProfileDocument | Row | FactsRow) -> int | None:
    """Nobody has rated yet: that is not the same as a low rating."""
    return rated.rating_milli if rated.review_count else None


def _location(place: Place | Row.Place | None, *, exactly: tuple[float, float] | None = None) -> Location | None:
    if place is None:
        return None
    return Location(city=place.city, region=place.region, coordinates=exactly or place.point.coordinates)


def _money(rate: Rate | Row.Rate | None) -> Money | None:
    return Money(amount=rate.amount, currency=rate.currency) if rate else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
