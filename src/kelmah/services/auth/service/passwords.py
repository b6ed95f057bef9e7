"""Passwords: forgotten, reset and changed."""

from kelmah.contracts.auth import ChangePasswordRequest, PasswordChanged, ResetPasswordRequest
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import digest_token
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, proofs
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.proofs import Purpose
from kelmah.services.auth.errors import TokenRefused, WrongPassword
from kelmah.services.auth.service import revocations, strength, throttle
from kelmah.services.auth.service.accounts import email_indexes, note_verified, notify, own_account, subject
from kelmah.services.auth.service.context import Client, Context
from kelmah.services.auth.service.logins import check_password
from kelmah.services.auth.service.sessions import end_everything, end_in_transaction


async def forgot(context: Context, email: str, *, client: Client) -> None:
    """Send the mail with a reset token. Does the same whether or not the address has an account.

    Raises:
        BadInput: not a mail address.
        TooManyAttempts: too many mails were asked for.
    """
    index = email_indexes(context, email)[0]
    await throttle.charge_mail(context, client, email_index=index)
    await context.timers.set(f"auth.send_password_reset:{index}", "auth.send_password_reset", [index])


async def reset(context: Context, request: ResetPasswordRequest) -> None:
    """Set a new password by a mail's token, end every session and API key, and tell the owner. Logs nobody in.

    Raises:
        TokenRefused: used, too old, or never made.
        PasswordRefused: too easy to guess; the token stays good.
        Busy: too many passwords are being checked.
    """
    token_hash = digest_token(request.token)
    proof = await proofs.find(token_hash, purpose=Purpose.RESET_PASSWORD, now=clock.now())
    account = await accounts.by_id(proof.account_id) if proof else None
    if account is None:
        raise TokenRefused
    await _check(context, request.new_password, account)
    new_hash = await context.hasher.hash(request.new_password)

    async def change() -> list[str]:
        now = clock.now()
        used = await proofs.use(token_hash, purpose=Purpose.RESET_PASSWORD, now=now)
        # The mail went to an address; if that is no longer the account's, its reader is not the owner any more.
        if used is None or not await accounts.set_password(
            account.id, email_index=used.email_index, new_hash=new_hash, at=now
        ):
            raise TokenRefused
        await note_verified(context, account.id, email_index=used.email_index, at=now)
        await _tell(context, account, how="reset")
        return await end_everything(context, account.id, reason="password_reset")

    await revocations.publish(context, await context.mongo.transact(change))


async def change(context: Context, request: ChangePasswordRequest, *, by: Principal, client: Client) -> None:
    """Replace the password, end every other session and tell the owner.

    Raises:
        WrongPassword: the current one is another.
        PasswordRefused: the new one is too easy to guess.
        TooManyAttempts: the current one was wrong too often.
        Busy: too many passwords are being checked.
    """
    account = await own_account(by)
    await _check(context, request.new_password, account)
    await check_password(context, account, request.current_password, client=client)
    new_hash = await context.hasher.hash(request.new_password)

    async def replace() -> list[str]:
        now = clock.now()
        if not await accounts.change_password(account.id, old_hash=account.password_hash, new_hash=new_hash, at=now):
            raise WrongPassword  # a twin of this request was first
        await proofs.drop(account.id, purpose=Purpose.RESET_PASSWORD)
        await _tell(context, account, how="change")
        return await end_in_transaction(context, account.id, None, but=by.session_id, reason="password_changed")

    await revocations.publish(context, await context.mongo.transact(replace))


async def _check(context: Context, password: str, account: AccountDocument) -> None:
    email, names = mapping.email_of(account, context.ring), mapping.names_of(account, context.ring)
    await strength.check(context, password, field="newPassword", email=email, names=names)


async def _tell(context: Context, account: AccountDocument, *, how: str) -> None:
    envelope = await context.events.append(PasswordChanged(user_id=account.id, how=how), subject=subject(account.id))
    await notify(context, account.id, "password_changed", envelope.id)
