"""Profiles: how they come to be, how they change, and who sees what."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import UNSET

from kelmah.contracts import regions
from kelmah.contracts.auth import Contact
from kelmah.contracts.common import Location, Role
from kelmah.contracts.user import (
    MyProfile,
    ProfilePart,
    ProfileUpdated,
    PublicProfile,
    StatusChanged,
    UpdateProfile,
    Verification,
    Visibility,
    WorkerStatus,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.kit.errors import BadInput, Conflict, NotFound, PreconditionFailed
from kelmah.services.user import mapping
from kelmah.services.user.documents import analytics
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents import search as search_documents
from kelmah.services.user.documents.profiles import (
    BookingEntry,
    Place,
    Point,
    Private,
    ProfileDocument,
    Rate,
    SettingsEntry,
)
from kelmah.services.user.service import spelling, terms, typed, versions
from kelmah.services.user.service.context import Context
from kelmah.services.user.settings import UserSettings

log = structlog.get_logger(__name__)

#: Decimals of a degree that others see of a place, and that searches know: about a kilometre.
PUBLIC_DECIMALS = 2
_LISTED_ROLES = frozenset({Role.WORKER, Role.HIRER})

#: Changes a profile that was just read, and names the parts that it changed. It may run again on a fresh one.
Edit = Callable[[ProfileDocument], Sequence[str]]
Then = Callable[[ProfileDocument], Awaitable[None]]


async def ensure(context: Context, user_ids: Sequence[str]) -> list[ProfileDocument]:
    """The profiles of these people; those that have an account and no profile yet get one.

    Nobody waits for an event for that: the broker may be down, and two makers end in one profile.
    """
    found = await documents.find_many(user_ids)
    missing = sorted(set(user_ids) - {profile.id for profile in found})
    if not missing:
        return found
    contacts = await context.auth.get_contacts(user_ids=missing)
    if context.old is not None and contacts:
        await context.old.bring(context, [contact.user_id for contact in contacts])
    for contact in contacts:
        made = make(context.ring, contact)
        if await documents.insert(made):
            await spelling.learn(made.terms)
            log.info("user.profile.made", user_id=contact.user_id)
    found += await documents.find_many(missing)
    strangers = sorted(set(user_ids) - {profile.id for profile in found})
    if context.old is not None and strangers:
        found += await context.old.shadows(context, strangers)
    return found


async def get(context: Context, user_id: str) -> ProfileDocument:
    """One profile, made if need be.

    Raises:
        NotFound: there is no such account.
    """
    profile = await documents.find(user_id)
    if profile is None:
        made = await ensure(context, [user_id])
        if not made:
            raise NotFound
        profile = made[0]
    if profile.is_erased:
        raise NotFound
    return profile


def make(ring: KeyRing, contact: Contact) -> ProfileDocument:
    """The first profile of an account."""
    now = clock.now()
    profile = ProfileDocument(
        id=contact.user_id,
        role=contact.role,
        display_name=display_name(contact.first_name, contact.last_name),
        private="",
        settings=SettingsEntry(locale=contact.locale),
        created_at=now,
        updated_at=now,
    )
    seal(ring, profile, Private(first_name=contact.first_name, last_name=contact.last_name))
    derive(profile)
    return profile


def display_name(first_name: str, last_name: str) -> str:
    """What others see of a name: "Ama K."."""
    initial = f" {last_name[0].upper()}." if last_name else ""
    return f"{first_name}{initial}".strip() or "Somebody"


async def edit(
    context: Context, user_id: str, change: Edit, *, if_version: int | None = None, then: Then | None = None
) -> ProfileDocument:
    """Change a profile in one transaction with the events that tell of it. No change, no event.

    Args:
        then: what else belongs to the change, such as timers; runs in the transaction, and again when that does.

    Raises:
        PreconditionFailed: `if_version` is given and is not the current one.
    """
    before = set((await get(context, user_id)).terms)

    async def body() -> ProfileDocument:
        profile = await documents.find(user_id)
        if profile is None:
            raise NotFound
        if if_version is not None and profile.version != if_version:
            raise PreconditionFailed
        version, status = profile.version, profile.availability.status
        changed = change(profile)
        if not changed:
            return profile
        profile.version += 1
        profile.updated_at = clock.now()
        derive(profile)
        if not await documents.replace(profile, version=version):
            raise Conflict
        subject = f"user:{user_id}"
        await context.events.append(ProfileUpdated(user_id=user_id, changed=list(changed)), subject=subject)
        if profile.availability.status != status:
            await context.events.append(
                StatusChanged(user_id=user_id, status=profile.availability.status.value), subject=subject
            )
        if then is not None:
            await then(profile)
        return profile

    profile = await context.mongo.transact(body)
    # After the commit: a word that is not learned for a crash costs a needless correction, never a hit.
    await spelling.learn([term for term in profile.terms if term not in before])
    return profile


def derive(profile: ProfileDocument) -> None:
    """Set what searches go by."""
    listed = (
        profile.role in _LISTED_ROLES
        and profile.settings.is_discoverable
        and profile.availability.status is not WorkerStatus.PAUSED
        and not profile.is_resting
        and not profile.is_erased
    )
    profile.listed_as = profile.role if listed else None
    for booking in profile.bookings:
        localize(booking, profile.availability.time_zone)
    # Who searches for a language also finds those who named the country that they speak it as in: fr finds fr-CI.
    spoken = dict.fromkeys(tag for full in profile.languages for tag in (full, full.partition("-")[0]))
    verified = any(one.verification is Verification.VERIFIED for one in profile.certificates)
    profile.traits = [*(["verified"] if verified else []), *(f"language:{tag}" for tag in spoken)]
    offered = [entry.id for entry in profile.skills]
    profile.trades = search_documents.trades(offered)
    profile.counted_as = search_documents.counted_as(
        skills=offered,
        region=profile.place.region if profile.place else None,
        languages=profile.languages,
        status=profile.availability.status,
    )
    choice = mapping.visibility(profile)
    company = profile.company if choice[ProfilePart.COMPANY] is Visibility.PUBLIC else None
    place = [profile.place.city, profile.place.region] if profile.place else []
    profile.terms = terms.index_terms(
        first=[profile.display_name, company, *place, profile.headline],
        skill_ids=offered,
        last=profile.bio if choice[ProfilePart.BIO] is Visibility.PUBLIC else None,
    )


def localize(booking: BookingEntry, time_zone: str) -> None:
    """Set the booking's hours as the worker's clock shows them; searches compare them as text."""
    zone = ZoneInfo(time_zone)
    booking.local_start, booking.local_end = (
        instant.astimezone(zone).strftime("%Y-%m-%dT%H:%M") for instant in (booking.starts_at, booking.ends_at)
    )


def seal(ring: KeyRing, profile: ProfileDocument, private: Private) -> None:
    profile.private = ring.seal(msgspec.json.encode(private).decode(), context=private_place(profile.id))


def unseal(ring: KeyRing, profile: ProfileDocument) -> Private:
    return msgspec.json.decode(ring.open(profile.private, context=private_place(profile.id)), type=Private)


def private_place(user_id: str) -> bytes:
    """The place that what only the person sees is sealed for."""
    return f"user.profile.private:{user_id}".encode()


# --- The operations ---


async def get_me(context: Context, *, by: Principal) -> MyProfile:
    profile = await get(context, by.user_id)
    return mapping.my_profile(profile, unseal(context.ring, profile))


async def get_public(
    context: Context, user_id: str, *, viewer: Principal | None, role: Role | None = None
) -> PublicProfile:
    """What the viewer sees of a person, in the given role if one is given. Oneself one sees as strangers do."""
    profile = await documents.find(user_id)
    if profile is None and context.old is not None:
        profile = next(iter(await context.old.shadows(context, [user_id])), None)
    if profile is None or profile.is_resting or profile.is_erased or (role is not None and profile.role is not role):
        raise NotFound
    shown = await shown_parts(profile, viewer)
    private = unseal(context.ring, profile) if shown & mapping.SEALED_PARTS else None
    return mapping.public_profile(profile, shown=shown, private=private)


async def shown_parts(profile: ProfileDocument, viewer: Principal | None) -> set[ProfilePart]:
    """The parts that the viewer may see."""
    choice = mapping.visibility(profile)
    seen = {Visibility.PUBLIC}
    if (
        viewer is not None
        and Visibility.COUNTERPART in choice.values()
        and await analytics.are_counterparts(profile.id, viewer.user_id)
    ):
        seen.add(Visibility.COUNTERPART)
    return {part for part, visibility in choice.items() if visibility in seen}


async def update_me(
    context: Context, data: UpdateProfile, *, by: Principal, if_version: int | None = None
) -> MyProfile:
    """Change what is sent. All of it is checked before anything is written."""
    changes = _checked(context.settings, data)
    if data.hourly_rate and by.role is not Role.WORKER:
        raise BadInput.of("hourlyRate", "only workers have a rate")
    sealed = {field: changes.pop(field) for field in ("phone", "address", "coordinates") if field in changes}

    read: tuple[dict[str, Any], dict[str, Any]] = ({}, {})

    def change(profile: ProfileDocument) -> list[str]:
        nonlocal read
        before = profile.model_dump()
        private = unseal(context.ring, profile)
        was = versions.fields(profile, private)
        replaced = msgspec.structs.replace(private, **sealed)
        for field, value in changes.items():
            setattr(profile, field, value)
        after = profile.model_dump()
        changed = {_wire_name(field) for field in changes if before[field] != after[field]}
        if replaced != private:
            seal(context.ring, profile, replaced)
            changed |= {_wire_name(field) for field in sealed if getattr(private, field) != getattr(replaced, field)}
        read = (was, versions.fields(profile, replaced))
        return sorted(changed)

    async def keep(profile: ProfileDocument) -> None:
        await versions.keep(context.ring, profile, *read)

    profile = await edit(context, by.user_id, change, if_version=if_version, then=keep)
    return mapping.my_profile(profile, unseal(context.ring, profile))


def _checked(settings: UserSettings, data: UpdateProfile) -> dict[str, object]:
    """The fields to set, cleaned, by their stored names."""
    changes: dict[str, object] = {}
    if data.headline is not UNSET:
        changes["headline"] = typed.optional_line("headline", data.headline, 120)
    if data.bio is not UNSET:
        changes["bio"] = typed.optional_text("bio", data.bio, 4000)
    if data.company is not UNSET:
        changes["company"] = typed.optional_line("company", data.company, 120)
    if data.languages is not UNSET:
        changes["languages"] = list(dict.fromkeys(data.languages))
    if data.location is not UNSET:
        changes["place"] = _place(data.location) if data.location else None
        changes["coordinates"] = data.location.coordinates if data.location else None
    if data.address is not UNSET:
        changes["address"] = typed.optional_line("address", data.address, 300)
    if data.phone is not UNSET:
        changes["phone"] = typed.phone("phone", data.phone) if data.phone else None
    if data.hourly_rate is not UNSET:
        rate = data.hourly_rate
        if rate is not None:
            typed.currency(settings, "hourlyRate.currency", rate.currency)
        changes["hourly_rate"] = Rate(amount=rate.amount, currency=rate.currency) if rate else None
    return changes


def _place(location: Location) -> Place:
    longitude, latitude = location.coordinates
    region = typed.region("location.region", location.region, at=location.coordinates)
    return Place(
        city=typed.line("location.city", location.city, 80),
        region=region,
        region_key=regions.key(region),
        point=Point(coordinates=(round(longitude, PUBLIC_DECIMALS), round(latitude, PUBLIC_DECIMALS))),
    )


def _wire_name(field: str) -> str:
    """The part of the profile that a stored field belongs to, as clients know it."""
    return {"place": "location", "coordinates": "location", "hourly_rate": "hourlyRate"}.get(field, field)
