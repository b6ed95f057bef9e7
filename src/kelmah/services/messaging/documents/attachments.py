"""Files of conversations; their bytes are in the blob store under the same id. Shard key `_id`."""

from collections.abc import Collection
from datetime import datetime

from beanie import Document
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.messaging import FileState
from kelmah.kit.mongo import change, session
from kelmah.services.messaging.documents.messages import MessageDocument


class AttachmentDocument(Document):
    """`file_name` is sealed. `message_id` is set once, when the file is sent; until then only its uploader sees it."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    conversation_id: str
    uploader_id: str
    file_name: str
    media_type: str
    size: int
    message_id: str | None = None
    is_withdrawn: bool = False
    state: FileState = FileState.UNSCANNED
    thumbnail: bool = False
    #: Whether it counts against its uploader's quota.
    is_counted: bool = False
    created_at: datetime

    class Settings:
        name = "attachments"


class FileUsageDocument(Document):
    """The bytes of a person's files; `id` is the person. Shard key `_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    size: int

    class Settings:
        name = "file_usage"


class QuotaReachedError(Exception):
    """There is no place for the file."""


async def add(attachment: AttachmentDocument, *, quota: int) -> None:
    """Store an attachment and count it, in the open transaction.

    Raises:
        QuotaReachedError: its uploader has too much.
    """
    try:
        await FileUsageDocument.get_pymongo_collection().update_one(
            {"_id": attachment.uploader_id, "size": {"$lte": quota - attachment.size}},
            {"$inc": {"size": attachment.size}},
            upsert=True,
            session=session(),
        )
    except DuplicateKeyError:  # the row is there, and has no place
        raise QuotaReachedError from None
    attachment.is_counted = True
    await attachment.insert(session=session())


async def uncount(attachment_id: str) -> None:
    """Take a file off its uploader's quota, once. Joins the open transaction."""
    found = await change(
        AttachmentDocument, {"_id": attachment_id, "is_counted": True}, {"$set": {"is_counted": False}}
    )
    if found is not None:
        await FileUsageDocument.get_pymongo_collection().update_one(
            {"_id": found.uploader_id}, {"$inc": {"size": -found.size}}, session=session()
        )


async def find(attachment_id: str) -> AttachmentDocument | None:
    """An attachment of anybody: the caller checks the conversation."""
    return await AttachmentDocument.get(attachment_id, session=session())


async def find_many(attachment_ids: Collection[str]) -> dict[str, AttachmentDocument]:
    """Attachments by id."""
    if not attachment_ids:
        return {}
    found = await AttachmentDocument.find({"_id": {"$in": list(attachment_ids)}}, session=session()).to_list()
    return {one.id: one for one in found}


async def send_with(message: MessageDocument) -> bool:
    """Tie files to the message that they are sent with; False unless all are the sender's, of here and unsent."""
    if not message.attachment_ids:
        return True
    result = await AttachmentDocument.get_pymongo_collection().update_many(
        {
            "_id": {"$in": message.attachment_ids},
            "conversation_id": message.conversation_id,
            "uploader_id": message.sender_id,
            "message_id": None,
        },
        {"$set": {"message_id": message.id}},
        session=session(),
    )
    return result.modified_count == len(message.attachment_ids)


async def discard_unsent(attachment_id: str) -> bool:
    """Forget a file that was never sent; False when it was, or is gone."""
    result = await AttachmentDocument.get_pymongo_collection().delete_one(
        {"_id": attachment_id, "message_id": None}, session=session()
    )
    return result.deleted_count == 1


async def withdraw(message_id: str) -> None:
    """Let nobody read the files of a deleted message. Joins the open transaction."""
    await AttachmentDocument.get_pymongo_collection().update_many(
        {"message_id": message_id}, {"$set": {"is_withdrawn": True}}, session=session()
    )


async def of_message(message_id: str) -> list[str]:
    """The ids of a message's files."""
    rows = await AttachmentDocument.find({"message_id": message_id}).to_list()
    return [one.id for one in rows]


async def set_state(attachment_id: str, *, state: FileState) -> AttachmentDocument | None:
    """Write down what a scan found, once. Joins the open transaction."""
    return await change(
        AttachmentDocument,
        {"_id": attachment_id, "state": FileState.SCANNING.value},
        {"$set": {"state": state.value}},
    )


async def forget_usage(user_id: str) -> None:
    """Erase how much a person has here."""
    await FileUsageDocument.get_pymongo_collection().delete_one({"_id": user_id})
