"""Files that come in parts, until they are whole; shard key `_id`."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import change, session


class Part(BaseModel):
    """Bytes that came, under the id of their blob."""

    blob_id: str
    size: int


class UploadDocument(Document):
    """`file_name` is sealed; `blobs` are all that were begun, also those that no part came of.

    A person has so many uploads as there are slots.
    """

    id: str  # type: ignore[assignment]  # ours, and the attachment's in the end
    conversation_id: str
    uploader_id: str
    slot: int
    file_name: str
    length: int
    offset: int = 0
    parts: list[Part] = Field(default_factory=list)
    blobs: list[str] = Field(default_factory=list)
    expires_at: datetime

    class Settings:
        name = "uploads"
        indexes: ClassVar = [
            IndexModel([("uploader_id", ASCENDING), ("slot", ASCENDING)], unique=True, name="slot"),
        ]


async def taken_slots(uploader_id: str) -> set[int]:
    """Which of the person's slots have an upload."""
    return {one.slot for one in await UploadDocument.find({"uploader_id": uploader_id}, session=session()).to_list()}


async def add(upload: UploadDocument) -> bool:
    """Store an upload in the open transaction; False where its slot was taken meanwhile."""
    try:
        await upload.insert(session=session())
    except DuplicateKeyError:
        return False
    return True


async def find(upload_id: str, *, uploader_id: str) -> UploadDocument | None:
    """An upload of the person's."""
    return await UploadDocument.find_one({"_id": upload_id, "uploader_id": uploader_id})


async def begin_part(upload_id: str, *, offset: int, blob_id: str) -> UploadDocument | None:
    """Note that a blob is about to be written; None where the offset is another, or the upload is gone."""
    return await change(UploadDocument, {"_id": upload_id, "offset": offset}, {"$push": {"blobs": blob_id}})


async def end_part(upload_id: str, *, offset: int, part: Part) -> UploadDocument | None:
    """Move the offset on; None where another part was faster."""
    return await change(
        UploadDocument,
        {"_id": upload_id, "offset": offset},
        {"$inc": {"offset": part.size}, "$push": {"parts": part.model_dump()}},
    )


async def drop(upload_id: str) -> Sequence[str]:
    """Forget an upload; the blobs that are left of it."""
    row = await UploadDocument.get_pymongo_collection().find_one_and_delete({"_id": upload_id})
    return [] if row is None else row["blobs"]


async def of_person(uploader_id: str) -> list[str]:
    """The ids of the person's uploads."""
    return [one.id for one in await UploadDocument.find({"uploader_id": uploader_id}).to_list()]
