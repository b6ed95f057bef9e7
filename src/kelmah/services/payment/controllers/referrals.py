"""Referrals."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from kelmah.contracts.payment import NameReferrer, ReferralCode, ReferralView
from kelmah.kit.context import Principal
from kelmah.services.payment import service
from kelmah.services.payment.service import Context


@get(
    "/api/v1/payments/referral-code",
    operation_id="GetReferralCode",
    summary="A code for workers whom one brings",
    tags=["Referrals"],
)
async def referral_code(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> ReferralCode:
    return service.referral_code(context, by=principal)


@post(
    "/api/v1/payments/referrer",
    operation_id="NameReferrer",
    summary="Say who brought one, once, before the first escrow",
    tags=["Referrals"],
)
async def name_referrer(
    data: JSONBody[NameReferrer], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> ReferralView:
    return await service.name_referrer(context, data, by=principal)


HANDLERS = [referral_code, name_referrer]
