"""Checks and folds what people typed, for storing and for comparing."""

import re
import unicodedata
from collections.abc import Iterable

import nh3

from kelmah.contracts.common import Money
from kelmah.kit import text
from kelmah.kit.errors import BadInput
from kelmah.services.job.settings import JobSettings

#: Distinct words of one job that search looks at; title and skills come first.
MAX_TERMS = 300
#: Letters of Ghanaian languages that people without the keyboard type in plain Latin.
_PLAIN = str.maketrans("ɛɔŋƒɖʋɣ", "eonfdvg")  # they are meant
_WORD = re.compile(r"[^\W_]+")


def line(field: str, typed: str, max_chars: int) -> str:
    """One clean line that is not empty and holds no markup.

    Raises:
        BadInput: it is not; names the field.
    """
    try:
        clean = text.clean_line(typed, max_chars)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error
    if nh3.is_html(clean):
        raise BadInput.of(field, "the text must not contain HTML")
    return _not_empty(field, clean)


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


def labels(field: str, typed: Iterable[str], max_chars: int) -> list[str]:
    """Clean labels without twins, in their order.

    Raises:
        BadInput: one is not clean or has neither letter nor digit; names it.
    """
    kept: dict[str, str] = {}
    for position, one in enumerate(typed):
        name = f"{field}[{position}]"
        clean = line(name, one, max_chars)
        kept.setdefault(key(clean, field=name), clean)
    return list(kept.values())


def key(label: str, *, field: str) -> str:
    """What a label is compared by: its folded words joined by hyphens, so that "Pipe Fitting" is "pipe-fitting".

    Raises:
        BadInput: the label has neither letter nor digit; names the field.
    """
    folded = "-".join(words(label))
    if not folded:
        raise BadInput.of(field, "must have a letter or a digit")
    return folded


def words(typed: str) -> list[str]:
    """The words of a text, folded: no case, no accents, in their order."""
    folded = unicodedata.normalize("NFKD", typed).casefold()
    plain = "".join(char for char in folded if not unicodedata.combining(char)).translate(_PLAIN)
    return _WORD.findall(plain)


def terms(*texts: str) -> list[str]:
    """The distinct words of these texts that search looks at."""
    return list(dict.fromkeys(word for one in texts for word in words(one)))[:MAX_TERMS]


def check_currency(settings: JobSettings, field: str, money: Money) -> None:
    """Raises BadInput for a currency that is not taken; names the field."""
    if money.currency not in settings.currencies:
        raise BadInput.of(f"{field}.currency", f"must be one of {', '.join(settings.currencies)}")


def _not_empty(field: str, clean: str) -> str:
    if not clean:
        raise BadInput.of(field, "must not be empty")
    return clean
