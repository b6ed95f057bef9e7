"""Profiles that are still in the old database only: shown from there, or moved once their person was."""

from collections.abc import Sequence

import structlog

from kelmah.legacy.bridge import Bridge
from kelmah.legacy.commit import commit
from kelmah.legacy.database import LegacyUnavailable
from kelmah.legacy.entities.profiles import OldProfile
from kelmah.legacy.entity import Group
from kelmah.services.user.documents.profiles import ProfileDocument
from kelmah.services.user.service.context import Context
from kelmah.services.user.service.importing import after_profiles, move_profiles, profile_of

log = structlog.get_logger(__name__)


class BridgedProfiles:
    """What `Context.old` says, by the bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def bring(self, context: Context, user_ids: Sequence[str]) -> None:
        if found := await self._look(user_ids):
            await commit(context.mongo, found, [], lambda old: move_profiles(context, old))
            await after_profiles(context, [old for _, old in found])

    async def shadows(self, context: Context, user_ids: Sequence[str]) -> list[ProfileDocument]:
        return [profile_of(context, old) for _, old in await self._look(user_ids)]

    async def _look(self, user_ids: Sequence[str]) -> list[tuple[Group, OldProfile]]:
        try:
            return await self._bridge.profiles(user_ids)
        except LegacyUnavailable as error:
            # A profile that is not seen for a moment is better than a page that fails.
            log.warning("user.bridge.unavailable", error=str(error))
            return []
