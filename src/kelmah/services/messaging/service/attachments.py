"""Files of conversations: what is taken, how it is kept, and who may read it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from kelmah.contracts.common import Contract
from kelmah.contracts.messaging import AttachmentView, FileLink, FileState
from kelmah.kit import clock
from kelmah.kit.app import API_PREFIX
from kelmah.kit.archives import InvalidArchive, check_archive
from kelmah.kit.audio import InvalidAudio, seconds
from kelmah.kit.blobs import BlobNotFound
from kelmah.kit.context import Principal
from kelmah.kit.crypto import DecryptionError
from kelmah.kit.files import file_name
from kelmah.kit.ids import new_id
from kelmah.kit.images import SNIFF_BYTES, InvalidImage, clean_image, reencode_image, sniff
from kelmah.kit.sealing import seal, unseal
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import AttachmentDocument, attachments, conversations
from kelmah.services.messaging.errors import (
    AttachmentNotFound,
    ConversationNotFound,
    FileInfected,
    FileScanning,
    FileTooLarge,
    FileTypeRefused,
    LinkNotGood,
    QuotaReached,
)
from kelmah.services.messaging.service.context import UPLOADS, Context, charge

#: Pixels of the longer side of a small picture.
THUMBNAIL_SIDE = 320
#: Seconds that a voice note or another recording may last.
MAX_RECORDING_S = 900
#: How long a link to a file is good.
LINK_LASTS = timedelta(minutes=5)
_LINK = b"messaging.attachment.link"
#: A file that was not sent with a message by then is thrown away.
UNSENT_FOR = timedelta(hours=24)
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: Office documents: archives, and the entry that makes each what it is.
_OFFICE = {_WORD: "word/document.xml", _EXCEL: "xl/workbook.xml"}
#: What is taken, by content, and the names that such content may have.
EXTENSIONS = {
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "image/gif": ("gif",),
    "application/pdf": ("pdf",),
    _WORD: ("docx",),
    _EXCEL: ("xlsx",),
    "audio/mpeg": ("mp3",),
    "audio/mp4": ("m4a",),
    "audio/ogg": ("ogg", "oga", "opus"),
    "video/mp4": ("mp4",),
}


class _Link(Contract, frozen=True, kw_only=True):
    attachment_id: str
    user_id: str
    expires_at: datetime


_link_decoder = msgspec.json.Decoder(_Link)


class Download(NamedTuple):
    """A file to send to its reader."""

    view: AttachmentView
    chunks: AsyncIterator[bytes]


async def upload_attachment(
    context: Context, conversation_id: str, *, raw_name: str, body: AsyncIterator[bytes], by: Principal
) -> AttachmentView:
    """Keep a file, encrypted, until it is sent with a message.

    Args:
        raw_name: the file's name, percent-encoded as UTF-8.

    Raises:
        ConversationNotFound: not one of the caller's.
        FileTypeRefused: the content is not one of `EXTENSIONS`, or not what the name says.
        FileTooLarge: more than `attachment_max_bytes`.
        QuotaReached: more than `attachment_quota_bytes` with all that the caller has here.
    """
    if await conversations.find(conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    name = file_name(raw_name)
    await charge(context, UPLOADS, by.user_id)
    return await keep_file(context, conversation_id, new_id(), name=name, body=body, by=by)


async def keep_file(
    context: Context, conversation_id: str, attachment_id: str, *, name: str, body: AsyncIterator[bytes], by: Principal
) -> AttachmentView:
    """Keep what was uploaded under a new id; see `upload_attachment`."""
    bounded = _Bounded(body, context.settings.attachment_max_bytes)
    head = await bounded.read_head()
    media_type = sniff(head, EXTENSIONS)
    if media_type is None or name.rpartition(".")[2].lower() not in EXTENSIONS[media_type]:
        raise FileTypeRefused
    await delete_bytes(context, attachment_id)  # what a process left that died before its file was noted
    size, has_thumbnail = await _keep(context, attachment_id, media_type, bounded)
    attachment = AttachmentDocument(
        id=attachment_id,
        conversation_id=conversation_id,
        uploader_id=by.user_id,
        file_name=context.ring.seal(name, context=mapping.file_name_context(attachment_id)),
        media_type=media_type,
        size=size,
        state=FileState.UNSCANNED if context.scanner is None else FileState.SCANNING,
        thumbnail=has_thumbnail,
        created_at=clock.now(),
    )

    async def change() -> None:
        await attachments.add(attachment, quota=context.settings.attachment_quota_bytes)
        if context.scanner is not None:
            await context.timers.set(f"scan:{attachment_id}", "messaging.scan_attachment", [attachment_id])
        await context.timers.set(
            f"upload:{attachment_id}", "messaging.discard_upload", [attachment_id], due=clock.now() + UNSENT_FOR
        )

    try:
        await context.mongo.transact(change)
    except BaseException as error:
        await delete_bytes(context, attachment_id)
        if isinstance(error, attachments.QuotaReachedError):
            raise QuotaReached from None
        raise
    return mapping.attachment_view(attachment, context.ring)


async def _keep(context: Context, attachment_id: str, media_type: str, bounded: "_Bounded") -> tuple[int, bool]:
    """Store the bytes; their size, and whether there is a small picture, too.

    A picture says where and when it was taken, and may be something else at its end: only its pixels are kept. An
    office document is an archive, which may be a bomb. A recording says how long it is.
    """
    if media_type not in _OFFICE and not media_type.startswith(("image/", "audio/")):
        await put_sealed(context, attachment_id, bounded.chunks())
        return bounded.size, False
    data = b"".join([chunk async for chunk in bounded.chunks()])
    if not media_type.startswith("image/"):
        await _check(data, media_type)
        await put_sealed(context, attachment_id, _once(data))
        return len(data), False
    try:
        clean = await clean_image(data)
        small = await reencode_image(clean, max_side=THUMBNAIL_SIDE)
    except InvalidImage as error:
        raise FileTypeRefused(error.message) from None
    if len(clean) > context.settings.attachment_max_bytes:
        raise FileTooLarge(f"At most {context.settings.attachment_max_bytes} bytes are taken.")
    await put_sealed(context, attachment_id, _once(clean))
    try:
        await put_sealed(context, thumbnail_id(attachment_id), _once(small))
    except BaseException:
        await context.blobs.delete(attachment_id)
        raise
    return len(clean), True


async def _check(data: bytes, media_type: str) -> None:
    try:
        if media_type in _OFFICE:
            await check_archive(data, needs=_OFFICE[media_type], forbids=("vbaproject.bin",))
        elif seconds(data, media_type) > MAX_RECORDING_S:
            raise FileTooLarge(f"A recording may last {MAX_RECORDING_S // 60} minutes.")
    except (InvalidArchive, InvalidAudio) as error:
        raise FileTypeRefused(str(error)) from None


async def put_sealed(context: Context, blob_id: str, chunks: AsyncIterator[bytes]) -> None:
    """Encrypt a stream into the blob store."""
    await context.blobs.put(blob_id, seal(context.ring, _place(blob_id), chunks), metadata={})


async def open_sealed(context: Context, blob_id: str) -> AsyncIterator[bytes]:
    """The stream that `put_sealed` was given.

    Raises:
        BlobNotFound: there is none.
    """
    return unseal(context.ring, _place(blob_id), await context.blobs.get(blob_id))


def _place(blob_id: str) -> str:
    return f"messaging.attachment:{blob_id}"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def thumbnail_id(attachment_id: str) -> str:
    """Where a file's small picture is."""
    return f"{attachment_id}-thumbnail"


async def delete_bytes(context: Context, attachment_id: str) -> None:
    """Throw the bytes of a file away, as far as they are there."""
    for blob_id in (attachment_id, thumbnail_id(attachment_id)):
        await context.blobs.delete(blob_id)


class _Bounded:
    """A body whose head can be looked at before the rest is read, and which ends in an error when it is too long."""

    def __init__(self, body: AsyncIterator[bytes], max_bytes: int) -> None:
        self._body = body
        self._max_bytes = max_bytes
        self._head = b""
        self.size = 0

    async def read_head(self) -> bytes:
        async for chunk in self._body:
            self._head += self._counted(chunk)
            if len(self._head) >= SNIFF_BYTES:
                break
        return self._head

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._head
        async for chunk in self._body:
            yield self._counted(chunk)

    def _counted(self, chunk: bytes) -> bytes:
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise FileTooLarge(f"At most {self._max_bytes} bytes are taken.")
        return chunk


async def make_link(context: Context, attachment_id: str, *, by: Principal) -> FileLink:
    """An address of a file that the caller may read now. What ends the caller's reading ends the link's, too.

    Raises:
        AttachmentNotFound, FileScanning, FileInfected: as for `open_attachment`.
    """
    await _readable(attachment_id, by.user_id)
    what = _Link(attachment_id=attachment_id, user_id=by.user_id, expires_at=clock.now() + LINK_LASTS)
    token = context.ring.seal(msgspec.json.encode(what).decode(), context=_LINK)
    path = f"{API_PREFIX}/attachments/{attachment_id}/file?token={quote(token)}"
    return FileLink(url=context.settings.public_url.rstrip("/") + path, expires_at=what.expires_at)


async def open_link(context: Context, attachment_id: str, token: str) -> Download:
    """The file of a link.

    Raises:
        LinkNotGood: not one of ours, of another file, or run out.
        AttachmentNotFound, FileInfected: the person whom it was made for may not read it any more.
    """
    try:
        what = _link_decoder.decode(context.ring.open(token, context=_LINK))
    except (DecryptionError, msgspec.DecodeError, UnicodeError):
        raise LinkNotGood from None
    if what.attachment_id != attachment_id or what.expires_at <= clock.now():
        raise LinkNotGood
    return await open_attachment(context, attachment_id, user_id=what.user_id)


async def open_attachment(context: Context, attachment_id: str, *, thumbnail: bool = False, user_id: str) -> Download:
    """A file, or its small picture, of a conversation of the person's; until it is sent it is its uploader's alone.

    Raises:
        AttachmentNotFound: not there, or not for the caller.
        FileScanning, FileInfected: nobody reads it yet, or ever.
    """
    attachment = await _readable(attachment_id, user_id)
    if thumbnail and not attachment.thumbnail:
        raise AttachmentNotFound
    try:
        blob_id = thumbnail_id(attachment_id) if thumbnail else attachment_id
        chunks = await open_sealed(context, blob_id)
    except BlobNotFound:
        raise AttachmentNotFound from None
    return Download(mapping.attachment_view(attachment, context.ring), chunks)


async def _readable(attachment_id: str, user_id: str) -> AttachmentDocument:
    attachment = await attachments.find(attachment_id)
    if (
        attachment is None
        or attachment.is_withdrawn
        or (attachment.message_id is None and attachment.uploader_id != user_id)
        or await conversations.find(attachment.conversation_id, user_id=user_id) is None
    ):
        raise AttachmentNotFound
    if attachment.state is FileState.SCANNING:
        raise FileScanning(retry_after_s=2)
    if attachment.state is FileState.INFECTED:
        raise FileInfected
    return attachment


async def discard_upload(context: Context, attachment_id: str) -> None:
    """Throw a file away that was not sent with a message. A timer's target; running twice changes nothing."""

    async def change() -> bool:
        found = await attachments.find(attachment_id)
        if found is not None and found.message_id is None:
            await attachments.uncount(attachment_id)
        return await attachments.discard_unsent(attachment_id) or found is None

    if await context.mongo.transact(change):
        await delete_bytes(context, attachment_id)
