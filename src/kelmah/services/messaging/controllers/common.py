"""Parameters and limits that operations share."""

from typing import Annotated

from litestar.params import QueryParameter

from kelmah.kit.pagination import MAX_LIMIT

#: Bytes; only files may be larger.
MAX_JSON_BYTES = 262_144

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Items on the page.")]
Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`nextCursor` of the page before.")]
#: Asked again it finds what it did, so it needs no note that it was done.
REPEATABLE = {"idempotency": "repeatable"}
