"""The operations on one's own profile."""

from litestar import Response, get, patch, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from kelmah.contracts.common import Page
from kelmah.contracts.user import (
    Availability,
    Booking,
    MyProfile,
    NotificationPreferences,
    ProfileSkill,
    SetNotificationPreferences,
    SetSkills,
    UpdateProfile,
    UserSettings,
)
from kelmah.kit.context import Principal
from kelmah.services.user.controllers.etags import IfMatch, tagged, wanted_version
from kelmah.services.user.service import Context, bookings, choices, entries, profiles

_TAGS = ["My profile"]


@get("/api/v1/users/me", operation_id="GetMyProfile", summary="My profile, with what only I see", tags=_TAGS)
async def get_my_profile(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[MyProfile]:
    profile = await profiles.get_me(context, by=principal)
    return tagged(profile, profile.version)


@patch("/api/v1/users/me", operation_id="UpdateMyProfile", summary="Change parts of my profile", tags=_TAGS)
async def update_my_profile(
    data: JSONBody[UpdateProfile],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[MyProfile]:
    profile = await profiles.update_me(context, data, by=principal, if_version=wanted_version(if_match))
    return tagged(profile, profile.version)


@get("/api/v1/users/me/skills", operation_id="ListMySkills", summary="My trades", tags=_TAGS)
async def list_my_skills(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[Page[ProfileSkill]]:
    return tagged(*await entries.list_skills(context, by=principal))


@put("/api/v1/users/me/skills", operation_id="SetMySkills", summary="Set my trades, best first", tags=_TAGS)
async def set_my_skills(
    data: JSONBody[SetSkills],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[Page[ProfileSkill]]:
    version = wanted_version(if_match)
    return tagged(*await entries.set_skills(context, data, by=principal, if_version=version))


@get("/api/v1/users/me/availability", operation_id="GetMyAvailability", summary="When I take work", tags=_TAGS)
async def get_my_availability(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[Availability]:
    return tagged(*await choices.get_availability(context, by=principal))


@put("/api/v1/users/me/availability", operation_id="SetMyAvailability", summary="Set when I take work", tags=_TAGS)
async def set_my_availability(
    data: JSONBody[Availability],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[Availability]:
    version = wanted_version(if_match)
    return tagged(*await choices.set_availability(context, data, by=principal, if_version=version))


@get("/api/v1/users/me/bookings", operation_id="ListMyBookings", summary="When I am booked", tags=_TAGS)
async def list_my_bookings(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> Page[Booking]:
    return await bookings.list_mine(context, by=principal)


@get("/api/v1/users/me/settings", operation_id="GetMySettings", summary="My settings", tags=_TAGS)
async def get_my_settings(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[UserSettings]:
    return tagged(*await choices.get_settings(context, by=principal))


@put("/api/v1/users/me/settings", operation_id="SetMySettings", summary="Set my settings", tags=_TAGS)
async def set_my_settings(
    data: JSONBody[UserSettings],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[UserSettings]:
    version = wanted_version(if_match)
    return tagged(*await choices.set_settings(context, data, by=principal, if_version=version))


@get(
    "/api/v1/users/me/notification-preferences",
    operation_id="GetMyNotificationPreferences",
    summary="By which channels I am told of what",
    tags=_TAGS,
)
async def get_my_notification_preferences(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[NotificationPreferences]:
    return tagged(*await choices.get_notification_preferences(context, principal.user_id))


@put(
    "/api/v1/users/me/notification-preferences",
    operation_id="SetMyNotificationPreferences",
    summary="Choose by which channels I am told of what",
    tags=_TAGS,
)
async def set_my_notification_preferences(
    data: JSONBody[SetNotificationPreferences],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[NotificationPreferences]:
    version = wanted_version(if_match)
    return tagged(*await choices.set_notification_preferences(context, data, by=principal, if_version=version))


HANDLERS = [
    list_my_bookings,
    get_my_profile, update_my_profile, list_my_skills, set_my_skills, get_my_availability, set_my_availability,
    get_my_settings, set_my_settings, get_my_notification_preferences, set_my_notification_preferences,
]  # fmt: skip
