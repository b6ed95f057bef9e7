"""Conversations that are about something: whom they are between follows from it, not from who asks."""

from datetime import datetime

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import (
    ConversationKind,
    NewConversation,
    SupportCase,
    SupportClosed,
    SupportJoined,
    SupportLeft,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.ids import new_id
from kelmah.kit.pagination import page, read_cursor
from kelmah.services.messaging.documents import ConversationDocument, conversations
from kelmah.services.messaging.documents.conversations import Participant
from kelmah.services.messaging.errors import ContractNotFound, ConversationNotFound, JobNotFound
from kelmah.services.messaging.service.context import Context

#: Staff who joined one support conversation.
MAX_STAFF = 10


def job_key(job_id: str, worker_id: str) -> str:
    """One conversation a job and applicant."""
    return f"job:{job_id}:{worker_id}"


def document(
    kind: ConversationKind, key: str, user_ids: list[str], *, contract_id: str | None = None, job_id: str | None = None
) -> ConversationDocument:
    """A conversation in which nothing was said yet."""
    now = clock.now()
    return ConversationDocument(
        id=new_id(),
        kind=kind,
        key=key,
        contract_id=contract_id,
        job_id=job_id,
        participants=[Participant(user_id=user_id) for user_id in user_ids],
        created_at=now,
        active_at=now,
    )


async def open_for_application(job_id: str, *, hirer_id: str, worker_id: str) -> None:
    """Whoever applied and whoever posted the job can talk of it from now on. Doing it twice changes nothing."""
    key = job_key(job_id, worker_id)
    await conversations.add(document(ConversationKind.JOB, key, [hirer_id, worker_id], job_id=job_id))


async def open_for_contract(contract_id: str, *, hirer_id: str, worker_id: str) -> None:
    """The two sides of a contract in force have a conversation. Doing it twice changes nothing."""
    made = document(
        ConversationKind.CONTRACT, f"contract:{contract_id}", [hirer_id, worker_id], contract_id=contract_id
    )
    await conversations.add(made)


async def about_a_contract(context: Context, new: NewConversation, by: Principal) -> ConversationDocument:
    """The conversation that a contract of the caller's has or would have.

    Raises:
        ContractNotFound: there is no such contract of the caller's.
    """
    if new.contract_id is None or new.participant_ids is not None or new.job_id is not None:
        raise BadInput.of("contractId", "a contract's conversation needs its id, and its people are its two sides")
    try:
        facts = await context.job.get_contract(contract_id=new.contract_id)
    except NotFound:
        raise ContractNotFound from None
    if by.user_id not in (facts.hirer_id, facts.worker_id):
        raise ContractNotFound
    people = [facts.hirer_id, facts.worker_id]
    return document(ConversationKind.CONTRACT, f"contract:{facts.id}", people, contract_id=facts.id)


async def about_a_job(new: NewConversation, by: Principal) -> ConversationDocument:
    """The conversation that an application opened.

    Raises:
        JobNotFound: there is no such job that the caller applied to, or that the other applied to at the caller's.
    """
    others = set(new.participant_ids or ()) - {by.user_id}
    if new.job_id is None or new.contract_id is not None or len(others) > 1:
        raise BadInput.of("jobId", "a job's conversation needs its id and, from its hirer, the applicant")
    worker_id = next(iter(others), by.user_id)
    for key in (job_key(new.job_id, worker_id), job_key(new.job_id, by.user_id)):
        found = await conversations.find_by_key(key)
        if found is not None and {by.user_id, *others}.issubset(found.user_ids):
            return found
    raise JobNotFound


def with_support(new: NewConversation, by: Principal) -> ConversationDocument:
    """The caller's conversation with support; everybody has one. Staff joins it when it looks into it."""
    if new.contract_id is not None or new.participant_ids is not None or new.job_id is not None:
        raise BadInput.of("kind", "a conversation with support is about nothing else and with nobody else")
    return document(ConversationKind.SUPPORT, f"support:{by.user_id}", [by.user_id])


async def list_support(context: Context, *, cursor: str | None, limit: int) -> Page[SupportCase]:
    """Open conversations with support in which something was said, the longest unanswered first."""
    after = read_cursor(cursor, (datetime, str))
    found = await conversations.list_support(after=after, limit=limit + 1)
    return page(found, limit, view=_case, last=lambda one: (one.active_at, one.id))


def _case(found: ConversationDocument) -> SupportCase:
    person, *staff = found.user_ids
    return SupportCase(
        conversation_id=found.id,
        user_id=person,
        staff_ids=staff,
        last_sequence=found.last_sequence,
        created_at=found.created_at,
        active_at=found.active_at,
        closed_at=found.closed_at,
    )


async def join_support(context: Context, conversation_id: str, *, by: Principal) -> SupportCase:
    """Become a participant of somebody's conversation with support; only then it can be read. The event tells who.

    Raises:
        ConversationNotFound: not there, or not one with support.
        BadInput: as many of the staff joined as one person needs.
    """

    async def change() -> ConversationDocument:
        joined = await conversations.join(conversation_id, user_id=by.user_id, most=MAX_STAFF + 1)
        if joined is None:
            found = await conversations.find(conversation_id, user_id=by.user_id)
            if found is not None:
                return found
            raise ConversationNotFound
        event = SupportJoined(conversation_id=conversation_id, user_id=joined.user_ids[0], staff_id=by.user_id)
        await context.events.append(event, subject=f"conversation:{conversation_id}", actor=by.user_id)
        return joined

    return _case(await context.mongo.transact(change))


async def leave_support(context: Context, conversation_id: str, *, by: Principal) -> None:
    """Be a participant no more. Doing it twice changes nothing.

    Raises:
        ConversationNotFound: not there, or not one with support.
    """

    async def change() -> None:
        left = await conversations.leave(conversation_id, user_id=by.user_id)
        if left is not None:
            event = SupportLeft(conversation_id=conversation_id, user_id=left.user_ids[0], staff_id=by.user_id)
            await context.events.append(event, subject=f"conversation:{conversation_id}", actor=by.user_id)
        elif not await conversations.is_with_support(conversation_id):
            raise ConversationNotFound

    await context.mongo.transact(change)


async def close_support(context: Context, conversation_id: str, *, by: Principal) -> SupportCase:
    """Settle a conversation that the caller joined; a message opens it anew. Doing it twice changes nothing.

    Raises:
        ConversationNotFound: not there, not one with support, or not joined.
    """

    async def change() -> ConversationDocument:
        closed = await conversations.close(conversation_id, user_id=by.user_id, at=clock.now())
        if closed is None:
            found = await conversations.find(conversation_id, user_id=by.user_id)
            if found is None or found.closed_at is None or found.user_ids[0] == by.user_id:
                raise ConversationNotFound
            return found
        event = SupportClosed(conversation_id=conversation_id, user_id=closed.user_ids[0], staff_id=by.user_id)
        await context.events.append(event, subject=f"conversation:{conversation_id}", actor=by.user_id)
        return closed

    return _case(await context.mongo.transact(change))
