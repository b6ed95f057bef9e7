"""Referrals: a worker says once, before the first escrow, who brought them; that person shares the platform's fee."""

from kelmah.contracts.payment import NameReferrer, ReferralCode, ReferralView, ReferrerNamed
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import DecryptionError
from kelmah.kit.errors import BadInput
from kelmah.services.payment.documents import escrows, parties
from kelmah.services.payment.documents import referrals as documents
from kelmah.services.payment.documents.referrals import ReferralDocument
from kelmah.services.payment.errors import ReferralClosed
from kelmah.services.payment.service.context import Context

#: A code is sealed, so that it names somebody who asked for it, and nobody makes one up.
_PLACE = b"payment.referral_code"


def referral_code(context: Context, *, by: Principal) -> ReferralCode:
    """What one gives to workers whom one brings. Each is another one, and all are good for ever."""
    return ReferralCode(code=context.ring.seal(by.user_id, context=_PLACE))


async def name_referrer(context: Context, request: NameReferrer, *, by: Principal) -> ReferralView:
    """Say who brought one; for workers who have had no escrow yet, once."""
    try:
        referrer_id = context.ring.open(request.code, context=_PLACE)
    except DecryptionError:
        raise BadInput.of("code", "not a referral code") from None
    if referrer_id == by.user_id:
        raise BadInput.of("code", "one's own")

    async def change() -> ReferralView:
        if await escrows.has_worked(by.user_id):
            raise ReferralClosed
        await documents.insert_referral(
            ReferralDocument(id=by.user_id, referrer_id=referrer_id, created_at=clock.now())
        )
        await context.events.append(
            ReferrerNamed(worker_id=by.user_id, referrer_id=referrer_id), subject=f"wallet:{by.user_id}"
        )
        return ReferralView(referrer_id=referrer_id)

    return await context.mongo.transact(change)


async def referrer_of(worker_id: str) -> str | None:
    """Who shares the fee of an escrow that is funded now. Nobody, if that person is at rest or gone."""
    referrer_id = await documents.find_referrer(worker_id)
    return referrer_id if referrer_id and await parties.are_open([referrer_id]) else None
