"""Parameters that operations share."""

from typing import Annotated

from litestar.params import QueryParameter

from kelmah.kit.pagination import MAX_LIMIT

MOVES_MONEY = {"idempotency": "required"}
Cursor = Annotated[str | None, QueryParameter(max_length=1024)]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)]
