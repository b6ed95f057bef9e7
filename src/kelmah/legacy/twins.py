"""What no two things may have: the second of such twins is refused, wherever the first one is."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from kelmah.legacy.entity import Record

RecordT = TypeVar("RecordT", bound=Record)
#: What a record claims for itself → why another one that claims it too is refused.
Claims = Mapping[str, str]


def refusal(claims: Claims, taken: Collection[str]) -> str | None:
    """Why a record with these claims is refused, if it is."""
    return next((reason for key, reason in claims.items() if key in taken), None)


def without_twins(
    records: Sequence[RecordT], claims: Callable[[RecordT], Claims], taken: set[str]
) -> tuple[list[RecordT], dict[str, str]]:
    """Those whose claims nobody has, the first of twins among them; and of the others id → reason."""
    made: list[RecordT] = []
    refused: dict[str, str] = {}
    for one in records:
        wanted = claims(one)
        if reason := refusal(wanted, taken):
            refused[one.id] = reason
        else:
            made.append(one)
            taken.update(wanted)
    return made, refused
