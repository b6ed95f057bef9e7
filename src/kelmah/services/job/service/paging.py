"""Where a page of this service's lists of the newest starts."""

from datetime import datetime

from kelmah.kit.pagination import read_cursor
from kelmah.services.job.documents.base import Position


def position(cursor: str | None) -> Position | None:
    """The time and id that the last page ended with.

    Raises:
        BadInput: not a cursor of such a list.
    """
    values = read_cursor(cursor, (datetime, str))
    return None if values is None else Position(*values)
