"""Pages: from a cursor to a position and back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from kelmah.contracts.common import Page
from kelmah.kit.errors import BadInput
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.services.job.documents.base import Position

ItemT = TypeVar("ItemT")
ViewT = TypeVar("ViewT")


def position(cursor: str | None) -> Position | None:
    """Where a page of the newest starts.

    Raises:
        BadInput: not a cursor of such a list.
    """
    values = cursor_values(cursor, (datetime, str))
    return None if values is None else Position(*values)


def cursor_values(cursor: str | None, types: Sequence[Any]) -> tuple[Any, ...] | None:
    """The values in a cursor, or None without one.

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
    """A page of up to `limit` items of `limit + 1` that were asked for; `last` gives an item's sort values."""
    shown = found[:limit]
    more = len(found) > limit
    return Page(items=[view(one) for one in shown], next_cursor=encode_cursor(last(shown[-1])) if more else None)
