"""Lists by id, the latest first."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from kelmah.contracts.common import Page
from kelmah.kit.errors import BadInput
from kelmah.kit.pagination import decode_cursor, encode_cursor


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


DocumentT = TypeVar("DocumentT", bound=_HasId)
ViewT = TypeVar("ViewT")


def start(cursor: str | None) -> str | None:
    """The id that a page goes on from; None for the first page."""
    if cursor is None:
        return None
    try:
        (before,) = decode_cursor(cursor, (str,))
    except ValueError as error:
        raise BadInput.of("cursor", "not a cursor of this list") from error
    return str(before)


def page(found: list[DocumentT], limit: int, view: Callable[[DocumentT], ViewT]) -> Page[ViewT]:
    """A page of `limit` from what was found with one more asked for."""
    items = found[:limit]
    more = len(found) > limit
    return Page(items=[view(one) for one in items], next_cursor=encode_cursor((items[-1].id,)) if more else None)
