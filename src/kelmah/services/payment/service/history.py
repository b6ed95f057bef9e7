"""How wallets and escrows stood, for admins."""

from kelmah.contracts.common import Balance, PastState
from kelmah.contracts.payment import PastMoneyViewed, PastWallet
from kelmah.kit import past
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.documents.entries import wallet
from kelmah.services.payment.service.context import Context


async def get_past_escrow(context: Context, escrow_id: str, at: str, *, by: Principal) -> PastState:
    """An escrow at an instant. Raises as `past.view` does."""
    return await past.view(context.mongo, context.events, f"escrow:{escrow_id}", at, by=by, viewed=PastMoneyViewed)


async def get_past_wallet(context: Context, user_id: str | None, at: str | None, *, by: Principal) -> PastWallet:
    """What a person had at an instant, from the ledger. Somebody without a wallet had nothing.

    Raises:
        BadInput, Forbidden.
    """
    past.only_admins(by)
    if at is None or user_id is None:
        raise BadInput.of("at" if at is None else "userId", "`at` and `userId` go together")
    moment = past.instant(at)
    subject = f"wallet:{user_id}"
    balances = [
        Balance(amount=await ledger.balance_at(wallet(user_id, currency), moment), currency=currency)
        for currency in sorted(await ledger.wallet_balances(user_id))
    ]
    await past.note(context.mongo, context.events, subject, moment, by=by, viewed=PastMoneyViewed)
    return PastWallet(user_id=user_id, at=moment, balances=balances)
