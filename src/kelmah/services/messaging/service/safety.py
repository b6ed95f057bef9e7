"""Who may write to whom: blocks, limits on strangers, restrictions, and the reports that lead to them."""

from datetime import datetime, timedelta
from typing import NamedTuple

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import (
    BlockView,
    ConversationKind,
    ConversationReported,
    Flag,
    NewReport,
    ReportCase,
    ReportDecided,
    ReportDecision,
    ReportedMessage,
    ReportStatus,
    ReportView,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.kit.leaks import flags_of
from kelmah.kit.pagination import page, read_cursor
from kelmah.kit.text import clean_text
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import (
    BlockDocument,
    ConversationDocument,
    ReportDocument,
    conversations,
    messages,
    safety,
)
from kelmah.services.messaging.errors import (
    AlreadyDecided,
    ConversationNotFound,
    MessageNotFound,
    NotBlocked,
    PersonNotFound,
    ReportNotFound,
    StrangerLimit,
    WritingRefused,
    WritingRestricted,
)
from kelmah.services.messaging.service.context import Context

#: Between two people who may have no contract.
PRIVATE = frozenset({ConversationKind.DIRECT, ConversationKind.JOB})
#: Messages before a reported one that staff sees with it.
CASE_MESSAGES = 10


async def block(context: Context, user_id: str, *, by: Principal) -> BlockView:
    """Block a person: neither writes to the other in private, or sees whether the other is there, from now on.

    What they agreed on goes on: a contract's conversation stays open to both.
    """
    if user_id == by.user_id:
        raise BadInput.of("userId", "nobody blocks oneself")
    if not await context.user.get_people(user_ids=[user_id]):
        raise PersonNotFound
    row = BlockDocument(id=f"{by.user_id}:{user_id}", user_id=by.user_id, blocked_id=user_id, at=clock.now())
    await safety.block(row)
    return BlockView(user_id=user_id, blocked_at=row.at)


async def unblock(context: Context, user_id: str, *, by: Principal) -> None:
    """Take a block back.

    Raises:
        NotBlocked: there is none.
    """
    if not await safety.unblock(by.user_id, user_id):
        raise NotBlocked


async def list_blocks(context: Context, *, cursor: str | None, limit: int, by: Principal) -> Page[BlockView]:
    """Whom the caller blocked, newest first."""
    after = read_cursor(cursor, (datetime, str))
    found = await safety.list_blocks(by.user_id, after=after, limit=limit + 1)
    return page(
        found,
        limit,
        view=lambda one: BlockView(user_id=one.blocked_id, blocked_at=one.at),
        last=lambda one: (one.at, one.id),
    )


class Standing(NamedTuple):
    """What may keep somebody from writing in a conversation."""

    #: Staff keeps the person from writing anywhere.
    is_restricted: bool
    #: One of the two blocked the other; it means nothing where the conversation is not private.
    is_blocked: bool


async def standing_in(conversation: ConversationDocument, *, by: Principal) -> Standing:
    """How somebody who takes part stands."""
    is_restricted = await safety.restricted_until(by.user_id, at=clock.now()) is not None
    others = [one for one in conversation.user_ids if one != by.user_id]
    is_private = conversation.kind in PRIVATE
    return Standing(is_restricted, is_private and bool(await safety.blocked_between(by.user_id, others)))


async def check_may_write(
    context: Context, conversation: ConversationDocument, standing: Standing, *, by: Principal
) -> None:
    """Refuse a message that the sender may not send.

    Raises:
        WritingRestricted: staff keeps the sender from writing.
        WritingRefused: one blocked the other, and this is private.
        StrangerLimit: the other has not answered yet, and there is no contract.
    """
    if standing.is_restricted:
        raise WritingRestricted
    if conversation.kind not in PRIVATE:
        return
    if standing.is_blocked:
        raise WritingRefused
    if conversation.kind is ConversationKind.JOB or conversation.last_sequence < context.settings.stranger_messages:
        return  # whoever applied, or was applied to, is no stranger
    (other,) = [one for one in conversation.participants if one.user_id != by.user_id]
    has_answered = other.has_written or await messages.has_sent(conversation.id, sender_id=other.user_id)
    if not has_answered and not await safety.is_pair(by.user_id, other.user_id):
        raise StrangerLimit


async def check_may_meet(user_id: str, other: str) -> None:
    """Refuse a private conversation between people one of whom blocked the other.

    Raises:
        WritingRefused: so it is; not said by whom.
    """
    if await safety.blocked_between(user_id, [other]):
        raise WritingRefused


async def flags_for(conversation: ConversationDocument, text: str) -> list[Flag]:
    """What a message between people without a contract holds that leads away from the platform."""
    if conversation.kind not in PRIVATE:
        return []
    flags = flags_of(text)
    return flags if flags and not await safety.is_pair(*conversation.user_ids) else []


async def report(context: Context, new: NewReport, *, by: Principal) -> tuple[ReportView, bool]:
    """Report a message of somebody else's; reported again, the first report is given back.

    Raises:
        ConversationNotFound, MessageNotFound: not there, or not for the caller.
    """
    try:
        note = clean_text(new.note, 2000)
    except ValueError as error:
        raise BadInput.of("note", str(error)) from None
    if await conversations.find(new.conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    message = await messages.get(new.conversation_id, new.message_id)
    if message is None:
        raise MessageNotFound
    if message.sender_id == by.user_id:
        raise BadInput.of("messageId", "this is your own message")
    report_id = new_id()
    row = ReportDocument(
        id=report_id,
        reporter_id=by.user_id,
        conversation_id=new.conversation_id,
        message_id=new.message_id,
        sequence=message.sequence,
        sender_id=message.sender_id,
        reason=new.reason,
        note=context.ring.seal(note, context=note_context(report_id)),
        created_at=clock.now(),
    )

    async def change() -> None:
        if (found := await safety.find_report(by.user_id, new.message_id)) is not None:
            raise _Twice(found)
        await safety.add_report(row)
        await context.events.append(
            ConversationReported(
                report_id=report_id,
                conversation_id=row.conversation_id,
                message_id=row.message_id,
                reporter_id=by.user_id,
                sender_id=row.sender_id,
                reason=row.reason,
            ),
            subject=f"report:{report_id}",
        )

    try:
        await context.mongo.transact(change)
    except _Twice as twice:
        return _report_view(twice.found), False
    return _report_view(row), True


class _Twice(Exception):
    def __init__(self, found: ReportDocument) -> None:
        self.found = found


def note_context(report_id: str) -> bytes:
    """The place that a report's note is sealed for."""
    return b"messaging.report.note:" + report_id.encode()


def _report_view(row: ReportDocument) -> ReportView:
    return ReportView(
        id=row.id,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        reason=row.reason,
        status=row.status,
        created_at=row.created_at,
    )


async def list_own_reports(
    context: Context, *, cursor: str | None, limit: int, by: Principal
) -> Page[dict[str, object]]:
    """What the caller reported, with the note beside it."""
    (after,) = read_cursor(cursor, (str,)) or ("",)
    found = await safety.list_reports_of(by.user_id, after=after, limit=limit + 1)
    return page(
        found,
        limit,
        view=lambda one: {
            "report": _report_view(one),
            "note": context.ring.open(one.note, context=note_context(one.id)),
        },
        last=lambda one: (one.message_id,),
    )


async def list_reports(context: Context, *, status: ReportStatus, cursor: str | None, limit: int) -> Page[ReportView]:
    """The queue of staff, oldest first."""
    after = read_cursor(cursor, (datetime, str))
    found = await safety.list_reports(status, after=after, limit=limit + 1)
    return page(found, limit, view=_report_view, last=lambda one: (one.created_at, one.id))


async def get_case(context: Context, report_id: str) -> ReportCase:
    """A report with the reported message and those before it.

    Raises:
        ReportNotFound: not there.
    """
    row = await safety.get_report(report_id)
    if row is None:
        raise ReportNotFound
    return await _case(context, row)


async def _case(context: Context, row: ReportDocument) -> ReportCase:
    around = await messages.before(row.conversation_id, sequence=row.sequence + 1, limit=CASE_MESSAGES)
    return ReportCase(
        report=_report_view(row),
        reporter_id=row.reporter_id,
        sender_id=row.sender_id,
        note=context.ring.open(row.note, context=note_context(row.id)),
        messages=[
            ReportedMessage(
                id=one.id,
                sender_id=one.sender_id,
                # What was taken back is purged in the end.
                text=context.ring.open(one.text, context=mapping.text_context(one.id)) if one.text else "",
                sent_at=one.sent_at,
            )
            for one in reversed(around)
        ],
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_note=row.decision_note,
        restricted_until=row.restricted_until,
    )


async def decide_report(context: Context, report_id: str, decision: ReportDecision, *, by: Principal) -> ReportCase:
    """Rule on a report, once; the event tells who did.

    Raises:
        ReportNotFound, AlreadyDecided: there is nothing to rule on.
    """
    if decision.restrict_days and not decision.uphold:
        raise BadInput.of("restrictDays", "only an upheld report restricts anybody")
    try:
        note = clean_text(decision.note, 2000)
    except ValueError as error:
        raise BadInput.of("note", str(error)) from None
    now = clock.now()
    until = now + timedelta(days=decision.restrict_days) if decision.restrict_days else None

    async def change() -> ReportDocument:
        status = ReportStatus.UPHELD if decision.uphold else ReportStatus.DISMISSED
        values = {"status": status.value, "decided_by": by.user_id, "decided_at": now, "decision_note": note}
        row = await safety.decide(report_id, values | {"restricted_until": until})
        if row is None:
            raise AlreadyDecided if await safety.get_report(report_id) else ReportNotFound
        if until is not None:
            await safety.restrict(row.sender_id, until=until)
        await context.events.append(
            ReportDecided(
                report_id=report_id,
                sender_id=row.sender_id,
                decided_by=by.user_id,
                upheld=decision.uphold,
                restricted_days=decision.restrict_days,
            ),
            subject=f"report:{report_id}",
        )
        return row

    return await _case(context, await context.mongo.transact(change))
