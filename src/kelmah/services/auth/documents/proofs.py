"""Proofs: single-use tokens that a mail carried, kept as hashes."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel

from kelmah.kit.mongo import session


class Purpose(StrEnum):
    VERIFY_EMAIL = "verify_email"
    NOT_ME = "not_me"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # a purpose, not a password


class ProofDocument(Document):
    """A token's hash, what it serves for and the address that it went to. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the SHA-256 of the token
    account_id: str
    email_index: str
    purpose: Purpose
    #: Of which session the mail told.
    session_id: str | None = None
    expires_at: datetime

    class Settings:
        name = "proofs"
        indexes: ClassVar = [
            IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
            IndexModel([("account_id", ASCENDING), ("purpose", ASCENDING)], name="account_purpose"),
        ]


async def insert(proof: ProofDocument) -> None:
    await proof.insert(session=session())


async def find(token_hash: str, *, purpose: Purpose, now: datetime) -> ProofDocument | None:
    return await ProofDocument.find_one(
        {"_id": token_hash, "purpose": purpose, "expires_at": {"$gt": now}}, session=session()
    )


async def use(token_hash: str, *, purpose: Purpose, now: datetime) -> ProofDocument | None:
    """Take the proof, and with it every other of the same person and purpose; None when it is not there any more."""
    collection = ProofDocument.get_pymongo_collection()
    row = await collection.find_one_and_delete(
        {"_id": token_hash, "purpose": purpose, "expires_at": {"$gt": now}}, session=session()
    )
    if row is None:
        return None
    await drop(row["account_id"], purpose=purpose)
    proof: ProofDocument = ProofDocument.model_validate(row)
    return proof


async def use_one(token_hash: str, *, purpose: Purpose, now: datetime) -> ProofDocument | None:
    """Take this proof alone; None when it is not there any more."""
    row = await ProofDocument.get_pymongo_collection().find_one_and_delete(
        {"_id": token_hash, "purpose": purpose, "expires_at": {"$gt": now}}, session=session()
    )
    return None if row is None else ProofDocument.model_validate(row)


async def drop_all(account_id: str) -> None:
    await ProofDocument.get_pymongo_collection().delete_many({"account_id": account_id}, session=session())


async def drop(account_id: str, *, purpose: Purpose) -> None:
    await ProofDocument.get_pymongo_collection().delete_many(
        {"account_id": account_id, "purpose": purpose}, session=session()
    )
