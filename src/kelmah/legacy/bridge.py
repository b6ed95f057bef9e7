"""The bridge: asks the old database for single people who were not moved yet."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from kelmah.legacy import layout as layouts
from kelmah.legacy.database import Questions, open_questions
from kelmah.legacy.entities.people import PEOPLE, OldPerson
from kelmah.legacy.entities.profiles import PROFILES, OldProfile
from kelmah.legacy.entity import Group, completed
from kelmah.legacy.layout import Layout
from kelmah.legacy.reading import LeftBehind, Unmappable, old_uuid
from kelmah.legacy.settings import BridgeSettings

_BY_EMAIL = """lower(btrim(t.email)) = lower(btrim(%(email)s)) AND t.deleted_at IS NULL
AND t.status::text <> 'deleted'"""
_UUID = re.compile(r"[0-9a-f]{32}\Z")
_BY_ID = "t.id = ANY(%(ids)s::uuid[])"


class Bridge:
    """Questions about people. Each raises LegacyUnavailable when the old database does not answer in time."""

    def __init__(self, questions: Questions, layout: Layout) -> None:
        self._questions = questions
        self._layout = layout

    async def person(self, email: str) -> tuple[Group, OldPerson] | None:
        """Who has this address there, whatever its capitals, and can be moved."""
        query = PEOPLE.root.query(self._layout, where=_BY_EMAIL, order="t.created_at, t.id") + " LIMIT 1"
        rows = await self._questions.ask(query, {"email": email})
        for group in await completed(self._questions.ask, self._layout, PEOPLE, rows):
            try:
                return group, PEOPLE.make(group)
            except (Unmappable, LeftBehind):
                return None
        return None

    async def profiles(self, ids: Sequence[str]) -> list[tuple[Group, OldProfile]]:
        """Profiles there of people with these ids here. Of ids that are no UUIDs there, none can be told."""
        keys = [old_uuid(one) for one in ids if _UUID.match(one)]
        if self._layout.ids != "uuid" or not keys:
            return []
        wanted = {"ids": keys}
        rows = await self._questions.ask(PROFILES.root.query(self._layout, where=_BY_ID), wanted)
        found = []
        for group in await completed(self._questions.ask, self._layout, PROFILES, rows):
            try:
                found.append((group, PROFILES.make(group)))
            except (Unmappable, LeftBehind):
                continue
        return found


@asynccontextmanager
async def open_bridge(settings: BridgeSettings) -> AsyncIterator[Bridge | None]:
    """The bridge of a service, or None where it has none.

    Raises:
        LayoutError: the mapping file does not fit.
    """
    if settings.legacy_postgres_url is None or not settings.legacy_bridge:
        yield None
        return
    layout = layouts.load(settings.legacy_mapping)
    async with open_questions(settings.legacy_postgres_url.get_secret_value()) as questions:
        yield Bridge(questions, layout)
