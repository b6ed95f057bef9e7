"""The second factor: one-time codes of an authenticator app (RFC 6238), and recovery codes for the day it is lost."""

import base64
import secrets
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from kelmah.contracts.auth import MfaDisabled, MfaEnabled, MfaSetup, RecoveryCodes
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.crypto import digest_token
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import factors
from kelmah.services.auth.documents import sessions as session_documents
from kelmah.services.auth.documents.factors import FactorDocument
from kelmah.services.auth.errors import MfaAlreadyOn, MfaNotOn, MfaRefused
from kelmah.services.auth.service import revocations, throttle
from kelmah.services.auth.service.accounts import notify, own_account, subject
from kelmah.services.auth.service.context import Client, Context
from kelmah.services.auth.service.sessions import end_in_transaction

#: Names of RFC 8176. "mfa" says that two different factors were proven.
OTP_METHODS = ["otp", "mfa"]
STEP_S, DIGITS = 30, 6
#: Codes of the step before and after are taken, for clocks that are a little off.
_DRIFT = (0, -1, 1)
_SECRET_BYTES = 20
RECOVERY_CODES = 10
#: 120 random bits in 24 characters of base32; nobody tries that many, and only their hash is stored.
_RECOVERY_BYTES = 15


async def set_up(context: Context, *, by: Principal) -> MfaSetup:
    """Make a secret for the authenticator app. Nothing is asked for with it until `confirm`.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        MfaAlreadyOn: there is a proven factor.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    account = await own_account(by)
    secret = secrets.token_bytes(_SECRET_BYTES)
    sealed = context.ring.seal(secret.hex(), context=_place(account.id))
    if not await factors.set_up(account.id, secret_sealed=sealed):
        raise MfaAlreadyOn
    uri = _totp(secret).get_provisioning_uri(mapping.email_of(account, context.ring), "Kelmah")
    return MfaSetup(secret=base64.b32encode(secret).decode(), uri=uri)


async def confirm(context: Context, code: str, *, by: Principal, client: Client) -> RecoveryCodes:
    """Switch the second factor on by its first code, end the other sessions, and tell the owner.

    Raises:
        MfaNotOn: nothing was set up.
        MfaAlreadyOn: the factor is proven.
        MfaRefused: the code is wrong.
        TooManyAttempts: too many wrong codes.
    """
    factor = await factors.pending(by.user_id)
    if factor is None:
        raise MfaAlreadyOn if await factors.confirmed(by.user_id) else MfaNotOn
    step = await _checked(context, factor, code, client)
    codes = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    hashes = [digest_token(one) for one in codes]

    async def change() -> list[str]:
        now = clock.now()
        if not await factors.confirm(
            factor.id, secret_sealed=factor.secret_sealed, step=step, recovery_hashes=hashes, at=now
        ):
            raise MfaAlreadyOn  # a twin of this request was first
        await session_documents.step_up(by.session_id, account_id=by.user_id, methods=OTP_METHODS, now=now)
        envelope = await context.events.append(MfaEnabled(user_id=by.user_id), subject=subject(by.user_id))
        await notify(context, by.user_id, "mfa_enabled", envelope.id)
        return await end_in_transaction(context, by.user_id, None, but=by.session_id, reason="mfa_enabled")

    await revocations.publish(context, await context.mongo.transact(change))
    return RecoveryCodes(codes=["-".join(one[at : at + 4] for at in range(0, 24, 4)) for one in codes])


async def disable(context: Context, code: str, *, by: Principal, client: Client) -> None:
    """Switch the second factor off by a last code of it, and tell the owner.

    Raises:
        MfaNotOn: there is none.
        MfaRefused: the code is wrong or was used.
        TooManyAttempts: too many wrong codes.
    """
    if await factors.confirmed(by.user_id) is None:
        raise MfaNotOn
    await prove(context, by.user_id, code, client=client)

    async def change() -> None:
        if not await remove(context, by.user_id):
            raise MfaNotOn

    await context.mongo.transact(change)


async def remove(context: Context, account_id: str, *, since: datetime | None = None) -> bool:
    """Take the factor away in the open transaction, or only one of `since` or later, and tell the owner."""
    if not await factors.remove(account_id, since=since):
        return False
    envelope = await context.events.append(MfaDisabled(user_id=account_id), subject=subject(account_id))
    await notify(context, account_id, "mfa_disabled", envelope.id)
    return True


async def prove(context: Context, account_id: str, code: str, *, client: Client) -> list[str]:
    """Take a one-time code or a recovery code, for good. Gives the methods that were proven.

    Raises:
        MfaRefused: wrong, or taken before.
        TooManyAttempts: too many wrong codes.
    """
    factor = await factors.confirmed(account_id)
    if factor is None:
        raise MfaRefused
    if code.isdecimal():
        step = await _checked(context, factor, code, client)
        if not await factors.use_step(account_id, secret_sealed=factor.secret_sealed, step=step):
            raise MfaRefused
        return OTP_METHODS
    bucket = _bucket(account_id)
    await throttle.charge_login(context, client, bucket=bucket)
    plain = code.replace("-", "").upper()
    if not await factors.use_recovery(account_id, digest_token(plain)):
        await throttle.note_failure(context, bucket=bucket)
        raise MfaRefused
    await throttle.note_success(context, bucket=bucket)
    return OTP_METHODS


async def _checked(context: Context, factor: FactorDocument, code: str, client: Client) -> int:
    """The time step that the code is of.

    Raises:
        MfaRefused: of none near now.
        TooManyAttempts: too many wrong codes.
    """
    bucket = _bucket(factor.id)
    await throttle.charge_login(context, client, bucket=bucket)
    totp = _totp(bytes.fromhex(context.ring.open(factor.secret_sealed, context=_place(factor.id))))
    now_step = int(clock.now().timestamp()) // STEP_S
    for step in (now_step + drift for drift in _DRIFT):
        try:
            totp.verify(code.encode(), step * STEP_S)
        except InvalidToken:
            continue
        if step > factor.last_step:
            await throttle.note_success(context, bucket=bucket)
        return step
    await throttle.note_failure(context, bucket=bucket)
    raise MfaRefused


def _totp(secret: bytes) -> TOTP:
    # SHA-1 is what authenticator apps know; its collisions do not matter to an HMAC.
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303


def _bucket(account_id: str) -> str:
    return f"mfa/{account_id}"


def _place(account_id: str) -> bytes:
    return mapping.place("factors", "secret", account_id)
