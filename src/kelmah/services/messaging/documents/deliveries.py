"""How notifications leave the app: one row for each channel of each, which is also the log. Shard key `user_id`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument

from kelmah.contracts.messaging import Channel, DeliveryState, Digest
from kelmah.kit.mongo import change, session


class DeliveryDocument(Document):
    """`id` is `<notification>:<channel>`. A held row waits for the digest of `digest_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    notification_id: str
    user_id: str
    channel: Channel
    state: DeliveryState
    reason: str | None = None
    digest_id: str | None = None
    due_at: datetime
    at: datetime | None = None

    class Settings:
        name = "deliveries"
        indexes: ClassVar = [
            IndexModel([("notification_id", ASCENDING)], name="notification"),
            IndexModel(
                [("digest_id", ASCENDING), ("state", ASCENDING)],
                name="digest",
                partialFilterExpression={"digest_id": {"$type": "string"}},
            ),
        ]


class Quiet(BaseModel):
    """Hours of the day, `HH:MM`."""

    start: str
    end: str


class PhoneProof(BaseModel):
    """A number that waits for its code; the number is sealed, and of the code only a keyed digest is kept."""

    phone: str
    code: str
    expires_at: datetime
    tries_left: int


class DeliverySettingsDocument(Document):
    """`id` is the person's. `phone` is sealed and proven. Shard key `_id`.

    Of a deleted person the id stays with `is_gone`, so that events that come late make nothing for them anew.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    quiet_hours: Quiet | None = None
    digest: Digest = Digest.OFF
    digest_hour: int = 8
    phone: str | None = None
    proof: PhoneProof | None = None
    is_gone: bool = False

    class Settings:
        name = "delivery_settings"


class PushSubscriptionDocument(Document):
    """A browser. `id` is a digest of its endpoint; endpoint and keys are sealed: who has them can push to it."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    user_id: str
    session_id: str
    sealed: str
    created_at: datetime

    class Settings:
        name = "push_subscriptions"
        indexes: ClassVar = [IndexModel([("user_id", ASCENDING), ("created_at", DESCENDING)], name="person")]


async def add(delivery: DeliveryDocument) -> None:
    """Store a delivery in the open transaction."""
    await delivery.insert(session=session())


async def get(delivery_id: str) -> DeliveryDocument | None:
    return await DeliveryDocument.get(delivery_id)


async def of_notification(notification_id: str) -> list[DeliveryDocument]:
    """How one notification goes out, by channel."""
    return await DeliveryDocument.find({"notification_id": notification_id}).sort("_id").to_list()


async def of_digest(digest_id: str, *, limit: int) -> list[DeliveryDocument]:
    """What waits for a digest, in the order it came."""
    query = {"digest_id": digest_id, "state": DeliveryState.HELD.value}
    return await DeliveryDocument.find(query).sort("_id").limit(limit).to_list()


async def settle(delivery_ids: Collection[str], *, state: DeliveryState, reason: str | None, at: datetime) -> None:
    """Write down how deliveries ended, once."""
    open_states = [DeliveryState.DUE.value, DeliveryState.HELD.value, DeliveryState.SENDING.value]
    await DeliveryDocument.get_pymongo_collection().update_many(
        {"_id": {"$in": list(delivery_ids)}, "state": {"$in": open_states}},
        {"$set": {"state": state.value, "reason": reason, "at": at}},
    )


async def start_sending(delivery_id: str) -> bool:
    """Claim a delivery that must not go twice; False when somebody did."""
    started = await change(
        DeliveryDocument,
        {"_id": delivery_id, "state": DeliveryState.DUE.value},
        {"$set": {"state": DeliveryState.SENDING.value}},
    )
    return started is not None


async def stop_sending(delivery_id: str) -> None:
    """Give a claim back: it is known that nothing went."""
    await DeliveryDocument.get_pymongo_collection().update_one(
        {"_id": delivery_id, "state": DeliveryState.SENDING.value}, {"$set": {"state": DeliveryState.DUE.value}}
    )


async def postpone(delivery_id: str, *, due_at: datetime) -> None:
    """Move a delivery that has not gone. Joins the open transaction."""
    await DeliveryDocument.get_pymongo_collection().update_one(
        {"_id": delivery_id, "state": DeliveryState.DUE.value}, {"$set": {"due_at": due_at}}, session=session()
    )


async def settings_of(user_id: str) -> DeliverySettingsDocument:
    """A person's settings, with the defaults where nothing was chosen."""
    return await DeliverySettingsDocument.get(user_id) or DeliverySettingsDocument(id=user_id)


async def set_settings(user_id: str, **values: Any) -> DeliverySettingsDocument:
    """Set some of a person's settings."""
    row: Any = await DeliverySettingsDocument.get_pymongo_collection().find_one_and_update(
        {"_id": user_id}, {"$set": values}, upsert=True, return_document=ReturnDocument.AFTER
    )
    stored: DeliverySettingsDocument = DeliverySettingsDocument.model_validate(row)
    return stored


async def try_code(user_id: str, *, at: datetime) -> PhoneProof | None:
    """Take one of the tries that the person has at the code; None when there is nothing left to try."""
    row = await change(
        DeliverySettingsDocument,
        {"_id": user_id, "proof.tries_left": {"$gt": 0}, "proof.expires_at": {"$gt": at}},
        {"$inc": {"proof.tries_left": -1}},
    )
    return row.proof if row is not None else None


async def accept_phone(user_id: str, *, code: str) -> DeliverySettingsDocument | None:
    """Make the number that waits for this code the person's."""
    found = await DeliverySettingsDocument.get_pymongo_collection().find_one_and_update(
        {"_id": user_id, "proof.code": code},
        [{"$set": {"phone": "$proof.phone", "proof": None}}],
        return_document=ReturnDocument.AFTER,
    )
    return None if found is None else DeliverySettingsDocument.model_validate(found)


async def put_subscription(subscription: PushSubscriptionDocument) -> None:
    """Store a browser, or hand it to whoever is signed in there now."""
    row = subscription.model_dump(exclude={"id", "revision_id"})
    await PushSubscriptionDocument.get_pymongo_collection().replace_one({"_id": subscription.id}, row, upsert=True)


async def subscriptions_of(user_id: str) -> list[PushSubscriptionDocument]:
    """A person's browsers, newest first."""
    return await PushSubscriptionDocument.find({"user_id": user_id}).sort("-created_at").to_list()


async def forget_person(user_id: str) -> None:
    """Remove a person's settings, phone, browsers and the log of what went out; note that they are gone."""
    gone = {"_id": user_id, "is_gone": True}
    await DeliverySettingsDocument.get_pymongo_collection().replace_one({"_id": user_id}, gone, upsert=True)
    for model in (PushSubscriptionDocument, DeliveryDocument):
        await model.get_pymongo_collection().delete_many({"user_id": user_id})


async def drop_subscriptions(*, user_id: str, ids: Collection[str] | None = None, session_id: str | None = None) -> int:
    """Forget browsers of a person: these, or those of one session."""
    query: dict[str, Any] = {"user_id": user_id}
    if ids is not None:
        query["_id"] = {"$in": list(ids)}
    if session_id is not None:
        query["session_id"] = session_id
    return (await PushSubscriptionDocument.get_pymongo_collection().delete_many(query)).deleted_count
