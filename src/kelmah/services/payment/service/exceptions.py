"""The queue of differences: found by reading files and by reconciling, resolved by people, with a reason."""

import hashlib
from datetime import timedelta

from kelmah.contracts.common import Page
from kelmah.contracts.payment import ExceptionKind, ExceptionResolved, ExceptionView, ResolveException
from kelmah.kit import clock
from kelmah.kit.errors import BadInput
from kelmah.kit.text import clean_text
from kelmah.services.payment.documents import exceptions as documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.documents.exceptions import ExceptionDocument
from kelmah.services.payment.errors import ExceptionNotFound
from kelmah.services.payment.service import ledger, pages
from kelmah.services.payment.service.context import Context

MAX_REASON_CHARS = 2000


def name(kind: ExceptionKind, provider: str, subject: str) -> str:
    """The id of a difference: the same for the same difference."""
    return hashlib.sha256(f"{provider}:{kind}:{subject}".encode()).hexdigest()[:32]


async def note(
    kind: ExceptionKind,
    *,
    provider: str,
    reference: str,
    amount: int,
    currency: str,
    suspense_id: str | None = None,
) -> bool:
    """Queue a difference. Whether it is new.

    With `suspense_id`, in the open transaction, the money goes to suspense too (out of it when negative).
    """
    exception = ExceptionDocument(
        id=name(kind, provider, suspense_id or reference),
        kind=kind,
        provider=provider,
        reference=reference,
        amount=amount,
        currency=currency,
        is_suspense=suspense_id is not None,
        created_at=clock.now(),
    )
    if suspense_id is not None:
        await ledger_documents.post(
            ledger.suspense_entry(provider=provider, ref=suspense_id, amount=amount, currency=currency)
        )
    return await documents.insert_exception(exception)


async def list_exceptions(
    context: Context, *, status: str = documents.OPEN, cursor: str | None, limit: int
) -> Page[ExceptionView]:
    """Differences, by name."""
    found = await documents.list_exceptions(status, after=pages.start(cursor), limit=limit + 1)
    return pages.page(found, limit, _view)


async def resolve_exception(
    context: Context, exception_id: str, request: ResolveException, *, by: str
) -> ExceptionView:
    """Take a difference out of the queue, and give what lies in suspense for it to a person if one is named."""
    try:
        reason = clean_text(request.reason, MAX_REASON_CHARS)
    except ValueError as error:
        raise BadInput.of("reason", str(error)) from None
    if not reason:
        raise BadInput.of("reason", "must not be blank")

    async def change() -> ExceptionView:
        exception = await documents.resolve_exception(exception_id, reason=reason, by=by)
        if exception is None:
            raise ExceptionNotFound
        if request.credit_user_id is not None:
            if not exception.is_suspense or exception.amount <= 0:
                raise BadInput.of("creditUserId", "no money lies in suspense for this")
            await ledger_documents.post(ledger.cleared_entry(exception, request.credit_user_id))
        await context.events.append(
            ExceptionResolved(
                exception_id=exception.id,
                kind=exception.kind,
                resolved_by=by,
                reason=reason,
                credited_user_id=request.credit_user_id,
            ),
            subject=f"exception:{exception.id}",
        )
        view = _view(exception)
        await context.idempotency.remember(view, status=200)
        return view

    return await context.mongo.transact(change)


def _view(exception: ExceptionDocument) -> ExceptionView:
    return ExceptionView(
        id=exception.id,
        kind=exception.kind,
        provider=exception.provider,
        reference=exception.reference,
        amount=exception.amount,
        currency=exception.currency,
        status=exception.status,
        created_at=exception.created_at,
        age_hours=(clock.now() - exception.created_at) // timedelta(hours=1),
        reason=exception.reason,
        resolved_by=exception.resolved_by,
        resolved_at=exception.resolved_at,
    )
