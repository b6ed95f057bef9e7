"""The 16 regions of Ghana (`regions.json`), for the checks of every service; other countries' regions are free text."""

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from kelmah.contracts.taxonomy import fold


def key(region: str) -> str:
    """How regions are compared: "Greater Accra Region" and "greater-accra" are one."""
    return fold(region).removesuffix(" region")


@cache
def ghana() -> Mapping[str, str]:
    """Key → name, in the order of the names."""
    names = msgspec.json.decode(files(__package__).joinpath("regions.json").read_bytes(), type=list[str])
    return {key(name): name for name in names}


def suggest(region: str) -> list[str]:
    """At most three names that look like this one."""
    near = difflib.get_close_matches(key(region[:80]), ghana(), n=3, cutoff=0.75)
    return [ghana()[one] for one in near]
