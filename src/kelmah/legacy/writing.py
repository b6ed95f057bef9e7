"""Writes rows of the baseline's shape into the old database, through the layout."""

from typing import Any

from psycopg import AsyncConnection

from kelmah.legacy.database import Row
from kelmah.legacy.layout import ColumnPlace, Layout, quoted
from kelmah.legacy.tables import metadata


async def put(connection: AsyncConnection[Row], layout: Layout, table: str, row: Row) -> str:
    """Make a row be so: `inserted`, `updated`, or `kept` where it was so already or its table is not there.

    Columns that the layout computes are left alone. A row that lacks what its table must have is updated only.
    """
    if not layout.place(table):
        return "kept"
    keys = [column.name for column in metadata.tables[table].primary_key]
    places = {name: layout.column(table, name) for name in row}
    written = {name: _value(places[name], value) for name, value in row.items() if places[name].sql is None}
    names = {name: quoted(places[name].column or name) for name in written}
    where = " AND ".join(f"{names[name]} = %({name})s" for name in keys)
    others = [name for name in written if name not in keys]
    differs = " OR ".join(f"{names[name]} IS DISTINCT FROM %({name})s" for name in others)
    if others:
        changes = ", ".join(f"{names[name]} = %({name})s" for name in others)
        query = f"UPDATE {layout.name(table)} SET {changes} WHERE {where} AND ({differs})"
        if (await connection.execute(query.encode(), written)).rowcount:
            return "updated"
    there = await connection.execute(f"SELECT 1 AS one FROM {layout.name(table)} WHERE {where}".encode(), written)
    if await there.fetchone() is not None or not _is_whole(table, row):
        return "kept"
    columns, values = ", ".join(names.values()), ", ".join(f"%({name})s" for name in written)
    query = f"INSERT INTO {layout.name(table)} ({columns}) VALUES ({values})"
    await connection.execute(query.encode(), written)
    return "inserted"


def _is_whole(table: str, row: Row) -> bool:
    """Whether the row has all that its table cannot do without."""
    needed = (c for c in metadata.tables[table].columns if not c.nullable and c.server_default is None)
    return all(row.get(column.name) is not None for column in needed)


def _value(place: ColumnPlace, value: Any) -> Any:
    """A value of the baseline as the old database has it."""
    if value is None:
        return None
    if place.values:
        back = {new: old for old, new in reversed(place.values.items())}
        value = back.get(value, value)
    if place.unit == "minor":
        return int(value * 100)
    if place.unit is not None:
        seconds = value.timestamp()
        return int(seconds * 1000 if place.unit == "epoch_ms" else seconds)
    return value
