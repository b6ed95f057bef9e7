"""What the old tables share: naming, keys, timestamps, soft deletes, money."""

from sqlalchemy import TIMESTAMP, Boolean, Column, Enum, ForeignKey, MetaData, Numeric, String, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

#: Every constraint and index has a name that follows from its table, so that a revision can name it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str = "id") -> Column[str]:
    return Column(name, UUID(as_uuid=False), primary_key=True, server_default=text("gen_random_uuid()"))


def owner(name: str, target: str, *, primary: bool = False) -> Column[str]:
    """A reference within one old service, which a foreign key guards."""
    return Column(
        name,
        UUID(as_uuid=False),
        ForeignKey(f"{target}.{'user_id' if target == 'profiles' else 'id'}", ondelete="CASCADE"),
        primary_key=primary,
        nullable=False,
        index=not primary,
    )


def loose(name: str, *, nullable: bool = False, index: bool = True) -> Column[str]:
    """A reference into another old service, which nothing guards."""
    return Column(name, UUID(as_uuid=False), nullable=nullable, index=index)


def instant(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable)


def created() -> Column[object]:
    return Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()"))


def updated() -> Column[object]:
    return Column("updated_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()"))


def deleted() -> Column[object]:
    """When the row was deleted by its owner; it stays."""
    return instant("deleted_at")


def money(name: str, *, nullable: bool = False) -> Column[object]:
    """Whole units with two decimals, as such systems have it."""
    return Column(name, Numeric(14, 2), nullable=nullable)


def currency() -> Column[str]:
    return Column("currency", String(3), nullable=False, server_default="GHS")


def json(name: str, default: str | None = None) -> Column[object]:
    return Column(name, JSONB, server_default=default)


def flag(name: str, *, default: bool) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text(str(default).lower()))


def choice(name: str, type_name: str, *values: str, default: str) -> Column[str]:
    return Column(name, Enum(*values, name=type_name), nullable=False, server_default=default)
