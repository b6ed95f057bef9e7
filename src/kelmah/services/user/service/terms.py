"""The words by which a profile is found."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from kelmah.contracts import taxonomy

#: Words kept of one profile; the end of a long text is what is dropped.
MAX_TERMS = 800
#: Words that nobody looks for.
_STOP_WORDS = frozenset(
    (
        "a", "an", "and", "are", "at", "best", "by", "can", "do", "find", "for", "from", "good", "i", "in", "is",
        "looking", "me", "my", "near", "need", "of", "on", "or", "some", "the", "to", "want", "who", "with", "you",
        "de", "des", "du", "et", "la", "le", "les", "un", "une",
    )
)  # fmt: skip


def words(text: str) -> Iterator[str]:
    """The folded words of a text, in the singular as far as a final s tells."""
    for word in taxonomy.fold(text).split():
        yield word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def index_terms(*, first: Iterable[str | None], skill_ids: Iterable[str], last: str | None) -> list[str]:
    """What a profile is indexed by: short texts, its trades with their families and all synonyms, then a long text."""
    found = dict.fromkeys(
        chain(
            (word for text in first for word in words(text or "")),
            (word for skill_id in skill_ids for word in _trade_words(skill_id)),
            words(last or ""),
        )
    )
    return [word for word in found if len(word) > 1][:MAX_TERMS]


@lru_cache(maxsize=1024)
def _trade_words(skill_id: str) -> tuple[str, ...]:
    names = [name for skill in taxonomy.lineage(skill_id) for name in (skill.name, *skill.synonyms)]
    return tuple(word for name in names for word in words(name))


def query_terms(text: str) -> list[str]:
    """What a query asks for: its words without those that mean nothing, unless there are no others."""
    found = [word for word in dict.fromkeys(words(text)) if len(word) > 1]
    return [word for word in found if word not in _STOP_WORDS] or found
