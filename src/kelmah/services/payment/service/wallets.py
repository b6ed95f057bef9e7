"""Wallets: what a person has, and every movement of it."""

from functools import partial

from kelmah.contracts.common import DEFAULT_CURRENCY, Balance, Page
from kelmah.contracts.payment import TransactionView, WalletBalance, WalletView
from kelmah.kit.context import Principal
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import deposits, ledger, withdrawals
from kelmah.services.payment.documents.entries import wallet
from kelmah.services.payment.service import pages
from kelmah.services.payment.service.context import Context


async def get_wallet(context: Context, *, by: Principal) -> WalletView:
    """One's own balances, the default currency first."""
    available = await ledger.wallet_balances(by.user_id)
    pending = await deposits.pending_by_currency(by.user_id)
    held = await withdrawals.held_by_currency(by.user_id)
    currencies = [DEFAULT_CURRENCY, *sorted((available.keys() | pending.keys()) - {DEFAULT_CURRENCY})]
    return WalletView(
        user_id=by.user_id,
        balances=[
            WalletBalance(
                currency=currency,
                available=Balance(amount=available.get(currency, 0), currency=currency),
                pending=Balance(amount=pending.get(currency, 0), currency=currency),
                held=Balance(amount=held.get(currency, 0), currency=currency),
            )
            for currency in currencies
        ],
    )


async def list_transactions(
    context: Context, *, by: Principal, cursor: str | None, limit: int
) -> Page[TransactionView]:
    """Movements of one's own wallet, the latest first."""
    wallets = {wallet(by.user_id, currency) for currency in await ledger.wallet_balances(by.user_id)}
    found = await ledger.wallet_entries(sorted(wallets), before=pages.start(cursor), limit=limit + 1)
    return pages.page(found, limit, partial(mapping.transaction_view, wallets=wallets))
