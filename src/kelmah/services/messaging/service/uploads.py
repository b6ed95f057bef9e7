"""Files that come in parts, so that a lost connection costs one part: after tus 1.0.0 (https://tus.io/protocols).

It differs in one thing: a part is kept whole or not at all, so a client sends parts of the size that it can lose.
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

from kelmah.contracts.messaging import AttachmentView, UploadView
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import constant_time_equal
from kelmah.kit.errors import BadInput
from kelmah.kit.files import file_name
from kelmah.kit.ids import new_id
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import UploadDocument, attachments, conversations, uploads
from kelmah.services.messaging.documents.uploads import Part
from kelmah.services.messaging.errors import (
    ConversationNotFound,
    FileTooLarge,
    FileTypeRefused,
    QuotaReached,
    TooManyUploads,
    UploadNotFound,
    UploadOffsetWrong,
)
from kelmah.services.messaging.service.attachments import EXTENSIONS, keep_file, open_sealed, put_sealed
from kelmah.services.messaging.service.context import UPLOADS, Context, charge

#: Uploads that one person may have under way, their parts, and how long they may take.
MAX_UPLOADS = 3
MAX_PARTS = 1_000
LASTS = timedelta(hours=24)


async def create_upload(
    context: Context, conversation_id: str, *, raw_name: str, length: int, by: Principal
) -> UploadView:
    """Begin a file of so many bytes.

    Raises:
        ConversationNotFound: not one of the caller's.
        FileTooLarge: more than `attachment_max_bytes`.
        TooManyUploads: others are under way.
    """
    if await conversations.find(conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    name = file_name(raw_name)
    if not any(name.rpartition(".")[2].lower() in each for each in EXTENSIONS.values()):
        raise BadInput.of("X-Filename", "files of this ending are not taken")
    if length > context.settings.attachment_max_bytes:
        raise FileTooLarge(f"At most {context.settings.attachment_max_bytes} bytes are taken.")
    await charge(context, UPLOADS, by.user_id)
    upload_id = new_id()
    sealed, expires_at = context.ring.seal(name, context=mapping.file_name_context(upload_id)), clock.now() + LASTS

    async def change() -> UploadDocument:
        free = set(range(MAX_UPLOADS)) - await uploads.taken_slots(by.user_id)
        upload = UploadDocument(
            id=upload_id,
            conversation_id=conversation_id,
            uploader_id=by.user_id,
            slot=min(free, default=0),
            file_name=sealed,
            length=length,
            expires_at=expires_at,
        )
        if not free or not await uploads.add(upload):
            raise TooManyUploads(retry_after_s=60)
        await context.timers.set(f"parts:{upload_id}", "messaging.drop_upload", [upload_id], due=expires_at)
        return upload

    return _view(await context.mongo.transact(change))


async def get_upload(context: Context, upload_id: str, *, by: Principal) -> UploadView:
    """How far an upload of the caller's is.

    Raises:
        UploadNotFound: not there, somebody else's, or run out.
    """
    return _view(await _find(upload_id, by))


async def append_upload(
    context: Context, upload_id: str, *, offset: int, checksum: str | None, body: AsyncIterator[bytes], by: Principal
) -> tuple[UploadView, AttachmentView | None]:
    """Add a part; with the last one the file is there, as if it had come at once.

    Args:
        offset: where the part begins.
        checksum: ``sha256`` and the part's digest in base64, or None.

    Raises:
        UploadNotFound, UploadOffsetWrong: there is no such upload, or it is elsewhere: ask how far it is.
        FileTooLarge: more than was announced.
        FileTypeRefused, QuotaReached: as for a file that comes at once; nothing is left of it.
    """
    upload = await _find(upload_id, by)
    digest = _digest(checksum)
    if offset != upload.offset:
        raise UploadOffsetWrong(offset=upload.offset)
    if offset < upload.length:
        upload = await _take(context, upload, digest, body)
    if upload.offset < upload.length:
        return _view(upload), None
    return _view(upload), await _finish(context, upload, by)


async def _take(
    context: Context, upload: UploadDocument, digest: bytes | None, body: AsyncIterator[bytes]
) -> UploadDocument:
    blob_id = f"{upload.id}-{new_id()}"
    if len(upload.blobs) >= MAX_PARTS:
        raise BadInput.of("", f"a file may come in {MAX_PARTS} parts")
    if await uploads.begin_part(upload.id, offset=upload.offset, blob_id=blob_id) is None:
        raise UploadOffsetWrong
    size, found = 0, hashlib.sha256()

    async def counted() -> AsyncIterator[bytes]:
        nonlocal size
        async for chunk in body:
            size += len(chunk)
            if upload.offset + size > upload.length:
                raise FileTooLarge("The part goes beyond the length that was announced.")
            found.update(chunk)
            yield chunk
        if digest is not None and not constant_time_equal(found.hexdigest(), digest.hex()):
            raise BadInput.of("Upload-Checksum", "these are not the bytes that were sent")

    await put_sealed(context, blob_id, counted())
    moved = await uploads.end_part(upload.id, offset=upload.offset, part=Part(blob_id=blob_id, size=size))
    if moved is None:
        await context.blobs.delete(blob_id)
        raise UploadOffsetWrong
    return moved


async def _finish(context: Context, upload: UploadDocument, by: Principal) -> AttachmentView:
    """The file of a whole upload. A crash in between is made good by asking once more, with an empty part."""
    found = await attachments.find(upload.id)
    if found is None:
        name = context.ring.open(upload.file_name, context=mapping.file_name_context(upload.id))
        body = _whole(context, upload)
        try:
            view = await keep_file(context, upload.conversation_id, upload.id, name=name, body=body, by=by)
        except (FileTooLarge, FileTypeRefused, QuotaReached):
            await drop_upload(context, upload.id)
            raise
    else:
        view = mapping.attachment_view(found, context.ring)
    await drop_upload(context, upload.id)
    return view


async def _whole(context: Context, upload: UploadDocument) -> AsyncIterator[bytes]:
    for part in upload.parts:
        async for chunk in await open_sealed(context, part.blob_id):
            yield chunk


async def cancel_upload(context: Context, upload_id: str, *, by: Principal) -> None:
    """Throw away what came.

    Raises:
        UploadNotFound: not there, or somebody else's.
    """
    await _find(upload_id, by)
    await drop_upload(context, upload_id)


async def drop_upload(context: Context, upload_id: str) -> None:
    """Throw an upload away. A timer's target; running twice changes nothing."""
    for blob_id in await uploads.drop(upload_id):
        await context.blobs.delete(blob_id)


async def _find(upload_id: str, by: Principal) -> UploadDocument:
    found = await uploads.find(upload_id, uploader_id=by.user_id)
    if found is None or found.expires_at <= clock.now():
        raise UploadNotFound
    return found


def _digest(checksum: str | None) -> bytes | None:
    if checksum is None:
        return None
    algorithm, _, text = checksum.partition(" ")
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if algorithm != "sha256" or len(digest) != hashlib.sha256().digest_size:
        raise BadInput.of("Upload-Checksum", "sha256, a space, and the digest in base64 are needed")
    return digest


def _view(upload: UploadDocument) -> UploadView:
    return UploadView(id=upload.id, offset=upload.offset, length=upload.length, expires_at=upload.expires_at)
