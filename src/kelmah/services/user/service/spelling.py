"""Words with typing errors: which known words somebody may have meant."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations

from kelmah.contracts import taxonomy
from kelmah.services.user.documents import words as documents
from kelmah.services.user.service import terms

MIN_CHARS, MAX_CHARS = 4, 24
#: From this length on two errors are forgiven instead of one.
LONG_CHARS = 8
#: The most words that one typed word stands for.
MAX_MEANT = 5


def variants(word: str) -> list[str]:
    """The word, and what is left of it without each letter (of a long word: without each two).

    Two words that are an error apart share a variant, be it a letter too many, too few, wrong or swapped.
    """
    found = dict.fromkeys([word])
    for count in range(1, errors(word) + 1):
        for gone in combinations(range(len(word)), count):
            found["".join(char for place, char in enumerate(word) if place not in gone)] = None
    return list(found)


def errors(word: str) -> int:
    """How many errors are forgiven."""
    return 2 if len(word) >= LONG_CHARS else 1


def distance(one: str, other: str) -> int:
    """Letters to insert, remove, replace or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, char in enumerate(one, start=1):
        beyond, before, row = before, row, [place]
        for column, against in enumerate(other, start=1):
            cost = min(before[column] + 1, row[column - 1] + 1, before[column - 1] + (char != against))
            if place > 1 and column > 1 and char == other[column - 2] and one[place - 2] == against:
                cost = min(cost, beyond[column - 2] + 1)
            row.append(cost)
    return row[-1]


def is_correctable(word: str) -> bool:
    return MIN_CHARS <= len(word) <= MAX_CHARS and word.isalpha()


async def learn(words: Sequence[str]) -> None:
    """Keep the words of a profile that are not kept yet."""
    wanted = [word for word in words if is_correctable(word) and word not in _of_trades()]
    new = set(wanted) - await documents.known(wanted) if wanted else set()
    await documents.learn((word, variants(word)) for word in sorted(new))


async def meanings(words: Sequence[str]) -> Mapping[str, list[str]]:
    """Each word that nobody uses, with the known words that look most like it; others are left out."""
    unsure = [word for word in words if is_correctable(word) and word not in _of_trades()]
    missing = set(unsure) - await documents.known(unsure) if unsure else set()
    return {word: found for word in unsure if word in missing and (found := await _like(word))}


async def _like(word: str) -> list[str]:
    candidates = set(await documents.near(variants(word)))
    for variant in variants(word):
        candidates.update(_near_trades().get(variant, ()))
    ranked = sorted((distance(word, one), one not in _of_trades(), one) for one in candidates)
    best = ranked[0][0] if ranked else 0
    return [one for errs, _, one in ranked if errs == best and errs <= errors(word)][:MAX_MEANT]


@cache
def _of_trades() -> frozenset[str]:
    return frozenset(
        word
        for skill in taxonomy.skills().values()
        for name in (skill.name, *skill.synonyms)
        for word in terms.words(name)
    )


@cache
def _near_trades() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in sorted(filter(is_correctable, _of_trades())):
        for variant in variants(word):
            found.setdefault(variant, []).append(word)
    return found
