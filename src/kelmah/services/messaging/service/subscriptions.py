"""When and where a person is told outside of the app: quiet hours, digests, a proven phone, browsers."""

import secrets
from datetime import timedelta

import msgspec

from kelmah.contracts.messaging import (
    DeliverySettings,
    NewPushSubscription,
    PhoneCode,
    PhoneToProve,
    PushKey,
    PushSubscriptionView,
    QuietHours,
    SetDeliverySettings,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import constant_time_equal, digest_token
from kelmah.kit.errors import BadInput
from kelmah.kit.ratelimit import Limit
from kelmah.kit.text import normalize_phone
from kelmah.services.messaging.documents import DeliverySettingsDocument, PushSubscriptionDocument, deliveries
from kelmah.services.messaging.documents.deliveries import PhoneProof, Quiet
from kelmah.services.messaging.errors import CodeRefused, PushNotSetUp, SmsNotSetUp, SubscriptionNotFound
from kelmah.services.messaging.providers import PushTarget
from kelmah.services.messaging.service.context import Context, charge

#: Text messages cost money, and a code sent to somebody else's number is a nuisance.
CODES = Limit("phone-codes", quota=5, window_s=86_400, burst=3)
#: By whomever: one number gets no more than this.
CODES_TO_A_NUMBER = Limit("phone-codes-number", quota=5, window_s=86_400, burst=3)
CODE_LASTS = timedelta(minutes=10)
CODE_TRIES = 5
#: 23 bits.
CODE_DIGITS = 7
MAX_BROWSERS = 20


async def get_settings(context: Context, *, by: Principal) -> DeliverySettings:
    """The caller's choice."""
    return _settings_view(context, await deliveries.settings_of(by.user_id))


async def set_settings(context: Context, new: SetDeliverySettings, *, by: Principal) -> DeliverySettings:
    """Replace the caller's choice; it holds for what is sent from now on."""
    quiet = new.quiet_hours
    if quiet is not None and quiet.start == quiet.end:
        raise BadInput.of("quietHours.end", "the same hour is no time at all")
    stored = await deliveries.set_settings(
        by.user_id,
        quiet_hours=None if quiet is None else Quiet(start=quiet.start, end=quiet.end).model_dump(),
        digest=new.digest.value,
        digest_hour=new.digest_hour,
    )
    return _settings_view(context, stored)


def _settings_view(context: Context, stored: DeliverySettingsDocument) -> DeliverySettings:
    quiet = stored.quiet_hours
    return DeliverySettings(
        quiet_hours=None if quiet is None else QuietHours(start=quiet.start, end=quiet.end),
        digest=stored.digest,
        digest_hour=stored.digest_hour,
        phone=phone_of(context, stored),
    )


async def send_phone_code(context: Context, new: PhoneToProve, *, by: Principal) -> None:
    """Send a code to a number; a code that was sent before is good no more.

    Raises:
        SmsNotSetUp, SlowDown, DeliveryFailed, DeliveryRefused, DeliveryUnknown: none was sent, or perhaps one.
    """
    if context.sms is None:
        raise SmsNotSetUp
    try:
        phone = normalize_phone(new.phone)
    except ValueError as error:
        raise BadInput.of("phone", str(error)) from None
    await charge(context, CODES, by.user_id)
    await charge(context, CODES_TO_A_NUMBER, context.ring.blind_index(phone, context=b"messaging.phone"))
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    proof = PhoneProof(
        phone=context.ring.seal(phone, context=phone_context(by.user_id)),
        code=_code_digest(context, by.user_id, code),
        expires_at=clock.now() + CODE_LASTS,
        tries_left=CODE_TRIES,
    )
    await deliveries.set_settings(by.user_id, proof=proof.model_dump())
    await context.sms.send(to=phone, text=f"Kelmah: {code}")


async def prove_phone(context: Context, given: PhoneCode, *, by: Principal) -> DeliverySettings:
    """Take the code; the number is the caller's from now on.

    Raises:
        CodeRefused: wrong, too old, or tried too often.
    """
    proof = await deliveries.try_code(by.user_id, at=clock.now())
    digest = _code_digest(context, by.user_id, given.code)
    if proof is None or not constant_time_equal(proof.code, digest):
        raise CodeRefused
    stored = await deliveries.accept_phone(by.user_id, code=digest)
    if stored is None:
        raise CodeRefused
    return _settings_view(context, stored)


async def forget_phone(context: Context, *, by: Principal) -> None:
    """Send no more text messages to the caller."""
    await deliveries.set_settings(by.user_id, phone=None, proof=None)


def phone_of(context: Context, stored: DeliverySettingsDocument) -> str | None:
    """The proven number, opened."""
    return None if stored.phone is None else context.ring.open(stored.phone, context=phone_context(stored.id))


def phone_context(user_id: str) -> bytes:
    """The place that a person's phone number is sealed for."""
    return b"messaging.phone:" + user_id.encode()


def _code_digest(context: Context, user_id: str, code: str) -> str:
    return context.ring.blind_index(f"{user_id}:{code}", context=b"messaging.phone_code")


def push_key(context: Context) -> PushKey:
    """The key that browsers subscribe with.

    Raises:
        PushNotSetUp: this platform pushes nothing.
    """
    if context.push is None:
        raise PushNotSetUp
    return PushKey(public_key=context.push.public_key)


async def subscribe(context: Context, new: NewPushSubscription, *, by: Principal) -> PushSubscriptionView:
    """Push to this browser from now on; said again, it replaces what was said. The oldest of too many is dropped.

    Raises:
        PushNotSetUp: this platform pushes nothing.
        BadInput: not a push service that is known, or not a key.
    """
    if context.push is None:
        raise PushNotSetUp
    target = PushTarget(endpoint=new.endpoint, p256dh=new.keys.p256dh, auth=new.keys.auth)
    context.push.check(target)
    subscription = PushSubscriptionDocument(
        id=digest_token(new.endpoint),
        user_id=by.user_id,
        session_id=by.session_id,
        sealed=context.ring.seal(msgspec.json.encode(target).decode(), context=_target_context(new.endpoint)),
        created_at=clock.now(),
    )
    await deliveries.put_subscription(subscription)
    late = (await deliveries.subscriptions_of(by.user_id))[MAX_BROWSERS:]
    if late:
        await deliveries.drop_subscriptions(user_id=by.user_id, ids=[one.id for one in late])
    return PushSubscriptionView(id=subscription.id, created_at=subscription.created_at)


async def unsubscribe_browser(context: Context, subscription_id: str, *, by: Principal) -> None:
    """Push no more to a browser of the caller's.

    Raises:
        SubscriptionNotFound: not there, or somebody else's.
    """
    if not await deliveries.drop_subscriptions(user_id=by.user_id, ids=[subscription_id]):
        raise SubscriptionNotFound


async def targets_of(context: Context, user_id: str) -> list[tuple[str, PushTarget]]:
    """A person's browsers by id."""
    return [
        (one.id, msgspec.json.decode(context.ring.open(one.sealed, context=push_context(one.id)), type=PushTarget))
        for one in await deliveries.subscriptions_of(user_id)
    ]


def _target_context(endpoint: str) -> bytes:
    return push_context(digest_token(endpoint))


def push_context(subscription_id: str) -> bytes:
    """The place that a browser's endpoint and keys are sealed for."""
    return b"messaging.push:" + subscription_id.encode()
