"""What the rest, the waking and the end of an account mean for money.

Nothing new begins with somebody who is at rest or gone. What is under way ends as it would: escrows are released,
refunded or ruled on, withdrawals that were sent arrive. Rows of the ledger stay under the bare id, as the law asks; so
does a balance, which is a debt that support pays out against proof of identity.
"""

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated
from kelmah.contracts.events import Envelope
from kelmah.services.payment.documents import methods as method_documents
from kelmah.services.payment.documents import parties
from kelmah.services.payment.service import methods
from kelmah.services.payment.service.context import Context


async def on_account_deactivated(context: Context, envelope: Envelope, event: AccountDeactivated) -> None:
    """Begin nothing with the person."""
    await parties.note(event.user_id, is_open=False, sequence=envelope.sequence, at=envelope.time)


async def on_account_reactivated(context: Context, envelope: Envelope, event: AccountReactivated) -> None:
    """Business as before."""
    await parties.note(event.user_id, is_open=True, sequence=envelope.sequence, at=envelope.time)


async def on_account_deleted(context: Context, envelope: Envelope, event: AccountDeleted) -> None:
    """Begin nothing with the person, and forget the saved methods, at the providers too. Twice changes nothing."""
    await parties.note(event.user_id, is_open=False, sequence=envelope.sequence, at=envelope.time)
    for method in await method_documents.list_methods(event.user_id):
        await methods.forget(context, method)
