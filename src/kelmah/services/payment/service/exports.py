"""What this service keeps of a person, for the person's archive."""

from collections.abc import Mapping
from typing import Any

from kelmah.contracts.common import Page
from kelmah.contracts.payment import ReferralView
from kelmah.kit.context import Principal
from kelmah.kit.exports import Lister, single
from kelmah.kit.pagination import MAX_LIMIT
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import deposits as deposit_documents
from kelmah.services.payment.documents import legacy
from kelmah.services.payment.documents import referrals as referral_documents
from kelmah.services.payment.service import disputes, escrows, methods, pages, wallets, withdrawals
from kelmah.services.payment.service.context import Context


async def _wallet(context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    return single(await wallets.get_wallet(context, by=by))


async def _transactions(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await wallets.list_transactions(context, by=by, cursor=cursor, limit=MAX_LIMIT)


async def _deposits(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    found = await deposit_documents.list_deposits(by.user_id, before=pages.start(cursor), limit=MAX_LIMIT + 1)
    return pages.page(found, MAX_LIMIT, mapping.deposit_view)


async def _withdrawals(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await withdrawals.list_withdrawals(context, by=by, cursor=cursor, limit=MAX_LIMIT)


async def _escrows(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await escrows.list_escrows(context, by=by, contract_id=None, cursor=cursor, limit=MAX_LIMIT)


async def _disputes(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await disputes.list_disputes(context, by=by, cursor=cursor, limit=MAX_LIMIT)


async def _methods(context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    return await methods.list_methods(context, by=by)


async def _referrer(_context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    referrer_id = await referral_documents.find_referrer(by.user_id)
    return single(ReferralView(referrer_id=referrer_id)) if referrer_id else Page(items=[])


async def _earlier(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    found = await legacy.transactions_of(by.user_id, before=pages.start(cursor), limit=MAX_LIMIT + 1)
    return pages.page(found, MAX_LIMIT, _earlier_view)


def _earlier_view(one: legacy.LegacyTransactionDocument) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": one.kind,
        "amount": {"amount": one.amount, "currency": one.currency},
        "status": one.status,
        "reference": one.reference,
        "at": one.created_at,
    }


PARTS: Mapping[str, Lister] = {
    "wallet": _wallet,
    "transactions": _transactions,
    "deposits": _deposits,
    "withdrawals": _withdrawals,
    "escrows": _escrows,
    "disputes": _disputes,
    "methods": _methods,
    "referrer": _referrer,
    "earlier_transactions": _earlier,
}
