"""Looks at an existing database, says where it differs from the baseline, and proposes a mapping file."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Column, Connection, Enum, inspect
from sqlalchemy.exc import SQLAlchemyError

from kelmah.legacy.database import engine as make_engine
from kelmah.legacy.entities import ENTITIES
from kelmah.legacy.entities.jobs import APPLICATION_STATUSES, JOB_STATUSES
from kelmah.legacy.entities.messages import NOTIFICATION_TYPES
from kelmah.legacy.entities.profiles import STATUSES
from kelmah.legacy.layout import Layout, MappingFile, TablePlace
from kelmah.legacy.tables import metadata

#: Words that free-text columns of the baseline know.
_WORDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("jobs", "status"): tuple(JOB_STATUSES),
    ("applications", "status"): tuple(APPLICATION_STATUSES),
    ("profiles", "availability"): tuple(STATUSES),
    ("conversations", "kind"): ("direct", "contract"),
    ("notifications", "type"): tuple(NOTIFICATION_TYPES),
}
#: Different values of a column that are looked at.
_MAX_VALUES = 100
_FAMILIES = {
    "numeric": ("numeric", "integer", "bigint", "smallint", "double", "real", "money"),
    "boolean": ("boolean",),
    "time": ("timestamp", "date"),
    "json": ("json",),
    "bytes": ("bytea",),
}


class Difference(NamedTuple):
    """Where the database is not as the baseline, and what to write into the mapping file.

    One that `blocks` keeps the database from being read; the others are words whose rows would be refused.
    """

    place: str
    what: str
    proposal: str
    blocks: bool = True


class Found(NamedTuple):
    """What an inspection found: differences, and the tables that are there and unknown."""

    differences: list[Difference]
    unknown_tables: list[str]
    mapping: MappingFile


def inspect_database(url: str, mapping: MappingFile | None = None) -> Found:
    """Compare a database, as a mapping file says where its things are, with the baseline.

    Tables that have another name are looked for by likeness, so that their columns can be compared as well.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return _inspect(connection, mapping or MappingFile())
    finally:
        engine.dispose()


def check_queries(url: str, layout: Layout) -> list[str]:
    """Queries of the move that the database refuses: table and reason."""
    faults = []
    engine = make_engine(url)
    with engine.connect() as connection:
        for entity in ENTITIES:
            for part in entity.parts:
                try:
                    # As a driver does: a doubled percent sign stands for one.
                    connection.exec_driver_sql(f"EXPLAIN {part.query(layout)}", {})
                except SQLAlchemyError as error:
                    connection.rollback()
                    faults.append(f"{part.table}: {str(getattr(error, 'orig', error)).splitlines()[0]}")
    engine.dispose()
    return list(dict.fromkeys(faults))


def write_mapping(mapping: MappingFile, differences: Sequence[Difference]) -> str:
    """The mapping file with every difference as a line to look at."""
    lines = [
        "# Where the old database has what the baseline has; see docs/legacy.md. Lines with a # wait for a decision.",
        f'schema = "{mapping.schema}"',
        "# uuid, bigint or text: what the ids are made of.",
        f'ids = "{mapping.ids}"',
    ]
    open_ones: dict[str, list[Difference]] = {}
    for one in differences:
        open_ones.setdefault(one.place.split(".")[0], []).append(one)
    for table in metadata.tables:
        place = mapping.tables.get(table, TablePlace())
        waiting = open_ones.get(table, [])
        if place == TablePlace() and not waiting:
            continue
        lines += ["", f"[tables.{table}]"]
        if place.table is not None:
            lines.append(f'table = "{place.table}"')
        lines += [f"# {one.place}: {one.what}\n# {one.proposal}" for one in waiting]
        for column, found in place.columns.items():
            values = {name: one for name, one in msgspec.to_builtins(found).items() if one not in (None, {})}
            said = ", ".join(f"{name} = {_toml(one)}" for name, one in values.items())
            lines.append(f"columns.{column} = {{ {said} }}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(to)}" for name, to in value.items()) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _inspect(connection: Connection, mapping: MappingFile) -> Found:
    looker = inspect(connection)
    there = set(looker.get_table_names(schema=mapping.schema)) - {"alembic_version"}
    layout = Layout(mapping)
    tables = dict(mapping.tables)
    taken = {layout.place(table) for table in metadata.tables}
    differences: list[Difference] = []
    for table in metadata.tables:
        name = layout.place(table)
        if name == "":
            continue
        if name not in there:
            near = difflib.get_close_matches(table, there - taken, n=1, cutoff=0.5)
            what = f"there is no table {name}"
            if not near:
                differences.append(Difference(table, what, 'table = ""  # or its name; empty: there is none'))
                continue
            differences.append(Difference(table, what, f'table = "{near[0]}"  # the most alike'))
            tables[table] = msgspec.structs.replace(tables.get(table, TablePlace()), table=near[0])
            taken.add(near[0])
        guess = Layout(msgspec.structs.replace(mapping, tables=tables))
        differences += _compare_table(connection, guess, table)
    return Found(differences, sorted(there - taken), mapping)


def _compare_table(connection: Connection, layout: Layout, table: str) -> Iterator[Difference]:
    looker = inspect(connection)
    there = {one["name"]: one for one in looker.get_columns(layout.place(table), schema=layout.schema)}
    for column in metadata.tables[table].columns:
        place = layout.column(table, column.name)
        if place.sql is not None:
            continue
        name, where = place.column or column.name, f"{table}.{column.name}"
        if name not in there:
            near = difflib.get_close_matches(column.name, there, n=1, cutoff=0.5)
            proposal = f'columns.{column.name} = {{ sql = "NULL" }}  # or an expression over the table'
            if near:
                proposal = f'columns.{column.name} = {{ column = "{near[0]}" }}'
            yield Difference(where, f"there is no column {name}", proposal)
            continue
        old, new = _family(str(there[name]["type"])), _family(str(column.type))
        if old != new and place.unit is None:
            yield Difference(
                where,
                f"{there[name]['type']}, and the baseline has {column.type}",
                f'columns.{column.name} = {{ column = "{name}", unit = "minor" }}  # or epoch_s, epoch_ms, or sql',
            )
        yield from _compare_words(connection, layout, table, column)


def _compare_words(
    connection: Connection, layout: Layout, table: str, column: "Column[object]"
) -> Iterator[Difference]:
    known = column.type.enums if isinstance(column.type, Enum) else _WORDS.get((table, column.name))
    if known is None:
        return
    value = layout.expression(table, column.name)
    values = f"SELECT DISTINCT {value}::text FROM {layout.name(table)} LIMIT {_MAX_VALUES}"
    try:
        found = {row[0] for row in connection.exec_driver_sql(values, {})} - {None}
    except SQLAlchemyError:
        connection.rollback()
        return  # other differences of this table come first
    unknown = sorted(found - set(known) - {one.upper() for one in known})
    if unknown:
        likely = {one: (difflib.get_close_matches(one.lower(), known, n=1, cutoff=0.4) or known)[0] for one in unknown}
        yield Difference(
            f"{table}.{column.name}",
            f"the unknown values {', '.join(map(repr, unknown))}; known are {', '.join(known)}",
            f"columns.{column.name} = {{ values = {_toml(likely)} }}",
            blocks=False,
        )


def _family(kind: str) -> str:
    lower = kind.lower()
    return next((name for name, words in _FAMILIES.items() if any(word in lower for word in words)), "text")
