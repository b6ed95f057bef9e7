"""Failures that the user service tells of."""

from kelmah.kit.errors import Conflict


class TooManyEntries(Conflict):
    code, title = "user.too_many_entries", "The list is full; remove an entry first"
