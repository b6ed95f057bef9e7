"""Where a real old database has what the baseline has: by default the same; else what a mapping file says.

Everything that reads or writes old rows goes through a layout, so a database that differs needs a file and no code.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import UUID

from kelmah.legacy.tables import metadata

#: What the ids of a database are made of. UUIDs go on as they are; others get one that is derived from them.
IdType = Literal["uuid", "bigint", "text"]
Unit = Literal["minor", "epoch_s", "epoch_ms"]


class ColumnPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one baseline column is: a column, or an expression over the table's columns (which is read only).

    `unit`: money in minor units, or seconds or milliseconds since 1970. `zone`: of a time that is stored without.
    `values`: an old word → the baseline's.
    """

    column: str | None = None
    sql: str | None = None
    unit: Unit | None = None
    zone: str | None = None
    values: dict[str, str] = {}


class TablePlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one baseline table is; an empty name says that there is none."""

    table: str | None = None
    columns: dict[str, ColumnPlace] = {}


class MappingFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file."""

    schema: str = "public"
    ids: IdType = "uuid"
    tables: dict[str, TablePlace] = {}


class LayoutError(Exception):
    """The mapping file does not fit; the message lists every fault."""


class Layout:
    """The baseline's tables and columns as SQL over a real database."""

    def __init__(self, mapping: MappingFile | None = None) -> None:
        self._mapping = mapping or MappingFile()
        faults = [
            f"tables.{table}.columns.{column}: the baseline has no such column"
            for table, place in self._mapping.tables.items()
            if table in metadata.tables
            for column in place.columns
            if column not in metadata.tables[table].columns
        ]
        faults += [
            f"tables.{table}: the baseline has no such table"
            for table in self._mapping.tables
            if table not in metadata.tables
        ]
        if faults:
            raise LayoutError("\n".join(faults))

    @property
    def ids(self) -> IdType:
        return self._mapping.ids

    @property
    def schema(self) -> str:
        return self._mapping.schema

    def place(self, table: str) -> str:
        """The name of a table in the database; empty where there is none."""
        found = self._mapping.tables.get(table, TablePlace()).table
        return table if found is None else found

    def column(self, table: str, column: str) -> ColumnPlace:
        """Where a column is."""
        found = self._mapping.tables.get(table, TablePlace()).columns.get(column, ColumnPlace())
        if found.column is None and found.sql is None:
            return msgspec.structs.replace(found, column=column)
        return found

    def relation(self, table: str) -> str:
        """A table expression with the baseline's columns. Plain columns stay plain, so their indexes are used."""
        columns = [
            f"{self.expression(table, column.name)} AS {quoted(column.name)}"
            for column in metadata.tables[table].columns
        ]
        if not self.place(table):
            nothing = ", ".join(
                f"NULL::{self.ids if isinstance(one.type, UUID) else 'text'} AS {quoted(one.name)}"
                for one in metadata.tables[table].columns
            )
            return f"(SELECT {nothing} WHERE false)"
        return f"(SELECT {', '.join(columns)} FROM {self.name(table)})"

    def name(self, table: str) -> str:
        """The quoted name of a table."""
        return f"{quoted(self.schema)}.{quoted(self.place(table))}"

    def relations(self) -> Mapping[str, str]:
        """Every table's expression by its name, to be put into a query."""
        return {table: self.relation(table) for table in metadata.tables}

    def expression(self, table: str, column: str) -> str:
        """A column as SQL over its table."""
        place = self.column(table, column)
        text = f"({place.sql})" if place.sql is not None else quoted(place.column or column)
        if place.unit == "minor":
            text = f"({text} / 100.0)"
        elif place.unit is not None:
            text = f"to_timestamp({text}{' / 1000.0' if place.unit == 'epoch_ms' else ''})"
        if place.zone is not None:
            text = f"({text} AT TIME ZONE {literal(place.zone)})"
        if place.values:
            cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in place.values.items())
            text = f"(CASE {text}::text {cases} ELSE {text}::text END)"
        return text


def load(path: Path | None) -> Layout:
    """The layout that a mapping file says, or the baseline's own.

    Raises:
        LayoutError: the file does not fit.
    """
    return Layout(load_file(path))


def load_file(path: Path | None) -> MappingFile:
    """A mapping file, or one that says nothing.

    Raises:
        LayoutError: it cannot be read.
    """
    if path is None:
        return MappingFile()
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), MappingFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, OSError) as error:
        raise LayoutError(f"{path}: {error}") from error


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it, free of what a driver takes for a parameter."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"
