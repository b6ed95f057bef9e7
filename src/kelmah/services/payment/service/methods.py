"""Saved payment methods."""

import msgspec

from kelmah.contracts.common import Page
from kelmah.contracts.payment import MethodView, Provider, SaveMethod
from kelmah.kit import clock, idempotency
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, Conflict
from kelmah.kit.ids import new_id
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import MethodDocument
from kelmah.services.payment.documents import methods as documents
from kelmah.services.payment.errors import Declined, MethodNotFound, ProviderUnavailable
from kelmah.services.payment.providers.base import ProviderRefusedError, ProviderUnsureError
from kelmah.services.payment.service.context import Context, find_provider
from kelmah.services.payment.service.freshness import require_step_up

FORGET_ACTOR = "payment.forget_method"


async def save_method(context: Context, request: SaveMethod, *, by: Principal) -> MethodView:
    """Have the provider keep a method for this person, and keep its token.

    Raises:
        StepUpNeeded: the person did not sign in lately. Money may be sent to a method.
    """
    require_step_up(context, by)
    if await documents.count_methods(by.user_id) >= documents.MAX_METHODS:
        raise Conflict(f"At most {documents.MAX_METHODS} payment methods can be kept.")
    method_id = new_id()
    if (request.token is None) == (request.account is None) or (request.account is None) == (
        request.provider is Provider.BANK
    ):
        raise BadInput.of("token", "the provider bank takes an account, every other one a token")
    token = request.token or msgspec.json.encode(request.account).decode()
    try:
        card = await find_provider(context, request.provider, "provider").save_method(
            user_id=by.user_id, method_id=idempotency.current_id() or method_id, token=token
        )
    except ProviderRefusedError as refusal:
        raise Declined(f"The provider refused this payment method ({refusal.code}).") from refusal
    except ProviderUnsureError as error:
        raise ProviderUnavailable(retry_after_s=2) from error
    method = MethodDocument(
        id=method_id,
        user_id=by.user_id,
        provider=request.provider,
        token=context.ring.seal(card.token, context=method_id.encode()),
        customer=context.ring.seal(card.customer, context=method_id.encode()),
        kind=card.kind,
        brand=card.brand,
        last4=card.last4,
        expires_month=card.expires_month,
        expires_year=card.expires_year,
        created_at=clock.now(),
    )

    async def change() -> MethodView:
        await documents.insert_method(method)
        view = mapping.method_view(method)
        await context.idempotency.remember(view)
        return view

    return await context.mongo.transact(change)


async def list_methods(context: Context, *, by: Principal) -> Page[MethodView]:
    """One's own methods, the latest first."""
    return Page(items=[mapping.method_view(method) for method in await documents.list_methods(by.user_id)])


async def delete_method(context: Context, method_id: str, *, by: Principal) -> None:
    """Forget a method, here at once and at the provider by a timer."""
    method = await documents.find_method(method_id, user_id=by.user_id)
    if method is None or not await forget(context, method):
        raise MethodNotFound


async def forget(context: Context, method: MethodDocument) -> bool:
    """Forget a method, here at once and at the provider by a timer. Whether it was there."""

    async def change() -> bool:
        if not await documents.delete_method(method.id, user_id=method.user_id):
            return False
        await context.timers.set(f"method:{method.id}:forget", FORGET_ACTOR, [method.id, method.provider, method.token])
        return True

    return await context.mongo.transact(change)


async def forget_method(context: Context, method_id: str, provider: str, sealed_token: str) -> None:
    """Have the provider keep a method no more; the target of a timer, which brings the encrypted token."""
    token = context.ring.open(sealed_token, context=method_id.encode())
    await context.providers[Provider(provider)].forget_method(token)
