"""Cleans what people typed, and names the field when it does not fit."""

from collections.abc import Callable
from datetime import date
from functools import cache
from zoneinfo import available_timezones

from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import FieldError
from kelmah.kit import text
from kelmah.kit.errors import BadInput
from kelmah.services.user.settings import UserSettings


def line(field: str, typed: str, max_chars: int) -> str:
    """One clean line without HTML, not empty."""
    return _clean(text.clean_name, field, typed, max_chars)


def optional_line(field: str, typed: str | None, max_chars: int) -> str | None:
    return None if typed is None else line(field, typed, max_chars)


def optional_text(field: str, typed: str | None, max_chars: int) -> str | None:
    """Clean text of several lines, not empty, or none."""
    return None if typed is None else _clean(text.clean_text, field, typed, max_chars)


def phone(field: str, typed: str) -> str:
    """The E.164 form."""
    try:
        return text.normalize_phone(typed)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error


def currency(settings: UserSettings, field: str, typed: str) -> str:
    if typed not in settings.currencies:
        raise BadInput.of(field, f"must be one of {', '.join(settings.currencies)}")
    return typed


def time_zone(field: str, typed: str) -> str:
    if typed not in _time_zones():
        raise BadInput.of(field, f"{typed!r} is not a time zone: send an IANA name such as Africa/Accra")
    return typed


def region(field: str, typed: str, *, at: tuple[float, float]) -> str:
    """The region of a place, as Ghana writes it if it is one of hers."""
    try:
        return regions.named(line(field, typed, 80), at=at)
    except regions.UnknownRegion as error:
        raise BadInput.of(field, str(error)) from error


def skill_id(field: str, typed: str) -> str:
    """The id of the trade that the word stands for."""
    known = taxonomy.resolve(typed)
    if known is None:
        near = taxonomy.suggest(typed)
        hint = f"did you mean {', '.join(near)}?" if near else "GET /api/v1/skills lists the trades"
        raise BadInput.of(field, f"unknown trade: {hint}")
    return known.id


def skill_ids(field: str, typed: list[str]) -> list[str]:
    """The ids of the trades, each once."""
    return list(dict.fromkeys(skill_id(f"{field}[{position}]", word) for position, word in enumerate(typed)))


def in_order(earlier: tuple[str, date], later: tuple[str, date | None]) -> None:
    """Refuse a span that ends before it starts."""
    if later[1] is not None and later[1] < earlier[1]:
        raise BadInput(errors=[FieldError(field=later[0], message=f"must not be before {earlier[0]}")])


def not_after(field: str, day: date | None, limit: date) -> None:
    if day is not None and day > limit:
        raise BadInput.of(field, f"must not be after {limit.isoformat()}")


def _clean(clean: Callable[[str, int], str], field: str, typed: str, max_chars: int) -> str:
    try:
        cleaned = clean(typed, max_chars)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error
    if not cleaned:
        raise BadInput.of(field, "must not be blank")
    return cleaned


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
