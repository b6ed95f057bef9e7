"""Who found a review helpful, or reported it."""

from datetime import datetime

from beanie import Document

from kelmah.kit.mongo import session


class MarkDocument(Document):
    """That a person found a review helpful, or reported it: `<kind>:<review>:<person>`. Shard key: _id, hashed."""

    id: str  # type: ignore[assignment]  # see above
    text: str = ""
    at: datetime

    class Settings:
        name = "marks"


async def insert_mark(mark: MarkDocument) -> bool:
    """False when this person made this mark before."""
    if await MarkDocument.find_one({"_id": mark.id}, session=session()):
        return False
    await mark.insert(session=session())
    return True
