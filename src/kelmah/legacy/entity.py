"""What an entity is: the old tables that make one thing here, where each of their columns goes, and the rule."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from psycopg import AsyncConnection

from kelmah.legacy.database import Row, fetch
from kelmah.legacy.layout import Layout, quoted
from kelmah.legacy.reading import LeftBehind, Old, Unmappable, new_id

RecordT = TypeVar("RecordT", bound="Record")
ResultT = TypeVar("ResultT")
Fate = Literal["moved", "refused", "left"]


class Record(Protocol):
    """A thing as it was read and cleaned; equal to what is made anew of the document that was made of it."""

    @property
    def id(self) -> str: ...


class To(NamedTuple):
    """Where a column goes, and by which rule; nowhere when `where` is empty, and the rule says why."""

    where: str
    rule: str = ""


def stays(why: str) -> To:
    """A column that is not moved."""
    return To("", why)


class Reference(NamedTuple):
    """A row of `table`, moved by `service`, that must be there. Not `strict`: its owner may have left the platform."""

    column: str
    table: str
    service: str
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """One old table of an entity. `of` names, in a child, the column that holds the root's key.

    `extra` are values that are computed in SQL: `t` is the row, `{table}` another table.
    """

    table: str
    columns: Mapping[str, To]
    key: tuple[str, ...] = ("id",)
    of: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def query(self, layout: Layout, *, where: str = "true", order: str | None = None) -> str:
        """The query that reads its rows, every value as text."""
        wanted = [name for name, to in self.columns.items() if to.where or name in self.key or name == self.of]
        values = [f"t.{quoted(name)}::text AS {quoted(name)}" for name in wanted]
        values += [f"({sql.format_map(_named(layout))})::text AS {quoted(name)}" for name, sql in self.extra.items()]
        ordered = f" ORDER BY {order}" if order else ""
        return f"SELECT {', '.join(values)} FROM {layout.relation(self.table)} t WHERE {where}{ordered}"

    def key_of(self, row: Row) -> str:
        """How the journal calls a row."""
        return ":".join(_text(row[name]) for name in self.key)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one old row."""

    table: str
    key: str
    fate: Fate
    to: str | None = None
    reason: str | None = None
    remarks: list[str] = []


class Group:
    """One old root row with the rows of its children, and what becomes of each."""

    def __init__(self, entity: "Entity[Any]", row: Row) -> None:
        self.entity = entity
        self.row = row
        self.key = entity.root.key_of(row)
        self.remarks: list[str] = []
        self.root = Old(entity.root.table, row, self.remarks)
        self.children: dict[str, list[Row]] = {part.table: [] for part in entity.children}
        self._fates: list[Outcome] = []

    @property
    def new_id(self) -> str:
        return new_id(self.entity.root.table, self.key)

    def rows(self, table: str, make: Callable[[Old], ResultT]) -> list[ResultT]:
        """What `make` makes of each row of a child; those that cannot be moved are noted and left out."""
        part = next(one for one in self.entity.children if one.table == table)
        made = []
        for row in self.children[table]:
            remarks: list[str] = []
            key, to, fate, reason = part.key_of(row), None, "moved", None
            try:
                made.append(make(Old(table, row, remarks)))
                to = new_id(table, key)
            except Unmappable as error:
                fate, reason = "refused", str(error)
            except LeftBehind as rule:
                fate, reason = "left", str(rule)
            self._fates.append(Outcome(table=table, key=key, fate=fate, to=to, reason=reason, remarks=remarks))  # type: ignore[arg-type]  # one of the three
        return made

    def outcomes(self, fate: Fate = "moved", reason: str | None = None) -> list[Outcome]:
        """The outcome of the root and of every child. Where the root is not moved, its children are not either."""
        table = self.entity.root.table
        to = self.new_id if fate == "moved" else None
        root = Outcome(table=table, key=self.key, fate=fate, to=to, reason=reason, remarks=self.remarks)
        if fate == "moved":
            return [root, *self._fates]
        why = f"belongs to a row of {table} that was not moved"
        return [
            root,
            *(
                Outcome(table=part.table, key=part.key_of(row), fate=fate, reason=why)
                for part in self.entity.children
                for row in self.children[part.table]
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class Entity(Generic[RecordT]):
    """One kind of thing. `make` reads a record or raises `Unmappable` or `LeftBehind`; `rows` is its inverse.

    `order` is the order in which roots are walked through; `batch` how many go into one transaction.
    """

    name: str
    service: str
    root: Part
    make: Callable[[Group], RecordT]
    children: tuple[Part, ...] = ()
    references: tuple[Reference, ...] = ()
    order: str = 't."id"'
    batch: int = 500
    rows: Callable[[RecordT], Iterator[tuple[str, Row]]] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.root, *self.children)


async def walk(
    connection: AsyncConnection[Row], layout: Layout, entity: Entity[Any], *, size: int
) -> AsyncGenerator[list[Group], None]:
    """Every root with its children, in batches, read as one snapshot. One batch is in memory at a time."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        async with connection.cursor(name="kelmah_walk") as cursor:
            await cursor.execute(entity.root.query(layout, order=entity.order).encode(), {})
            while rows := await cursor.fetchmany(size):
                yield await complete(connection, layout, entity, rows)


async def complete(
    connection: AsyncConnection[Row], layout: Layout, entity: Entity[Any], rows: Sequence[Row]
) -> list[Group]:
    """Roots with the rows of their children."""
    return await completed(lambda query, values: fetch(connection, query, values), layout, entity, rows)


async def completed(ask: Any, layout: Layout, entity: Entity[Any], rows: Sequence[Row]) -> list[Group]:
    """As `complete`, by whatever asks."""
    groups = [Group(entity, row) for row in rows]
    by_key = {group.key: group for group in groups}
    for part in entity.children:
        where = f"t.{quoted(part.of)} = ANY(%(roots)s::{layout.ids}[])"
        order = ", ".join(f"t.{quoted(name)}" for name in part.key)
        for row in await ask(part.query(layout, where=where, order=order), {"roots": list(by_key)}):
            by_key[_text(row[part.of])].children[part.table].append(row)
    return groups


async def orphans(connection: AsyncConnection[Row], layout: Layout, entity: Entity[Any]) -> AsyncIterator[Outcome]:
    """Rows of children whose root is not there."""
    root, (key,) = layout.relation(entity.root.table), entity.root.key
    for part in entity.children:
        where = f"NOT EXISTS (SELECT 1 FROM {root} r WHERE r.{quoted(key)} = t.{quoted(part.of)})"
        keys = ", ".join(f"t.{quoted(name)}::text AS {quoted(name)}" for name in part.key)
        async with connection.transaction(), connection.cursor(name="kelmah_orphans") as cursor:
            query = f"SELECT {keys} FROM {layout.relation(part.table)} t WHERE {where}"
            await cursor.execute(query.encode(), {})
            while rows := await cursor.fetchmany(1_000):
                for row in rows:
                    reason = f"{part.table}.{part.of}: there is no such row in {entity.root.table}"
                    yield Outcome(table=part.table, key=part.key_of(row), fate="refused", reason=reason)


async def count(connection: AsyncConnection[Row], layout: Layout, tables: Collection[str]) -> dict[str, int]:
    """How many rows the old tables have."""
    found = {}
    for table in tables:
        row = (await fetch(connection, f"SELECT count(*)::text AS n FROM {layout.relation(table)} t"))[0]
        found[table] = int(_text(row["n"]))
    return found


def _named(layout: Layout) -> Mapping[str, str]:
    return layout.relations()


def _text(value: str | bytes) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
