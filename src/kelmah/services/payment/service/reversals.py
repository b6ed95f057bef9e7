"""Reversal: a wrong entry is undone by its opposite, never edited."""

from kelmah.contracts.payment import TransactionKind
from kelmah.kit.errors import BadInput
from kelmah.services.payment.documents import EntryDocument
from kelmah.services.payment.documents import ledger as documents
from kelmah.services.payment.errors import EntryNotReversible
from kelmah.services.payment.service import ledger
from kelmah.services.payment.service.context import Context

#: What only the ledger knows of. All else has a document that says where it stands, and its own way back: a refund
#: of the escrow or the deposit, the return of a withdrawal.
REVERSIBLE = frozenset({TransactionKind.SUSPENSE_CLEARED, TransactionKind.PROVIDER_FEE, TransactionKind.SETTLEMENT})
MAX_REASON_CHARS = 500


async def reverse_entry(context: Context, reference: str, *, reason: str) -> EntryDocument:
    """Post the opposite of an entry, once.

    Raises:
        EntryNotReversible: there is no such entry, or its kind has another way back.
        AlreadyPosted: it was reversed before.
        InsufficientFunds: the money is not there any more.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON_CHARS:
        raise BadInput.of("reason", f"1 to {MAX_REASON_CHARS} characters")

    async def change() -> EntryDocument:
        entry = await documents.find_entry(reference)
        if entry is None or entry.kind not in REVERSIBLE:
            raise EntryNotReversible
        return await documents.post(ledger.reversal_entry(entry, reason.strip()))

    return await context.mongo.transact(change)
