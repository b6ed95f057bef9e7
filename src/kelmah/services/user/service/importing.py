"""Profiles out of the old database, and back into its shape."""

from collections.abc import Sequence
from datetime import date

import msgspec

from kelmah.contracts import regions
from kelmah.contracts.user import Channels, NotificationKind
from kelmah.kit.mongo import add_all
from kelmah.legacy.entities.profiles import OldProfile, OldSkill, OldWork, Preferences
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import (
    AvailabilityEntry,
    Place,
    Point,
    PortfolioEntry,
    Private,
    ProfileDocument,
    Rate,
    SettingsEntry,
    SkillEntry,
)
from kelmah.services.user.service import profiles, spelling
from kelmah.services.user.service.context import Context


async def move_profiles(context: Context, old: Sequence[OldProfile]) -> dict[str, str]:
    """Make profiles in the open transaction, and tell of those that cannot be made: id → reason.

    One that was made at a first visit and never edited gives way.
    """
    there = {one.id: one for one in await documents.find_many([one.id for one in old])}
    refused = {
        one.id: "users: the person has edited a profile here already" for one in there.values() if one.version > 1
    }
    moved = [profile_of(context, one) for one in old if one.id not in refused]
    for one in moved:
        if one.id in there:
            await documents.replace(one, version=1)
    await add_all([one for one in moved if one.id not in there])
    return refused


async def after_profiles(context: Context, old: Sequence[OldProfile]) -> None:
    """Let searches know the words of profiles that were moved."""
    await spelling.learn(await documents.terms_of([one.id for one in old]))


async def profiles_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldProfile]:
    """Profiles as the old database would have them."""
    return {one.id: _as_old(context, one) for one in await documents.find_many(ids)}


def profile_of(context: Context, old: OldProfile) -> ProfileDocument:
    """The document of an old profile."""
    profile = ProfileDocument(
        id=old.id,
        role=old.role,
        display_name=profiles.display_name(old.first_name, old.last_name),
        private="",
        headline=old.headline,
        bio=old.bio,
        company=old.company,
        languages=list(old.languages),
        place=_place(old),
        hourly_rate=Rate(amount=old.hourly_rate[0], currency=old.hourly_rate[1]) if old.hourly_rate else None,
        skills=[SkillEntry(id=one.id, years=one.years) for one in old.skills],
        portfolio=[
            PortfolioEntry(
                id=one.id,
                title=one.title,
                description=one.description,
                skills=[],
                completed_on=one.completed_on.isoformat() if one.completed_on else None,
            )
            for one in old.portfolio
        ],
        availability=AvailabilityEntry(status=old.status, time_zone=old.time_zone),
        settings=SettingsEntry(
            locale=old.locale, time_zone=old.time_zone, currency=old.currency, is_discoverable=old.is_discoverable
        ),
        channels=_channels(old.preferences) if old.preferences else {},
        created_at=old.created_at,
        updated_at=old.updated_at,
    )
    private = Private(
        first_name=old.first_name,
        last_name=old.last_name,
        phone=old.phone,
        address=old.address,
        coordinates=old.coordinates,
    )
    profiles.seal(context.ring, profile, private)
    profiles.derive(profile)
    return profile


def _place(old: OldProfile) -> Place | None:
    if old.coordinates is None or old.city is None or old.region is None:
        return None
    longitude, latitude = (round(one, profiles.PUBLIC_DECIMALS) for one in old.coordinates)
    return Place(
        city=old.city,
        region=old.region,
        region_key=regions.key(old.region),
        point=Point(coordinates=(longitude, latitude)),
    )


def _channels(wanted: Preferences) -> dict[str, dict[str, bool]]:
    ways = msgspec.to_builtins(Channels(in_app=True, email=wanted.email, sms=wanted.sms, push=wanted.push))
    stored = {"in_app": ways["inApp"], "email": ways["email"], "sms": ways["sms"], "push": ways["push"]}
    # Security is always told in the app and by mail.
    return {kind.value: dict(stored) for kind in NotificationKind if kind is not NotificationKind.SECURITY}


def _as_old(context: Context, profile: ProfileDocument) -> OldProfile:
    private = profiles.unseal(context.ring, profile)
    place, ways = profile.place, profile.channels.get(NotificationKind.MESSAGES)
    return OldProfile(
        id=profile.id,
        role=profile.role,
        first_name=private.first_name,
        last_name=private.last_name,
        phone=private.phone,
        created_at=profile.created_at,
        updated_at=profile.updated_at,
        headline=profile.headline,
        bio=profile.bio,
        company=profile.company,
        hourly_rate=(profile.hourly_rate.amount, profile.hourly_rate.currency) if profile.hourly_rate else None,
        languages=tuple(profile.languages),
        status=profile.availability.status,
        is_discoverable=profile.settings.is_discoverable,
        address=private.address,
        city=place.city if place else None,
        region=place.region if place else None,
        coordinates=private.coordinates,
        skills=tuple(OldSkill(id=one.id, years=one.years) for one in profile.skills),
        portfolio=tuple(
            OldWork(
                id=one.id,
                title=one.title,
                description=one.description,
                completed_on=date.fromisoformat(one.completed_on) if one.completed_on else None,
            )
            for one in profile.portfolio
        ),
        locale=profile.settings.locale,
        time_zone=profile.settings.time_zone,
        currency=profile.settings.currency,
        preferences=Preferences(email=ways["email"], sms=ways["sms"], push=ways["push"]) if ways else None,
    )
