"""Logging in: what is proven, what is still asked for, and the session that begins."""

from datetime import datetime, timedelta

import msgspec
import structlog

from kelmah.contracts.auth import (
    AccountReactivated,
    LoggedIn,
    LoginMfaRequest,
    LoginRefused,
    LoginRequest,
    MfaChallenge,
    PasskeyLoginRequest,
    SignedIn,
    StepUp,
    StepUpRequest,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, Unauthenticated
from kelmah.kit.ids import new_id
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, devices, factors
from kelmah.services.auth.documents import sessions as documents
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.sessions import SessionDocument
from kelmah.services.auth.errors import (
    AccountDeactivated,
    AccountSuspended,
    ChallengeRefused,
    EmailNotVerified,
    InvalidCredentials,
    PasskeyRefused,
    WrongPassword,
)
from kelmah.services.auth.service import bridging, mfa, passkeys, revocations, shelf, throttle
from kelmah.services.auth.service.accounts import email_indexes, notify, own_account, subject
from kelmah.services.auth.service.context import Client, Context
from kelmah.services.auth.service.sessions import RefreshToken, access_token, end_these

log = structlog.get_logger(__name__)

PASSWORD_METHOD = "pwd"  # noqa: S105  # RFC 8176's name for it
_CHALLENGE = "mfa-challenge"


class _Challenge(msgspec.Struct, frozen=True):
    """What was proven before the second factor was asked for."""

    account_id: str
    methods: list[str]
    password_changed_at: datetime


async def login(context: Context, request: LoginRequest, *, client: Client) -> SignedIn | MfaChallenge:
    """Begin a session, or ask for the second factor.

    An unknown address takes as long and answers the same as a wrong password.

    Raises:
        BadInput: not a mail address.
        InvalidCredentials: no such account, or another password.
        AccountDeactivated: it is at rest, and `reactivate` was not said.
        EmailNotVerified: the password is right, and the address not proven yet.
        TooManyAttempts: with the seconds to wait.
        Busy: too many passwords are being checked.
        Unavailable: nobody here has the address, and the old database does not answer.
    """
    indexes = email_indexes(context, request.email)
    account = await accounts.by_email(indexes)
    bucket = await _bucket(account, indexes[0], client)
    await throttle.charge_login(context, client, bucket=bucket)
    old = await bridging.look(context, request.email, known=account is not None)
    stored = account.password_hash if account else old[1].password_hash if old else None
    right = await context.hasher.verify(request.password, stored)
    if account is None and old is not None and right:
        account = await bridging.move(context, old)
    if account is None or not right:
        await throttle.note_failure(context, bucket=bucket)
        await _tell_of_refusal(context, account, "wrong_credentials")
        raise InvalidCredentials
    await throttle.note_success(context, bucket=bucket)
    if account.email_verified_at is None:
        await _tell_of_refusal(context, account, "email_not_verified")
        raise EmailNotVerified
    new_hash = None
    if account.password_hash is not None and context.hasher.is_outdated(account.password_hash):
        new_hash = await context.hasher.hash(request.password)
    return await proceed(
        context, account, client, methods=[PASSWORD_METHOD], new_hash=new_hash, reactivate=request.reactivate
    )


async def _bucket(account: AccountDocument | None, email_index: str, client: Client) -> str:
    """Whose wrong passwords are counted: the account's, or the device's on which its owner logged in before."""
    # Asked for an unknown address too, where nothing is found: neither answer is slower.
    owner = account.id if account else email_index
    if client.device_hash and await devices.is_known(owner, client.device_hash):
        return f"device/{owner}/{client.device_hash}"
    return f"account/{email_index}"


async def _tell_of_refusal(context: Context, account: AccountDocument | None, reason: str) -> None:
    """One event in a stream of its own, for a known and an unknown address alike: neither is slower."""

    async def change() -> None:
        event = LoginRefused(user_id=account.id if account else None, reason=reason)
        await context.events.append(event, subject=f"login:{new_id()}")

    await context.mongo.transact(change)


async def proceed(
    context: Context,
    account: AccountDocument,
    client: Client,
    *,
    methods: list[str],
    new_hash: str | None = None,
    reactivate: bool = False,
) -> SignedIn | MfaChallenge:
    """Begin the session of somebody whose first factor is proven, unless a second one is due.

    Raises:
        AccountDeactivated: it is at rest, and was not asked to wake.
        AccountSuspended: nobody gets in.
    """
    if account.suspended_at is not None:
        raise AccountSuspended
    if account.deactivated_at is not None and not reactivate:
        raise AccountDeactivated
    if await factors.confirmed(account.id) is None:
        return await _begin(context, account, client, methods=methods, new_hash=new_hash)
    known = _Challenge(account.id, methods, account.password_changed_at)
    life_s = context.settings.mfa_challenge_s
    return MfaChallenge(challenge=await shelf.put(context, _CHALLENGE, known, life_s=life_s), expires_in=life_s)


async def login_passkey(context: Context, request: PasskeyLoginRequest, *, client: Client) -> SignedIn:
    """Begin a session by a passkey alone, whoever's it is.

    Raises:
        PasskeyRefused: for any fault, without saying which.
        AccountDeactivated: the account is at rest, and was not asked to wake.
        TooManyAttempts: the network tried too often.
    """
    account = await accounts.by_id(await passkeys.prove(context, request.passkey, client=client))
    if account is None:
        raise PasskeyRefused
    if account.deactivated_at is not None and not request.reactivate:
        raise AccountDeactivated
    return await _begin(context, account, client, methods=list(passkeys.METHODS))


async def login_mfa(context: Context, request: LoginMfaRequest, *, client: Client) -> SignedIn:
    """Answer a challenge with a one-time code, a recovery code or a passkey. A wrong one leaves the challenge as it is.

    Raises:
        ChallengeRefused: too old, used, never made, or the password was changed since.
        BadInput: neither code nor passkey, or both.
        MfaRefused: the code is wrong or was used.
        PasskeyRefused: the passkey is not the account's, or did not answer this challenge.
        TooManyAttempts: too many wrong codes.
    """
    known = await shelf.look(context, _CHALLENGE, request.challenge, _Challenge)
    account = await accounts.by_id(known.account_id) if known else None
    if known is None or account is None or account.password_changed_at != known.password_changed_at:
        raise ChallengeRefused
    if request.code is not None and request.passkey is None:
        methods = await mfa.prove(context, account.id, request.code, client=client)
    elif request.passkey is not None and request.code is None:
        await passkeys.prove(context, request.passkey, client=client, account_id=account.id, login=request.challenge)
        methods = passkeys.METHODS
    else:
        raise BadInput.of("code", "Give either a code or a passkey")
    if await shelf.take(context, _CHALLENGE, request.challenge, _Challenge) is None:
        raise ChallengeRefused
    return await _begin(context, account, client, methods=[*known.methods, *methods])


async def step_up(context: Context, request: StepUpRequest, *, by: Principal, client: Client) -> StepUp:
    """Prove once more who one is, within the session: by a passkey, by the second factor where there is one, else by
    the password.

    Raises:
        BadInput: the proof that is needed is missing.
        PasskeyRefused: the passkey is not the account's, or did not answer this session's challenge.
        MfaRefused: the code is wrong or was used.
        WrongPassword: the password is.
        TooManyAttempts: too many wrong ones.
        Unauthenticated: the session or the account is gone.
    """
    account = await own_account(by)
    if request.passkey is not None:
        await passkeys.prove(context, request.passkey, client=client, account_id=account.id, session_id=by.session_id)
        methods = passkeys.METHODS
    elif await factors.confirmed(account.id) is not None:
        if request.code is None:
            raise BadInput.of("code", "The code of your second factor is needed")
        methods = await mfa.prove(context, account.id, request.code, client=client)
    else:
        if request.password is None:
            raise BadInput.of("password", "Your password is needed")
        await check_password(context, account, request.password, client=client)
        methods = [PASSWORD_METHOD]
    session = await documents.step_up(by.session_id, account_id=account.id, methods=methods, now=clock.now())
    if session is None:
        raise Unauthenticated
    return StepUp(
        access_token=await access_token(context, session, account.role), expires_in=context.settings.access_token_s
    )


async def check_password(context: Context, account: AccountDocument, password: str, *, client: Client) -> None:
    """Raises:
    WrongPassword: it is another one.
    TooManyAttempts: it was wrong too often.
    Busy: too many passwords are being checked.
    """
    bucket = f"change/{account.id}"
    await throttle.charge_login(context, client, bucket=bucket)
    if not await context.hasher.verify(password, account.password_hash):
        await throttle.note_failure(context, bucket=bucket)
        raise WrongPassword
    await throttle.note_success(context, bucket=bucket)


async def _begin(
    context: Context, account: AccountDocument, client: Client, *, methods: list[str], new_hash: str | None = None
) -> SignedIn:
    refresh = RefreshToken.make(context, new_id())

    async def change() -> tuple[SessionDocument, list[str]]:
        now = clock.now()
        if not await accounts.note_login(
            account.id, password_hash=account.password_hash, stored_hash=new_hash or account.password_hash, at=now
        ):
            raise InvalidCredentials  # the password was changed a moment ago
        if await accounts.reactivate(account.id):  # asked for, or it was put to rest this very moment
            await context.events.append(AccountReactivated(user_id=account.id), subject=subject(account.id))
        surplus = await documents.list_live(
            account.id, now=now, limit=context.settings.max_sessions, skip=context.settings.max_sessions - 1
        )
        ended = await end_these(context, account.id, [one.id for one in surplus], reason="too_many")
        session = _new_session(context, account, client, refresh, methods)
        await documents.insert(session)
        is_new = client.device_hash and await devices.remember(account.id, client.device_hash, at=now)
        if is_new and account.last_login_at is not None:
            await notify(context, account.id, "new_device", session.id)
        event = LoggedIn(user_id=account.id, session_id=session.id, methods=session.methods)
        await context.events.append(event, subject=f"session:{session.id}", actor=account.id)
        return session, ended

    session, ended = await context.mongo.transact(change)
    await revocations.publish(context, ended)
    return SignedIn(
        access_token=await access_token(context, session, account.role),
        refresh_token=refresh.token,
        expires_in=context.settings.access_token_s,
        user=mapping.account_view(account, context.ring),
    )


def _new_session(
    context: Context, account: AccountDocument, client: Client, refresh: RefreshToken, methods: list[str]
) -> SessionDocument:
    now, settings = clock.now(), context.settings

    def sealed(field: str, text: str | None) -> str | None:
        place = mapping.place("sessions", field, refresh.session_id)
        return None if text is None else context.ring.seal(text, context=place)

    return SessionDocument(
        id=refresh.session_id,
        account_id=account.id,
        methods=methods,
        address_sealed=sealed("address", client.address),
        user_agent_sealed=sealed("user_agent", client.user_agent),
        device_hash=client.device_hash,
        created_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=settings.session_absolute_s),
        idle_at=now + timedelta(seconds=settings.session_idle_s),
        refresh_hash=refresh.digest,
    )
