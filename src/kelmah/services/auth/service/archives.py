"""Gathers what every service keeps of a person into one zip of JSON files, page by page, never whole in memory."""

import zipfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from kelmah.contracts.common import Page
from kelmah.contracts.exports import PARTS
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.auth.service import own
from kelmah.services.auth.service.context import Context

INDEX = "index.json"
_NOTE = (
    "All that Kelmah keeps of you, but for secrets such as the hash of your password. Files and pictures that you "
    "uploaded are named here by their ids: while you are signed in, fetch a file of a conversation at "
    "/api/v1/attachments/{id}, and a picture of your portfolio at /api/v1/workers/{your id}/images/{id}."
)


async def gather(context: Context, by: Principal) -> AsyncIterator[bytes]:
    """The bytes of the archive. What goes beyond `export_max_bytes` is left out, and the index says of which part.

    Raises:
        KelmahError: a service did not answer; to be tried again.
    """
    out = _Out()
    left = context.settings.export_max_bytes
    index: list[dict[str, Any]] = []
    with zipfile.ZipFile(out, "w") as archive:  # type: ignore[call-overload]  # it needs no more of a file than this
        for service, part in ((service, part) for service, parts in PARTS.items() for part in parts):
            name, count, is_complete = f"{service}/{part}.json", 0, True
            with archive.open(_entry(name), "w") as file:
                async for items in _pages(context, service, part, by):
                    for item in items:
                        if left < len(item):
                            is_complete = False
                            break
                        file.write((b",\n" if count else b"[\n") + item)
                        count, left = count + 1, left - len(item)
                    for chunk in out.take():
                        yield chunk
                    if not is_complete:
                        break
                file.write(b"\n]\n" if count else b"[]\n")
            index.append({"file": name, "items": count, "complete": is_complete})
        about = {"userId": by.user_id, "gatheredAt": clock.now(), "note": _NOTE, "parts": index}
        archive.writestr(_entry(INDEX), msgspec.json.format(msgspec.json.encode(about)))
    for chunk in out.take():
        yield chunk


async def _pages(context: Context, service: str, part: str, by: Principal) -> AsyncIterator[list[bytes]]:
    cursor = None
    while True:
        page: Page[Any] = await _page(context, service, part, by, cursor)
        yield [bytes(item) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return


async def _page(context: Context, service: str, part: str, by: Principal, cursor: str | None) -> Page[Any]:
    if service == context.settings.SERVICE:
        return Page(items=[msgspec.json.encode(await own.everything(context, by))])
    return await context.exports[service].get_page(user_id=by.user_id, part=part, cursor=cursor)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=clock.now().timetuple()[:6])
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    return entry


class _Out:
    """What the zip was written to and not yet taken. It cannot be sought in, so sizes follow each file."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> Iterator[bytes]:
        chunks, self._chunks = self._chunks, []
        yield from chunks
