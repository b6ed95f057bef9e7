"""Role changes: kept for the audit, and never altered."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.common import Role
from kelmah.kit.mongo import session


class RoleChangeDocument(Document):
    """Who gave whom which role, and why. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # an id of ours, never an ObjectId
    account_id: str
    old_role: Role
    new_role: Role
    by: str
    reason: str
    at: datetime

    class Settings:
        name = "role_changes"
        indexes: ClassVar = [IndexModel([("account_id", ASCENDING), ("at", DESCENDING)], name="account")]


async def insert(change: RoleChangeDocument) -> None:
    await change.insert(session=session())


async def of_account(account_id: str) -> list[RoleChangeDocument]:
    found = RoleChangeDocument.find({"account_id": account_id}, session=session())
    return await found.sort("-at", "-_id").to_list(1_000)
