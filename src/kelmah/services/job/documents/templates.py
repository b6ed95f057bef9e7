"""Contract templates of hirers: the document and its queries."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel

from kelmah.kit.mongo import change, session
from kelmah.services.job.documents.applications import Offer
from kelmah.services.job.documents.base import MoneyValue
from kelmah.services.job.documents.jobs import Place


class TemplateDocument(Document):
    """A contract template. `slot` bounds how many one has. Shard key: `hirer_id`."""

    id: str  # type: ignore[assignment]  # ours
    hirer_id: str
    slot: int
    version: int = 1
    name: str
    title: str
    description: str
    category: str
    skills: list[str]
    budget: MoneyValue
    location: Place
    milestones: list[Offer]
    auto_approve_after_days: int
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "contract_templates"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("hirer_id", ASCENDING), ("slot", ASCENDING)], unique=True, name="slot"),
        ]


async def insert_template(template: TemplateDocument) -> None:
    """Store a template in its slot, in the transaction that found it free: of two at once one begins again."""
    await template.insert(session=session())


async def templates_of(hirer_id: str) -> list[TemplateDocument]:
    """A hirer's templates, in the order of their slots."""
    return await TemplateDocument.find({"hirer_id": hirer_id}, session=session()).sort("+slot").to_list()


async def get_template(template_id: str, *, hirer_id: str) -> TemplateDocument | None:
    """A template of this hirer."""
    return await TemplateDocument.find_one({"_id": template_id, "hirer_id": hirer_id})


async def replace_template(
    template_id: str, *, hirer_id: str, version: int, content: dict[str, Any], at: datetime
) -> TemplateDocument | None:
    """Write a hirer's template anew, if it still is at this version."""
    return await change(
        TemplateDocument,
        {"_id": template_id, "hirer_id": hirer_id, "version": version},
        {"$set": content | {"updated_at": at}, "$inc": {"version": 1}},
    )


async def delete_template(template_id: str, *, hirer_id: str) -> bool:
    """Remove a hirer's template. Returns whether there was one."""
    result = await TemplateDocument.get_pymongo_collection().delete_one({"_id": template_id, "hirer_id": hirer_id})
    return result.deleted_count == 1
