"""What the documents of this service share: values, conditional changes and keyset pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from beanie import Document
from pydantic import BaseModel
from pymongo import DESCENDING

from kelmah.contracts.common import Money
from kelmah.kit.mongo import session

DocumentT = TypeVar("DocumentT", bound=Document)
Query = Mapping[str, Any]


class MoneyValue(BaseModel):
    """Minor units and their ISO 4217 currency, as stored."""

    amount: int
    currency: str

    @classmethod
    def of(cls, money: Money) -> "MoneyValue":
        return cls(amount=money.amount, currency=money.currency)


class Position(NamedTuple):
    """Where a page ended: the sort time and id of its last item."""

    at: datetime
    id: str


async def newest(
    document: type[DocumentT], query: Query, *, time_field: str, after: Position | None, limit: int
) -> list[DocumentT]:
    """Up to `limit` documents, the newest first, from where the last page ended."""
    rows = document.get_pymongo_collection().find(
        with_position(query, time_field, after),
        sort=[(time_field, DESCENDING), ("_id", DESCENDING)],
        limit=limit,
        session=session(),
    )
    return [document.model_validate(row) async for row in rows]


def with_position(query: Query, time_field: str, after: Position | None) -> dict[str, Any]:
    """The query for what comes after a position in a list of the newest first."""
    if after is None:
        return dict(query)
    beyond = [{time_field: {"$lt": after.at}}, {time_field: after.at, "_id": {"$lt": after.id}}]
    return {"$and": [dict(query), {"$or": beyond}]}


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not None, which are all that is stored."""
    return {name: value for name, value in values.items() if value is not None}
