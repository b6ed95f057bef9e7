"""Pages of a sorted list that go on from the last row, each by a range of an index."""

from collections.abc import Mapping
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

#: After this time the server gives up a search.
MAX_TIME_MS = 2_000


async def ordered(
    collection: AsyncCollection[dict[str, Any]],
    query: Mapping[str, Any],
    fields: Mapping[str, int],
    *,
    by: tuple[str, int],
    ids: int,
    after: tuple[Any, str] | None,
    limit: int,
    hint: str | None = None,
) -> list[dict[str, Any]]:
    """At most `limit` rows in the order of a field (`by`: name and direction), equal ones by id in the direction `ids`.

    After a row (its value and id) come first its equals, then the others: two queries, since MongoDB plans their `$or`
    on any mix of indexes, and then reads all equals from their start.
    """
    field, direction = by
    parts: list[dict[str, Any]] = [{}]
    if after is not None:
        value, row_id = after
        parts = [{field: value, "_id": _beyond(ids, row_id)}, {field: _beyond(direction, value)}]
    found: list[dict[str, Any]] = []
    for part in parts:
        if len(found) < limit:
            rows = collection.find(
                {"$and": [query, part]} if part else query,
                fields,
                sort=[by, ("_id", ids)],
                limit=limit - len(found),
                hint=hint,
                max_time_ms=MAX_TIME_MS,
            )
            found += await rows.to_list()
    return found


def _beyond(direction: int, value: Any) -> dict[str, Any]:
    return {"$gt" if direction > 0 else "$lt": value}
