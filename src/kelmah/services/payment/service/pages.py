"""Lists by id, the latest first."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from kelmah.contracts.common import Page
from kelmah.kit import pagination


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


DocumentT = TypeVar("DocumentT", bound=_HasId)
ViewT = TypeVar("ViewT")


def start(cursor: str | None) -> str | None:
    """The id that a page goes on from; None for the first page."""
    values = pagination.read_cursor(cursor, (str,))
    return None if values is None else str(values[0])


def page(found: list[DocumentT], limit: int, view: Callable[[DocumentT], ViewT]) -> Page[ViewT]:
    """A page of `limit` from what was found with one more asked for."""
    return pagination.page(found, limit, view=view, last=lambda one: (one.id,))
