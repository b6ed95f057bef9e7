"""What the payment service keeps that follows from its ledger: the balance of every account, wallets among them."""

from collections.abc import AsyncIterator

from kelmah.kit.projections import Change, History, Projection, projection
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.service.context import Context

_ACCOUNT = ("account", "kind", "currency", "balance", "sequence", "head")


def projections(context: Context) -> list[Projection]:
    """The balances. The ledger is the source for money, and events tell of it."""
    return [projection("payment.balances", _balances, of=context.mongo.collection("ledger_accounts"), fields=_ACCOUNT)]


async def _balances(_: History) -> AsyncIterator[Change]:
    async for key, row in ledger.made_anew():
        yield Change(key, {"$set": row})
