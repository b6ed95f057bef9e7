"""Opaque keyset cursors and page sizes for lists."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from kelmah.contracts.common import Page
from kelmah.kit.errors import BadInput

ItemT = TypeVar("ItemT")
ViewT = TypeVar("ViewT")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_MAX_CURSOR_CHARS = 1024
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def encode_cursor(values: tuple[str | int | float | bool | datetime | None, ...]) -> str:
    """Make a cursor of the last item's sort values.

    Times are cut to milliseconds, which is what MongoDB keeps. A cursor is opaque but not secret: its reader
    can decode it and its sender can make one up, so it must hold nothing that the query does not also check.

    Raises:
        ValueError: a time without a zone, a number that is not finite or an integer beyond 64 bits.
    """
    plain = []
    for value in values:
        _check(value)
        if isinstance(value, datetime):
            value = value.astimezone(UTC) - timedelta(microseconds=value.microsecond % 1000)
        plain.append(value)
    return base64.urlsafe_b64encode(msgspec.json.encode(plain)).rstrip(b"=").decode()


def decode_cursor(text: str, types: Sequence[Any]) -> tuple[Any, ...]:
    """Read a cursor back.

    Args:
        text: what the client sent.
        types: the type of each value, as msgspec knows types: ``(datetime, str)``, ``(int | None, str)``.

    Raises:
        ValueError: not a cursor of these types.
    """
    if len(text) > _MAX_CURSOR_CHARS or not _BASE64URL.fullmatch(text):
        raise ValueError("not a cursor")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        values = msgspec.json.decode(data, type=tuple[tuple(types)])  # type: ignore[misc]  # types of run time
        for value in values:
            _check(value)
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise ValueError("not a cursor of this list") from None
    return tuple(values)


def read_cursor(cursor: str | None, types: Sequence[Any]) -> tuple[Any, ...] | None:
    """The values in the `cursor` parameter of a request; None on the first page.

    Raises:
        BadInput: not a cursor of these types.
    """
    if cursor is None:
        return None
    try:
        return decode_cursor(cursor, types)
    except ValueError as error:
        raise BadInput.of("cursor", str(error)) from error


def page(
    found: Sequence[ItemT], limit: int, *, view: Callable[[ItemT], ViewT], last: Callable[[ItemT], tuple[Any, ...]]
) -> Page[ViewT]:
    """A page of up to `limit` items out of the `limit + 1` that were asked for.

    Args:
        view: makes an item's contract.
        last: an item's sort values, for the cursor.
    """
    shown = found[:limit]
    more = len(found) > limit
    return Page(items=[view(item) for item in shown], next_cursor=encode_cursor(last(shown[-1])) if more else None)


def _check(value: object) -> None:
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError("a time in a cursor needs a zone")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in a cursor must be finite")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("an integer in a cursor must fit 64 bits")
