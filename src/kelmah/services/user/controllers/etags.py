"""The version of a thing as an HTTP entity tag (RFC 9110 §8.8.3, §13.1.1)."""

import re
from typing import Annotated, TypeVar

from litestar import Response
from litestar.params import HeaderParameter

from kelmah.kit.errors import PreconditionFailed

BodyT = TypeVar("BodyT")
IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="The ETag that the change is made on; 412 if it is not the current."),
]
_TAG = re.compile(r'"([1-9][0-9]{0,17})"\Z')


def tagged(body: BodyT, version: int) -> Response[BodyT]:
    """The body with its version as ETag."""
    return Response(body, headers={"etag": f'"{version}"', "cache-control": "private, no-cache"})


def wanted_version(if_match: str | None) -> int | None:
    """The version that a client's `If-Match` asks for; None when any will do.

    Raises:
        PreconditionFailed: the tag is not one that was ever given out, so that it cannot be current.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tag = _TAG.match(if_match.strip())
    if tag is None:
        raise PreconditionFailed("If-Match takes one ETag, as it was received.")
    return int(tag[1])
