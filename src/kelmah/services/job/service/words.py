"""Checks and folds what people typed, for storing and for comparing."""

from collections.abc import Iterable

from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import Money
from kelmah.kit import text
from kelmah.kit.errors import BadInput
from kelmah.services.job.settings import JobSettings

#: Distinct words of one job that search looks at; title and skills come first.
MAX_TERMS = 300
#: Endings that are cut off, the longest first, if this many letters stay.
_ENDINGS = ("ation", "ings", "ing", "ers", "er", "ed")
_STEM_CHARS = 3
#: Words that nobody looks for.
_STOP_WORDS = frozenset(
    (
        "a", "an", "and", "at", "by", "can", "find", "for", "from", "i", "in", "is", "job", "looking", "me", "my",
        "near", "need", "of", "on", "or", "some", "the", "to", "want", "who", "with", "work", "you",
        "de", "des", "du", "et", "la", "le", "les", "un", "une",
    )
)  # fmt: skip


def line(field: str, typed: str, max_chars: int) -> str:
    """One clean line that is not empty and holds no markup.

    Raises:
        BadInput: it is not; names the field.
    """
    try:
        return _not_empty(field, text.clean_name(typed, max_chars))
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error


def lines(field: str, typed: str, max_chars: int) -> str:
    """Clean text of any number of lines that is not empty.

    Raises:
        BadInput: it is not; names the field.
    """
    try:
        return _not_empty(field, text.clean_text(typed, max_chars))
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error


def optional_lines(field: str, typed: str | None, max_chars: int) -> str | None:
    """Clean text, or None where there is none."""
    return lines(field, typed, max_chars) if typed and typed.strip() else None


def trade(field: str, typed: str) -> str:
    """The id of the trade, or family of trades, that people mean by this word.

    Raises:
        BadInput: no trade is called so; names the field and what was perhaps meant.
    """
    known = taxonomy.resolve(typed)
    if known is None:
        near = taxonomy.suggest(typed)
        hint = f"did you mean {', '.join(near)}?" if near else "GET /api/v1/skills lists the trades"
        raise BadInput.of(field, f"unknown trade: {hint}")
    return known.id


def trades(field: str, typed: Iterable[str]) -> list[str]:
    """The ids of trades without twins, in their order."""
    return list(dict.fromkeys(trade(f"{field}[{position}]", one) for position, one in enumerate(typed)))


def region(field: str, typed: str, *, at: tuple[float, float]) -> str:
    """The region of a place, as Ghana writes it if it is one of hers.

    Raises:
        BadInput: it is none; names the field.
    """
    cleaned = line(field, typed, 80)
    region_key(cleaned, field=field)
    try:
        return regions.named(cleaned, at=at)
    except regions.UnknownRegion as error:
        raise BadInput.of(field, str(error)) from error


def region_key(region: str, *, field: str) -> str:
    """What regions are compared by: "Greater Accra Region" and "greater-accra" are one.

    Raises:
        BadInput: it has neither letter nor digit; names the field.
    """
    key = regions.key(region)
    if not key:
        raise BadInput.of(field, "must have a letter or a digit")
    return key


def words(typed: str) -> list[str]:
    """The words of a text, folded: no case, no accents, in their order."""
    return taxonomy.fold(typed).split()


def asked_words(typed: str) -> list[str]:
    """The words of a query without twins, and without those that say nothing unless there are no others."""
    found = list(dict.fromkeys(words(typed)))
    return [word for word in found if word not in _STOP_WORDS] or found


def stem(word: str) -> str:
    """A folded word without its English ending, so that plumber, plumbers and plumbing are one.

    Deliberately crude: both sides are cut alike, so what matters is that the forms of one word meet.
    """
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_CHARS:
            return word.removesuffix(ending)
    return word.removesuffix("e") if len(word) > _STEM_CHARS else word


def stems(*texts: str) -> list[str]:
    """The distinct stems of these texts that search looks at."""
    return list(dict.fromkeys(stem(word) for one in texts for word in words(one)))[:MAX_TERMS]


def check_currency(settings: JobSettings, field: str, money: Money) -> None:
    """Raises BadInput for a currency that is not taken; names the field."""
    if money.currency not in settings.currencies:
        raise BadInput.of(f"{field}.currency", f"must be one of {', '.join(settings.currencies)}")


def _not_empty(field: str, clean: str) -> str:
    if not clean:
        raise BadInput.of(field, "must not be empty")
    return clean
