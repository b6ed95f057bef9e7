"""Parameters that several operations take, and the entity tags."""

import re
from typing import Annotated, TypeVar

from litestar import Response
from litestar.params import HeaderParameter, QueryParameter

from kelmah.contracts.job import JobView, TemplateView
from kelmah.kit.errors import PreconditionFailed, PreconditionRequired
from kelmah.kit.pagination import MAX_LIMIT

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Items on a page.")]
Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`nextCursor` of the page before.")]
IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", max_length=64, description="The ETag of what is to change.")
]
Token = Annotated[str, QueryParameter(max_length=64, description="Of a private address.")]
ViewT = TypeVar("ViewT", JobView, TemplateView)
_TAG = re.compile(r'"(\d{1,15})"\Z')


def tagged(view: ViewT, *, status_code: int = 200) -> Response[ViewT]:
    """A job or a template with its entity tag."""
    return Response(view, status_code=status_code, headers={"etag": f'"{view.version}"'})


def expected_version(if_match: str | None) -> int:
    """The version that the client has read.

    Raises:
        PreconditionRequired: it did not say.
        PreconditionFailed: no version of ours has such a tag.
    """
    if if_match is None:
        raise PreconditionRequired
    match = _TAG.match(if_match.strip())
    if match is None:
        raise PreconditionFailed
    return int(match[1])
