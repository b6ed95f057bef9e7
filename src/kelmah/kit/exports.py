"""What a service keeps of a person, in parts and by pages, for the archive that the auth service gathers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from kelmah.contracts.common import Page, Role
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound
from kelmah.kit.pagination import encode_cursor, read_cursor
from kelmah.kit.policy import Rule, services

#: Gives one page of a part: the service's context, whose it is, where to go on.
Lister = Callable[[Any, Principal, str | None], Awaitable[Page[Any]]]
#: Who may ask: the service that lets in with tokens of its own making, and nobody else.
RULE: Rule = services("auth")
OPERATION = "ExportPart"


def export_handler(parts: Mapping[str, Lister]) -> HTTPRouteHandler:
    """The operation that serves the parts."""

    @get(
        "/internal/exports/{user_id:str}/{part:str}",
        operation_id=OPERATION,
        summary="One page of a part of what is kept of a person",
        tags=["Internal"],
        include_in_schema=False,
    )
    async def export_part(
        user_id: FromPath[str],
        part: FromPath[str],
        context: NamedDependency[Any],
        cursor: FromQuery[str | None] = None,
    ) -> Page[Any]:
        if part not in parts:
            raise NotFound
        # As an ordinary person: an archive of staff holds what is theirs, not what their role lets them see.
        return await parts[part](context, Principal(user_id=user_id, role=Role.WORKER, session_id=""), cursor)

    return export_part


def single(item: Any) -> Page[Any]:
    """A part that is one thing."""
    return Page(items=[item])


async def nested(
    cursor: str | None,
    *,
    next_parent: Callable[[str], Awaitable[str | None]],
    children: Callable[[str, str | None], Awaitable[Page[Any]]],
) -> Page[Any]:
    """A page of what belongs to many things, such as the messages of all conversations.

    Args:
        cursor: of this list.
        next_parent: the first id after the one given, which is "" at first.
        children: a page of what belongs to one of them.
    """
    place = read_cursor(cursor, (str, str | None))
    parent, inner = place if place is not None else (await next_parent(""), None)
    if parent is None:
        return Page(items=[])
    found = await children(parent, inner)
    if found.next_cursor is None:
        parent = await next_parent(parent)
    more = None if parent is None else encode_cursor((parent, found.next_cursor))
    return Page(items=found.items, next_cursor=more)
