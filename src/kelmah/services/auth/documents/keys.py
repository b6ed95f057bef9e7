"""Signing keys: one document, so that a rotation is one conditional update and first starts cannot make two sets."""

from datetime import datetime

from beanie import Document
from pydantic import BaseModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import change, session

_ONLY = "keys"


class SigningKey(BaseModel):
    """An Ed25519 key pair. The private half is sealed, and dropped when the key retires."""

    kid: str
    x: str
    private_sealed: str | None
    created_at: datetime
    retired_at: datetime | None = None


class SigningKeysDocument(Document):
    """`active` signs; `next` is published ahead so that verifiers know it in time; `retired` is verified a while."""

    id: str = _ONLY  # type: ignore[assignment]  # there is one
    version: int
    active: SigningKey
    next: SigningKey
    retired: list[SigningKey] = []  # noqa: RUF012  # pydantic copies defaults

    class Settings:
        name = "signing_keys"


async def load() -> SigningKeysDocument | None:
    return await SigningKeysDocument.find_one({"_id": _ONLY}, session=session())


async def make_first(keys: SigningKeysDocument) -> SigningKeysDocument:
    """Store the first keys, or give those that another process stored a moment ago."""
    try:
        await keys.insert(session=session())
    except DuplicateKeyError:
        found = await load()
        if found is None:
            raise
        return found
    return keys


async def replace(keys: SigningKeysDocument, *, version: int) -> SigningKeysDocument | None:
    """Put these in place of `version`; None when another process was first."""
    fields = keys.model_dump(exclude={"id", "revision_id"})
    return await change(SigningKeysDocument, {"_id": _ONLY, "version": version}, {"$set": fields})
