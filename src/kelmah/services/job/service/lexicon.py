"""From the words that people type to the words that jobs have: beginnings are completed, slips corrected."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from kelmah.contracts import taxonomy
from kelmah.contracts.taxonomy import Skill
from kelmah.kit import clock
from kelmah.services.job.documents import lexicon as documents
from kelmah.services.job.documents import search
from kelmah.services.job.service import words

#: Words of one job that are learnt: those of its title and place.
MAX_LEARNT = 60
#: Longest word that is learnt or corrected.
MAX_CHARS = 30
#: Shortest word that is corrected; of fewer letters nearly all words are alike.
MIN_CORRECTED_CHARS = 4
#: Open jobs with a word from which on their number is remembered, for so many seconds; and words that are remembered.
FREQUENT, FREQUENT_S, _MAX_FREQUENT = 200, 300.0, 10_000
_frequent: dict[tuple[str, str], tuple[int, float]] = {}
_COMPLETIONS = 20
_CORRECTIONS = 3
_LIKENESS = 0.75


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A word of a query with the stems of which a job must have one, and how they were found.

    `jobs` is how many open jobs have the word itself, as far as they are counted.
    """

    asked: str
    stems: tuple[str, ...]
    how: str
    jobs: int = 0


async def learn(*texts: str) -> None:
    """Remember the words of a job that is published, for completing and correcting."""
    await learn_all([texts])


async def learn_all(jobs: Sequence[Sequence[str]]) -> None:
    """As `learn`, for many jobs at once."""
    found: dict[str, None] = {}
    for texts in jobs:
        of_job = dict.fromkeys(word for text in texts for word in words.words(text) if 1 < len(word) <= MAX_CHARS)
        found |= dict.fromkeys(list(of_job)[:MAX_LEARNT])
    await documents.learn(found)


async def wanted(asked: str) -> Wanted:
    """What a folded word stands for: itself if any open job has it, else what begins with it, else what is like it."""
    exact = words.stem(asked)
    jobs = await _open_with(exact)
    if jobs:
        return Wanted(asked=asked, stems=(exact,), how="word", jobs=jobs)
    longer = [*_trade_words_beginning_with(asked), *await documents.beginning_with(asked, limit=_COMPLETIONS)]
    if longer:
        return Wanted(asked=asked, stems=_stems(longer), how="beginning")
    alike = await _alike(asked)
    if alike:
        return Wanted(asked=asked, stems=_stems(alike), how="spelling")
    return Wanted(asked=asked, stems=(exact,), how="word")


async def suggestions(typed: str, *, limit: int) -> list[str]:
    """Trades and words of jobs that what was typed may go on to; for a slip, what was perhaps meant."""
    folded = taxonomy.fold(typed)
    if not folded:
        return []
    trades = [skill.name for skill in taxonomy.skills().values() if _begins(skill, folded)]
    *before, last = folded.split()
    found = await documents.beginning_with(last, limit=limit)
    whole = [" ".join([*before, word]) for word in found]
    return list(dict.fromkeys([*trades, *whole, *([] if trades or whole else taxonomy.suggest(typed))]))[:limit]


async def _open_with(stem: str) -> int:
    """How many open jobs have it. What many have is not asked again for a while: they do not all close at once."""
    key = (search.database_name(), stem)
    jobs, until = _frequent.get(key, (0, 0.0))
    if clock.monotonic() < until:
        return jobs
    jobs = await search.count_open_with(stem)
    if jobs >= FREQUENT:
        if len(_frequent) >= _MAX_FREQUENT:
            _frequent.clear()
        _frequent[key] = (jobs, clock.monotonic() + FREQUENT_S)
    return jobs


async def _alike(asked: str) -> list[str]:
    if not MIN_CORRECTED_CHARS <= len(asked) <= MAX_CHARS or any(char.isdigit() for char in asked):
        return []  # a number with another digit is another number
    found = await documents.like(asked, limit=100)
    ranked = difflib.get_close_matches(asked, found, n=_CORRECTIONS, cutoff=_LIKENESS)
    return [*ranked, *_like_trade_words(asked)]


def _stems(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words.stem(word) for word in found))


def _begins(skill: Skill, start: str) -> bool:
    return any(taxonomy.fold(name).startswith(start) for name in (skill.name, *skill.synonyms))


@cache
def _trade_words() -> tuple[str, ...]:
    """Every word by which trades are called."""
    return tuple(dict.fromkeys(word for name in taxonomy.names() for word in name.split()))


def _trade_words_beginning_with(start: str) -> list[str]:
    return [word for word in _trade_words() if word.startswith(start)]


@lru_cache(maxsize=4096)
def _like_trade_words(asked: str) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(asked, _trade_words(), n=_CORRECTIONS, cutoff=_LIKENESS))
