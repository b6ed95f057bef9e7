"""What a person chooses: availability, settings and the channels of notifications."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from kelmah.contracts.user import (
    Availability,
    NotificationKind,
    NotificationPreferences,
    SetNotificationPreferences,
    SetVisibility,
    UserSettings,
    VisibilityChoice,
    WeeklySlot,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.services.user import mapping
from kelmah.services.user.documents.profiles import (
    AvailabilityEntry,
    ExceptionEntry,
    ProfileDocument,
    SettingsEntry,
    SlotEntry,
)
from kelmah.services.user.service import profiles, typed
from kelmah.services.user.service.context import Context

#: How far ahead an exception may lie.
HORIZON = timedelta(days=366)


async def get_availability(context: Context, *, by: Principal) -> tuple[Availability, int]:
    """The availability with the profile's version."""
    profile = await profiles.get(context, by.user_id)
    return mapping.availability(profile), profile.version


async def set_availability(
    context: Context, data: Availability, *, by: Principal, if_version: int | None = None
) -> tuple[Availability, int]:
    """Replace the availability. A new status is told to the other services."""
    time_zone = typed.time_zone("timeZone", data.time_zone)
    _check_weekly(data.weekly)
    kept = (await get_availability(context, by=by))[0].exceptions
    _check_exceptions(data, {one.day.isoformat() for one in kept})
    wanted = AvailabilityEntry(
        status=data.status,
        time_zone=time_zone,
        weekly=[
            SlotEntry(day=slot.day, start=slot.start, end=slot.end)
            for slot in sorted(data.weekly, key=lambda slot: (slot.day, slot.start))
        ],
        exceptions=[
            ExceptionEntry(day=one.day.isoformat(), is_available=one.is_available)
            for one in sorted(data.exceptions, key=lambda one: one.day)
        ],
    )

    def change(profile: ProfileDocument) -> list[str]:
        if profile.availability == wanted:
            return []
        profile.availability = wanted
        return ["availability"]

    profile = await profiles.edit(context, by.user_id, change, if_version=if_version)
    return mapping.availability(profile), profile.version


def _check_weekly(weekly: list[WeeklySlot]) -> None:
    taken: dict[int, list[tuple[str, str]]] = {}
    for position, slot in enumerate(weekly):
        if slot.start >= slot.end:
            raise BadInput.of(f"weekly[{position}].end", "must be after start; split a night at midnight")
        if any(slot.start < end and start < slot.end for start, end in taken.get(slot.day, [])):
            raise BadInput.of(f"weekly[{position}]", "overlaps with another slot of the day")
        taken.setdefault(slot.day, []).append((slot.start, slot.end))


def _check_exceptions(data: Availability, kept: set[str]) -> None:
    """Refuse days that are past, too far or twice; a past day that is stored already may be sent back."""
    today = clock.now().astimezone(ZoneInfo(data.time_zone)).date()
    seen = set()
    for position, one in enumerate(data.exceptions):
        field = f"exceptions[{position}].day"
        if one.day < today and one.day.isoformat() not in kept:
            raise BadInput.of(field, "must not be in the past")
        typed.not_after(field, one.day, today + HORIZON)
        if one.day in seen:
            raise BadInput.of(field, "is in the list already")
        seen.add(one.day)


async def get_settings(context: Context, *, by: Principal) -> tuple[UserSettings, int]:
    """The settings with the profile's version."""
    profile = await profiles.get(context, by.user_id)
    return mapping.settings(profile), profile.version


async def set_settings(
    context: Context, data: UserSettings, *, by: Principal, if_version: int | None = None
) -> tuple[UserSettings, int]:
    """Replace the settings; what is left out has its default."""
    wanted = SettingsEntry(
        locale=data.locale,
        time_zone=typed.time_zone("timeZone", data.time_zone),
        currency=typed.currency(context.settings, "currency", data.currency),
        is_discoverable=data.is_discoverable,
    )

    def change(profile: ProfileDocument) -> list[str]:
        if profile.settings == wanted:
            return []
        profile.settings = wanted
        return ["settings"]

    profile = await profiles.edit(context, by.user_id, change, if_version=if_version)
    return mapping.settings(profile), profile.version


async def get_notification_preferences(context: Context, user_id: str) -> tuple[NotificationPreferences, int]:
    """The preferences with the profile's version."""
    profile = await profiles.get(context, user_id)
    return mapping.notification_preferences(profile), profile.version


async def get_visibility(context: Context, *, by: Principal) -> tuple[VisibilityChoice, int]:
    """Who sees which part, with the profile's version."""
    profile = await profiles.get(context, by.user_id)
    return VisibilityChoice(parts=mapping.visibility(profile)), profile.version


async def set_visibility(
    context: Context, data: SetVisibility, *, by: Principal, if_version: int | None = None
) -> tuple[VisibilityChoice, int]:
    """Replace the choice; only what differs from the defaults is kept."""
    wanted = {part.value: to.value for part, to in data.parts.items() if to is not mapping.DEFAULT_VISIBILITY[part]}

    def change(profile: ProfileDocument) -> list[str]:
        if profile.visibility == wanted:
            return []
        profile.visibility = wanted
        return ["visibility"]

    profile = await profiles.edit(context, by.user_id, change, if_version=if_version)
    return VisibilityChoice(parts=mapping.visibility(profile)), profile.version


async def unsubscribe(context: Context, user_id: str, kind: NotificationKind) -> None:
    """Send a person no more mail of a kind, as the link in a mail asks. Said twice, nothing more changes.

    Raises:
        BadInput: security is always told by mail.
    """
    if kind is NotificationKind.SECURITY:
        raise BadInput.of("kind", "security is always told by mail")

    def change(profile: ProfileDocument) -> list[str]:
        current = mapping.notification_preferences(profile).channels[kind]
        if not current.email:
            return []
        to = {"in_app": current.in_app, "email": False, "sms": current.sms, "push": current.push}
        profile.channels = profile.channels | {kind.value: to}
        return ["notificationPreferences"]

    await profiles.edit(context, user_id, change)


async def set_notification_preferences(
    context: Context, data: SetNotificationPreferences, *, by: Principal, if_version: int | None = None
) -> tuple[NotificationPreferences, int]:
    """Replace the choice; a kind that is left out has its defaults. Only what differs from those is kept."""
    security = data.channels.get(NotificationKind.SECURITY)
    if security is not None and not (security.in_app and security.email):
        raise BadInput.of("channels.security", "is always told in the app and by mail")
    wanted = {
        kind.value: {"in_app": to.in_app, "email": to.email, "sms": to.sms, "push": to.push}
        for kind, to in data.channels.items()
        if to != mapping.DEFAULT_CHANNELS[kind]
    }

    def change(profile: ProfileDocument) -> list[str]:
        if profile.channels == wanted:
            return []
        profile.channels = wanted
        return ["notificationPreferences"]

    profile = await profiles.edit(context, by.user_id, change, if_version=if_version)
    return mapping.notification_preferences(profile), profile.version
