"""Looks through files before anybody reads them. Without an answer a file stays closed to all."""

import structlog

from kelmah.contracts.messaging import ChangeFrame, FileState
from kelmah.kit.blobs import BlobNotFound
from kelmah.services.messaging.documents import MessageDocument, attachments, conversations, messages
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.attachments import delete_bytes, open_sealed
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.messages import views

log = structlog.get_logger(__name__)


async def scan_attachment(context: Context, attachment_id: str) -> None:
    """Look through a file, and open it to its readers or throw it away. A timer's target; running twice is harmless.

    Raises:
        ScanFailed: the scanner gave no answer; to be tried again, and the file stays closed meanwhile.
    """
    attachment = await attachments.find(attachment_id)
    if attachment is None or attachment.state is not FileState.SCANNING or context.scanner is None:
        return
    try:
        chunks = await open_sealed(context, attachment_id)
    except BlobNotFound:
        return
    found = await context.scanner.find(chunks)
    if found is not None:
        log.warning("messaging.file.infected", attachment_id=attachment_id, malware=found)
    state = FileState.CLEAN if found is None else FileState.INFECTED

    async def change() -> tuple[MessageDocument, list[str]] | None:
        scanned = await attachments.set_state(attachment_id, state=state)
        if state is FileState.INFECTED:
            await attachments.uncount(attachment_id)
        if scanned is None or scanned.message_id is None:
            return None
        conversation = await conversations.take_change(scanned.conversation_id, user_id=scanned.uploader_id)
        if conversation is None:
            return None
        message = await messages.touch(scanned.message_id, number=conversation.last_change)
        return None if message is None else (message, conversation.user_ids)

    told = await context.mongo.transact(change)
    if state is FileState.INFECTED:
        await delete_bytes(context, attachment_id)
    if told is not None:
        message, user_ids = told
        (view,) = await views(context, [message])
        await live.publish(context, user_ids, ChangeFrame(message=view))
