"""The trades that people offer and look for: families, trades, and the words by which people call them.

The table is `taxonomy.json`. Skills of workers and of jobs are ids of this table in every service, so that the
words "sparky", "electrician" and "fundi umeme" meet at the same trade without a call between services.
"""

import difflib
import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

import msgspec

from kelmah.contracts.common import Response

_APART = re.compile(r"[\W_]+")
#: Letters of West African languages that people replace where the keyboard lacks them.
_LETTERS = str.maketrans("ɛɔŋƙɗɓƴƒʋ", "eonkdbyfv")


class Skill(Response, frozen=True, kw_only=True):
    """A trade, or (without a parent) a family of trades. `synonyms` are the words people use for it."""

    id: str
    name: str
    parent: str | None
    synonyms: list[str]


def fold(text: str) -> str:
    """Text as it is compared: no capitals, no accents, single spaces for all that is neither letter nor digit."""
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
        plain = plain.translate(_LETTERS)
    return _APART.sub(" ", plain).strip()


@cache
def skills() -> Mapping[str, Skill]:
    """Every trade and family by id: each family before its trades."""
    rows = msgspec.json.decode(files(__package__).joinpath("taxonomy.json").read_bytes(), type=list[Skill])
    return {row.id: row for row in rows}


@cache
def names() -> Mapping[str, str]:
    """Folded id, name or synonym → id. Each word means one trade."""
    return {fold(word): row.id for row in skills().values() for word in (row.id, row.name, *row.synonyms)}


def resolve(word: str) -> Skill | None:
    """The trade that a word stands for: an id, a name or a synonym, also in its English plural; None if unknown."""
    folded = fold(word)
    found = names().get(folded) or names().get(folded.removesuffix("s"))
    return skills()[found] if found else None


@lru_cache(maxsize=1024)
def expand(skill_id: str) -> frozenset[str]:
    """Ids of a trade, or of a family and all of its trades; empty for an unknown id."""
    return frozenset(row.id for row in skills().values() if skill_id in (row.id, row.parent))


def lineage(skill_id: str) -> list[Skill]:
    """A trade and the family that it belongs to; empty for an unknown id."""
    row = skills().get(skill_id)
    if row is None:
        return []
    return [row, skills()[row.parent]] if row.parent else [row]


def suggest(word: str) -> list[str]:
    """Names of at most three trades whose words look like this one. Takes milliseconds: call it for refusals only."""
    near = difflib.get_close_matches(fold(word[:80]), names(), n=3, cutoff=0.75)
    return list(dict.fromkeys(skills()[names()[one]].name for one in near))
