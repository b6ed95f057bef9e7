"""Reads values out of old rows: each is cleaned to what Kelmah takes, or its row is refused with the reason.

Values arrive as text, so that a date that no calendar has, or a number that is none, is refused here rather than by
the driver in the middle of a batch. Reasons name the column and what is wrong, never the value: they go to a report.
"""

import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from kelmah.contracts.common import MAX_SAFE_INTEGER, MINOR_UNIT_EXPONENTS
from kelmah.kit import clock, text
from kelmah.legacy.database import Row

ResultT = TypeVar("ResultT")
#: Nothing in such a system is older.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID("6b656c6d-6168-5000-8000-6c6567616379")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


class Unmappable(Exception):  # an outcome of a row, not a fault of the program
    """The row cannot be moved; the message says why."""


class LeftBehind(Exception):  # an outcome of a row
    """The row is not moved, by a documented rule; the message says which."""


def new_id(table: str, old: str) -> str:
    """The id here of an old row: its UUID without dashes, or one derived from an id that is none."""
    try:
        return uuid.UUID(old).hex
    except ValueError:
        return uuid.uuid5(_NAMESPACE, f"{table}:{old}").hex


def old_uuid(new: str) -> str:
    """The UUID of an id here, as Postgres writes it."""
    return str(uuid.UUID(new))


def major(minor: int, currency: str) -> Decimal:
    """Minor units as the old tables write money."""
    return Decimal(minor).scaleb(-MINOR_UNIT_EXPONENTS.get(currency, 2))


class Old:
    """One old row. `remarks` collects what was left out of it although the row itself can be moved."""

    def __init__(self, table: str, row: Row, remarks: list[str]) -> None:
        self.table = table
        self._row = row
        self.remarks = remarks

    def raw(self, column: str) -> str | None:
        """The value as text, without space around it; None for nothing.

        Raises:
            Unmappable: its bytes are not UTF-8.
        """
        value = self._row[column]
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise self.fault(column, "its bytes are not UTF-8") from None
        return value.strip() or None if isinstance(value, str) else value

    def soft(self, read: Callable[[], ResultT], default: ResultT) -> ResultT:
        """What `read` reads; where that cannot be taken over, the default, and a remark."""
        try:
            return read()
        except Unmappable as error:
            self.remarks.append(str(error))
            return default

    def id(self, column: str, table: str) -> str:
        """The new id of a row of `table`."""
        return new_id(table, self._present(column))

    def optional_id(self, column: str, table: str) -> str | None:
        value = self.raw(column)
        return None if value is None else new_id(table, value)

    def line(self, column: str, max_chars: int) -> str:
        return self._clean(text.clean_line, column, self._present(column), max_chars)

    def optional_line(self, column: str, max_chars: int) -> str | None:
        value = self.raw(column)
        return None if value is None else self._clean(text.clean_line, column, value, max_chars) or None

    def text(self, column: str, max_chars: int) -> str:
        return self._clean(text.clean_text, column, self._present(column), max_chars)

    def optional_text(self, column: str, max_chars: int) -> str | None:
        value = self.raw(column)
        return None if value is None else self._clean(text.clean_text, column, value, max_chars) or None

    def email(self, column: str) -> str:
        """A mail address as it was typed."""
        value = self._present(column)
        if not text.is_email(value):
            raise self.fault(column, "not a mail address")
        return value

    def optional_phone(self, column: str) -> str | None:
        value = self.raw(column)
        if value is None:
            return None
        try:
            return text.normalize_phone(value)
        except ValueError as error:
            raise self.fault(column, str(error)) from None

    def choice(self, column: str, words: Mapping[str, ResultT]) -> ResultT:
        """What an old word stands for."""
        value = self._present(column).lower()
        if value not in words:
            # The word is not a person's, and without it nobody could say what to do.
            raise self.fault(column, f"unknown value {value[:40]!r}")
        return words[value]

    def flag(self, column: str) -> bool:
        return self.choice(column, {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False})

    def whole(self, column: str, *, least: int, most: int) -> int:
        try:
            value = int(self._present(column))
        except ValueError:
            raise self.fault(column, "not a whole number") from None
        if not least <= value <= most:
            raise self.fault(column, f"not between {least} and {most}")
        return value

    def degrees(self, column: str, most: float) -> float | None:
        """A coordinate, or nothing."""
        value = self.raw(column)
        try:
            found = None if value is None else float(value)
        except ValueError:
            raise self.fault(column, "not a number") from None
        if found is not None and not (math.isfinite(found) and abs(found) <= most):
            raise self.fault(column, f"not between -{most:g} and {most:g}")
        return found

    def minor(self, column: str, currency: str, *, signed: bool = False) -> int:
        """Money in minor units, exactly."""
        return self.minor_of(column, self._present(column), currency, signed=signed)

    def minor_of(self, column: str, value: str, currency: str, *, signed: bool = False) -> int:
        """Money that was read from `column`, in minor units."""
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise self.fault(column, "not an amount") from None
        if not amount.is_finite():
            raise self.fault(column, "not an amount")
        if amount < 0 and not signed:
            raise self.fault(column, "a negative amount")
        units = amount.scaleb(MINOR_UNIT_EXPONENTS.get(currency, 2))
        if units != units.to_integral_value() or abs(units) > MAX_SAFE_INTEGER:
            raise self.fault(column, f"not a whole number of minor units of {currency}")
        return int(units)

    def currency(self, column: str) -> str:
        value = self._present(column).upper()
        if not _CURRENCY.match(value):
            raise self.fault(column, "not a currency")
        return value

    def instant(self, column: str) -> datetime:
        """An instant between 2000 and tomorrow, to the millisecond."""
        value = self._present(column)
        found = self._instant(column, value)
        if found > clock.now() + timedelta(days=1):
            raise self.fault(column, "in the future")
        return found

    def optional_instant(self, column: str) -> datetime | None:
        return None if self.raw(column) is None else self.instant(column)

    def optional_deadline(self, column: str) -> datetime | None:
        """An instant that may be ahead."""
        value = self.raw(column)
        return None if value is None else self._instant(column, value)

    def optional_day(self, column: str) -> date | None:
        value = self.raw(column)
        if value is None:
            return None
        try:
            found = date.fromisoformat(value)
        except ValueError:
            raise self.fault(column, "not a day of the calendar") from None
        if not date(1900, 1, 1) <= found <= clock.now().date():
            raise self.fault(column, "an impossible day")
        return found

    def json(self, column: str, kind: type[ResultT]) -> ResultT:
        """JSON of a shape."""
        try:
            return msgspec.json.decode(self._present(column), type=kind)
        except msgspec.DecodeError:
            raise self.fault(column, "JSON of another shape") from None

    def words(self, column: str) -> list[str]:
        """A JSON list of texts; none where it is something else, with a remark."""
        if self.raw(column) is None:
            return []
        return self.soft(lambda: self.json(column, list[str]), list[str]())

    def _present(self, column: str) -> str:
        value = self.raw(column)
        if value is None:
            raise self.fault(column, "missing")
        return value

    def _instant(self, column: str, value: str) -> datetime:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:  # infinity, years of five digits, before Christ
            raise self.fault(column, "an impossible date") from None
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if found < EARLIEST:
            raise self.fault(column, "an impossible date")
        return found.replace(microsecond=found.microsecond // 1000 * 1000)

    def _clean(self, clean: Callable[[str, int], str], column: str, value: str, max_chars: int) -> str:
        try:
            return clean(value, max_chars)
        except ValueError as error:
            raise self.fault(column, str(error).partition(", at position")[0]) from None

    def fault(self, column: str, reason: str) -> Unmappable:
        return Unmappable(f"{self.table}.{column}: {reason}")
