"""Saved payment methods: the provider's sealed tokens, and what their owner recognises them by."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.kit.mongo import session

#: Methods that a person may keep.
MAX_METHODS = 20


class MethodDocument(Document):
    """A saved method. `token` and `customer` are the provider's names, encrypted."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    user_id: str
    provider: str
    kind: str = "card"
    token: str
    customer: str
    brand: str
    last4: str
    expires_month: int | None
    expires_year: int | None
    created_at: datetime

    class Settings:
        name = "methods"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("user_id", ASCENDING), ("_id", DESCENDING)], name="user")]


async def insert_method(method: MethodDocument) -> None:
    """Write a new method."""
    await method.insert(session=session())


async def find_method(method_id: str, *, user_id: str) -> MethodDocument | None:
    """A person's own method."""
    return await MethodDocument.find_one({"_id": method_id, "user_id": user_id}, session=session())


async def list_methods(user_id: str) -> list[MethodDocument]:
    """A person's methods, the latest first."""
    return await MethodDocument.find({"user_id": user_id}).sort("-_id").limit(MAX_METHODS).to_list()


async def count_methods(user_id: str) -> int:
    """How many methods a person keeps."""
    return await MethodDocument.find({"user_id": user_id}, session=session()).count()


async def delete_method(method_id: str, *, user_id: str) -> bool:
    """Forget a person's own method. Whether it was there."""
    done = await MethodDocument.get_pymongo_collection().delete_one(
        {"_id": method_id, "user_id": user_id}, session=session()
    )
    return bool(done.deleted_count)
