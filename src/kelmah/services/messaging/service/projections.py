"""What the messaging service keeps that follows from events: how much is unread, and who has a contract with whom."""

from collections.abc import AsyncIterator

from kelmah.contracts.job import ContractSigned
from kelmah.contracts.messaging import MessageSent
from kelmah.kit.projections import Change, History, Projection, projection
from kelmah.services.messaging.documents import conversations
from kelmah.services.messaging.documents.safety import pair_id
from kelmah.services.messaging.service.context import Context


def projections(context: Context) -> list[Projection]:
    """Unread counts are made of the place of a conversation's last message and of everybody's own after their mark."""
    return [
        Projection(
            name="messaging.unread",
            changes=_unread,
            stored=conversations.counts,
            write=conversations.set_counts,
            empty={"last_sequence": 0, "own_unread": {}},
        ),
        projection("messaging.pairs", _pairs, of=context.mongo.collection("pairs"), fields=()),
    ]


async def _unread(history: History) -> AsyncIterator[Change]:
    async for _, event in history.of(MessageSent):
        update: dict[str, object] = {"$max": {"last_sequence": event.message_sequence}}
        if event.message_sequence > await conversations.read_mark(event.conversation_id, user_id=event.sender_id):
            update["$inc"] = {f"own_unread.{event.sender_id}": 1}
        yield Change(event.conversation_id, update)


async def _pairs(history: History) -> AsyncIterator[Change]:
    async for _, event in history.of(ContractSigned):
        if event.complete:
            pair = pair_id(event.hirer_id, event.worker_id)
            yield Change(pair, {"$setOnInsert": {"_id": pair}})
