"""What belongs to a profile, written back: its address, skills and works.

Here these are parts of one document, there rows of their own. Only a row that was moved, or made from here, may go
when its thing went: one that was refused, left behind or never looked at is not known here.
"""

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal

from psycopg import AsyncConnection

from kelmah.contracts import regions, taxonomy
from kelmah.kit import clock
from kelmah.legacy.database import Row, fetch
from kelmah.legacy.entities.profiles import OldProfile
from kelmah.legacy.journal import Journal
from kelmah.legacy.layout import Layout, quoted
from kelmah.legacy.reading import old_uuid
from kelmah.legacy.writing import put

_NAMESPACE = uuid.UUID("6b656c6d-6168-5000-8000-62656c6f6e67")
_LINE_CHARS = 200
#: Of `_uuid`, and of `kelmah.kit.ids`.
_OWN_VERSIONS = frozenset({5, 7})


class Belongings:
    """Writes them through the layout, in the open transaction. Each gives table and what was done, by row."""

    def __init__(self, connection: AsyncConnection[Row], layout: Layout, journal: Journal) -> None:
        self._connection = connection
        self._layout = layout
        self._journal = journal

    async def write(self, profile: OldProfile) -> AsyncIterator[tuple[str, str]]:
        for table, step in (
            ("addresses", self._address),
            ("user_skills", self._skills),
            ("portfolio_items", self._works),
        ):
            if self._layout.place(table):
                async for how in step(profile):
                    yield table, how

    async def _address(self, profile: OldProfile) -> AsyncIterator[str]:
        key = old_uuid(profile.id)
        rows = await self._rows(
            *("addresses", "id", "line1", "line2", "city", "region", "latitude", "longitude"),
            where="t.user_id = %(key)s AND t.is_primary AND t.deleted_at IS NULL",
            key=key,
        )
        if not (profile.address or profile.city):
            for row in filter(_is_known, rows):
                yield await self._put("addresses", {"id": row["id"], "deleted_at": clock.now()})
            return
        row = rows[0] if rows else {"id": _uuid("address", key)} | dict.fromkeys(("line1", "line2", "city", "region"))
        values: Row = {"id": row["id"], "user_id": key, "is_primary": True, "deleted_at": None}
        # Only what is another here: a line was made of two, and a region has one way of writing it.
        if profile.address and profile.address != ", ".join(filter(None, (row["line1"], row["line2"]))):
            values |= {"line1": profile.address[:_LINE_CHARS], "line2": profile.address[_LINE_CHARS:] or None}
        if profile.city and profile.region and profile.coordinates:
            longitude, latitude = (round(Decimal(str(one)), 6) for one in profile.coordinates)
            values |= {"city": profile.city, "latitude": latitude, "longitude": longitude}
            if regions.key(profile.region) != regions.key(row["region"] or ""):
                values["region"] = profile.region
        yield await self._put("addresses", values)

    async def _skills(self, profile: OldProfile) -> AsyncIterator[str]:
        key, wanted = old_uuid(profile.id), {one.id: one for one in profile.skills}
        names = {row["id"]: row["name"] for row in await self._rows("skills", "id", "name")}
        rows = await self._rows("user_skills", "id", "skill_id", where="t.user_id = %(key)s", key=key)
        for row in rows:
            trade = taxonomy.resolve(names.get(row["skill_id"]) or "")
            if trade is not None and (skill := wanted.pop(trade.id, None)):
                yield await self._put("user_skills", {"id": row["id"], "years_experience": skill.years})
            elif _is_known(row) and (trade is None or trade.id not in {one.id for one in profile.skills}):
                yield await self._remove("user_skills", row["id"])
        words = {trade.id: old for old, name in names.items() if (trade := taxonomy.resolve(name or ""))}
        for one in wanted.values():
            if one.id not in words:
                words[one.id] = _uuid("skill", one.id)
                await self._put("skills", {"id": words[one.id], "name": taxonomy.skills()[one.id].name})
            values = {"id": _uuid("user_skill", f"{key}:{one.id}"), "user_id": key, "skill_id": words[one.id]}
            yield await self._put("user_skills", values | {"years_experience": one.years})

    async def _works(self, profile: OldProfile) -> AsyncIterator[str]:
        key = old_uuid(profile.id)
        works = {old_uuid(one.id): one for one in profile.portfolio}
        rows = await self._rows("portfolio_items", "id", where="t.user_id = %(key)s AND t.deleted_at IS NULL", key=key)
        for row in rows:
            if row["id"] not in works and _is_known(row):
                yield await self._put("portfolio_items", {"id": row["id"], "deleted_at": clock.now()})
        for work_key, one in works.items():
            values = {"title": one.title, "description": one.description, "completed_on": one.completed_on}
            yield await self._put("portfolio_items", {"id": work_key, "user_id": key, "deleted_at": None} | values)

    async def _rows(self, table: str, *columns: str, where: str = "true", key: str = "") -> list[Row]:
        """Rows as text, by id, each with its fate at the move; without those that were refused or left behind."""
        names = ", ".join(f"t.{quoted(name)}::text AS {quoted(name)}" for name in columns)
        relation = self._layout.relation(table)
        query = f"SELECT {names} FROM {relation} t WHERE {where} ORDER BY t.id"
        rows = await fetch(self._connection, query, {"key": key})
        fates = await self._journal.fates(table, [row["id"] for row in rows])
        found = [row | {"fate": fates.get(row["id"])} for row in rows]
        return [row for row in found if row["fate"] in (None, "moved")]

    async def _put(self, table: str, row: Row) -> str:
        return await put(self._connection, self._layout, table, row)

    async def _remove(self, table: str, key: str) -> str:
        column = quoted(self._layout.column(table, "id").column or "id")
        query = f"DELETE FROM {self._layout.name(table)} WHERE {column} = %(key)s"
        await self._connection.execute(query.encode(), {"key": key})
        return "removed"


def _is_known(row: Row) -> bool:
    """Whether a row came from there, or was made of something here: our ids are of versions that old ones are not."""
    try:
        return row["fate"] == "moved" or uuid.UUID(row["id"]).version in _OWN_VERSIONS
    except ValueError:
        return False


def _uuid(kind: str, name: str) -> str:
    """The id there of what has none here: the same whenever it is asked for."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))
