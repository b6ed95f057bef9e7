"""Bookmarks of people."""

from datetime import datetime

from kelmah.contracts.common import Page
from kelmah.contracts.user import AddBookmark, Bookmark
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.pagination import encode_cursor
from kelmah.services.user import mapping
from kelmah.services.user.documents import bookmarks as documents
from kelmah.services.user.documents import profiles as profile_documents
from kelmah.services.user.errors import TooManyEntries
from kelmah.services.user.service import profiles, search
from kelmah.services.user.service.context import Context

MAX_BOOKMARKS = 1000


async def list_bookmarks(context: Context, *, by: Principal, limit: int, cursor: str | None) -> Page[Bookmark]:
    """Newest first. Somebody who is gone is left out."""
    after = search.read_cursor(cursor, (datetime, str)) if cursor else None
    rows = await documents.page(by.user_id, after=after, limit=limit + 1)
    people = {one.id: one for one in await profile_documents.find_many([row.target_id for row in rows[:limit]])}
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[mapping.bookmark(row, people[row.target_id]) for row in rows[:limit] if row.target_id in people],
        next_cursor=encode_cursor((last.created_at, last.target_id)) if last else None,
    )


async def add_bookmark(context: Context, data: AddBookmark, *, by: Principal) -> Bookmark:
    """Remember a person. Said twice, there is one bookmark, with the time of the first."""
    if data.user_id == by.user_id:
        raise BadInput.of("userId", "is your own")
    await profiles.get(context, by.user_id)

    async def body() -> Bookmark:
        target = await profile_documents.find(data.user_id)
        if target is None:
            raise NotFound
        is_new = await documents.add(by.user_id, target.id, at=clock.now())
        if is_new and not await profile_documents.count_bookmark(by.user_id, by=1, at_most=MAX_BOOKMARKS):
            raise TooManyEntries(f"At most {MAX_BOOKMARKS} bookmarks are kept.")
        entry = await documents.find(by.user_id, target.id)
        if entry is None:
            raise NotFound
        return mapping.bookmark(entry, target)

    return await context.mongo.transact(body)


async def remove_bookmark(context: Context, user_id: str, *, by: Principal) -> None:
    """Forget a person."""

    async def body() -> None:
        if not await documents.remove(by.user_id, user_id):
            raise NotFound
        await profile_documents.count_bookmark(by.user_id, by=-1, at_most=MAX_BOOKMARKS)

    await context.mongo.transact(body)
