"""Identifiers: opaque strings that sort by the time of their making."""

from collections.abc import Callable
from datetime import datetime
from random import Random
from uuid import UUID

import uuid_utils

_maker: Callable[[], str] | None = None


def new_id() -> str:
    """A UUID version 7 (RFC 9562) as 32 hexadecimal digits. Later ids of one process sort after earlier ones."""
    return _maker() if _maker is not None else uuid_utils.uuid7().hex


def sequence(name: str, at: datetime) -> Callable[[], str]:
    """Ids of version 7 that look as made at an instant, and are the same whenever name and instant are.

    They can be guessed, so they are for made-up data only.
    """
    bits = Random(name)  # noqa: S311  # to be repeated is the purpose
    milliseconds, count = int(at.timestamp() * 1000), 0

    def make() -> str:
        nonlocal count
        count += 1
        version, variant = 7 << 76 | (count & 0xFFF) << 64, 0b10 << 62
        return UUID(int=milliseconds << 80 | version | variant | bits.getrandbits(62)).hex

    return make


def use(maker: Callable[[], str] | None) -> None:
    """Have this process's ids made by `maker` (see `sequence`); None makes them random again."""
    global _maker
    _maker = maker
