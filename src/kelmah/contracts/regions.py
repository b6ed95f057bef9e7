"""The 16 regions of Ghana (`regions.json`), for the checks of every service; other countries' regions are free text."""

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from kelmah.contracts.taxonomy import fold

#: Ghana with her coast: west, south, east and north, in degrees. Slivers of the neighbours are in it, too.
_WEST, _SOUTH, _EAST, _NORTH = -3.3, 4.5, 1.2, 11.2


class UnknownRegion(ValueError):
    """There is no such region; the message says which there are."""


def key(region: str) -> str:
    """How regions are compared: "Greater Accra Region" and "greater-accra" are one."""
    return fold(region).removesuffix(" region")


@cache
def ghana() -> Mapping[str, str]:
    """Key → name, in the order of the names."""
    names = msgspec.json.decode(files(__package__).joinpath("regions.json").read_bytes(), type=list[str])
    return {key(name): name for name in names}


def named(region: str, *, at: tuple[float, float]) -> str:
    """The region of a place (longitude, latitude) as Ghana writes it; one of another country as it was typed.

    Raises:
        UnknownRegion: Ghana has no such region, and the place is there or the name looks like one of hers.
    """
    known = ghana().get(key(region))
    is_there = _WEST <= at[0] <= _EAST and _SOUTH <= at[1] <= _NORTH
    if known is None and (is_there or suggest(region)):
        raise unknown(region)
    return known or region


def unknown(region: str) -> UnknownRegion:
    """What to say of a region that nobody knows."""
    near = suggest(region)
    hint = f"did you mean {', '.join(near)}?" if near else f"Ghana has {', '.join(ghana().values())}"
    return UnknownRegion(f"unknown region: {hint}")


def suggest(region: str) -> list[str]:
    """At most three names that look like this one."""
    near = difflib.get_close_matches(key(region[:80]), ghana(), n=3, cutoff=0.75)
    return [ghana()[one] for one in near]
