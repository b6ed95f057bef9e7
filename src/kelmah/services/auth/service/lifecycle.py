"""The life of an account: rest, deletion, another role, and the owner's "this was not me"."""

from datetime import timedelta

from kelmah.contracts.auth import (
    AccountDeactivated,
    AccountDeleted,
    ChangeRoleRequest,
    RoleChange,
    RoleChanged,
)
from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.crypto import digest_token
from kelmah.kit.errors import BadInput, Forbidden, NotFound, Unauthenticated
from kelmah.kit.ids import new_id
from kelmah.kit.text import clean_line
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import (
    accounts,
    api_keys,
    devices,
    email_changes,
    factors,
    identities,
    passkeys,
    proofs,
    role_changes,
    sessions,
)
from kelmah.services.auth.documents.proofs import Purpose
from kelmah.services.auth.documents.role_changes import RoleChangeDocument
from kelmah.services.auth.errors import RoleKept, TokenRefused
from kelmah.services.auth.service import exports, mfa, revocations
from kelmah.services.auth.service.accounts import notify, subject
from kelmah.services.auth.service.context import Context
from kelmah.services.auth.service.sessions import end_everything

MAX_REASON_CHARS = 500


async def not_me(context: Context, token: str) -> None:
    """The owner says that the log-in of a mail was somebody else's: end every session, make the password useless,
    forget the devices, and send a mail to set a new password. Whatever else whoever was in may have made ends as
    well: API keys, a change of the address that waits, an archive, the passkeys and identities of the last days, and
    a second factor that is younger than the disowned session.

    Raises:
        TokenRefused: used, too old, or never made.
    """

    async def change() -> list[str]:
        now = clock.now()
        proof = await proofs.use_one(digest_token(token), purpose=Purpose.NOT_ME, now=now)
        account = await accounts.by_id(proof.account_id) if proof else None
        # The mail went to an address; if that is no longer the account's, its reader is not the owner any more.
        if proof is None or account is None or account.email_index != proof.email_index:
            raise TokenRefused
        await accounts.clear_password(account.id, at=now)
        await devices.forget(account.id)
        await email_changes.drop(account.id)
        lately = now - timedelta(seconds=context.settings.not_me_token_s)
        begun = await sessions.by_id(proof.session_id) if proof.session_id else None
        # One from before stays: whoever reads the mailbox alone must not get around it. One from after may be the
        # stranger's, and would keep the owner out.
        await mfa.remove(context, account.id, since=begun.created_at if begun else lately)
        await passkeys.remove_all(account.id, since=lately)
        await identities.remove_all(account.id, since=lately)
        await exports.discard(context, account.id)
        await context.timers.set(
            f"auth.send_password_reset:{account.email_index}", "auth.send_password_reset", [account.email_index]
        )
        return await end_everything(context, account.id, reason="not_me")

    await revocations.publish(context, await context.mongo.transact(change))


async def deactivate(context: Context, *, by: Principal) -> None:
    """Put one's own account to rest: every session ends, and other services hide the person.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        Unauthenticated: the account is gone.
    """
    require_fresh(by, within_s=context.settings.step_up_s)

    async def change() -> list[str]:
        if not await accounts.deactivate(by.user_id, at=clock.now()):
            raise Unauthenticated
        envelope = await context.events.append(
            AccountDeactivated(user_id=by.user_id, by=by.user_id), subject=subject(by.user_id)
        )
        await notify(context, by.user_id, "account_deactivated", envelope.id)
        return await end_everything(context, by.user_id, reason="deactivated")

    await revocations.publish(context, await context.mongo.transact(change))


async def delete(context: Context, *, by: Principal) -> None:
    """Delete one's own account for good, here and, by the event, in every service.

    What the law holds stays with the service that keeps it, under the bare id: ledger rows, and the audit of roles.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        Unauthenticated: the account is gone.
    """
    require_fresh(by, within_s=context.settings.step_up_s)

    async def change() -> list[str]:
        ended = await end_everything(context, by.user_id, reason="deleted")
        if not await accounts.remove(by.user_id):
            raise Unauthenticated
        await sessions.remove_all(by.user_id)
        await api_keys.remove_all(by.user_id)
        await devices.forget(by.user_id)
        await email_changes.drop(by.user_id)
        await factors.erase(by.user_id)
        await passkeys.remove_all(by.user_id)
        await identities.remove_all(by.user_id)
        await proofs.drop_all(by.user_id)
        await exports.discard(context, by.user_id)
        await context.events.append(AccountDeleted(user_id=by.user_id), subject=subject(by.user_id))
        return ended

    await revocations.publish(context, await context.mongo.transact(change))


async def end_sessions_of(context: Context, account_id: str, *, by: Principal) -> None:
    """End every session and API key of somebody, for an administrator.

    Raises:
        StepUpRequired: the administrator did not prove lately who they are.
        NotFound: there is no such account.
    """
    require_fresh(by, within_s=context.settings.step_up_s)

    async def change() -> list[str]:
        if await accounts.by_id(account_id) is None:
            raise NotFound
        return await end_everything(context, account_id, reason="ended_by_admin")

    await revocations.publish(context, await context.mongo.transact(change))


async def change_role(context: Context, account_id: str, request: ChangeRoleRequest, *, by: Principal) -> RoleChange:
    """Give somebody another role. It holds at once: tokens carry the role, so every session of theirs ends.

    Raises:
        StepUpRequired: the administrator did not prove lately who they are.
        Forbidden: the caller was an administrator until a moment ago.
        NotFound: there is no such account.
        RoleKept: one's own role, or the role that the person has.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    if account_id == by.user_id:  # so that an administrator is always left
        raise RoleKept
    try:
        reason = clean_line(request.reason, MAX_REASON_CHARS)
    except ValueError as error:
        raise BadInput.of("reason", str(error)) from None
    if not any(char.isalpha() for char in reason):
        raise BadInput.of("reason", "A reason has words")

    async def change() -> tuple[RoleChangeDocument, list[str]]:
        now = clock.now()
        if not await accounts.hold_role(by.user_id, role=Role.ADMIN, at=now):
            raise Forbidden
        before = await accounts.change_role(account_id, role=request.role)
        if before is None:
            raise RoleKept if await accounts.by_id(account_id) else NotFound
        made = RoleChangeDocument(
            id=new_id(),
            account_id=account_id,
            old_role=before.role,
            new_role=request.role,
            by=by.user_id,
            reason=reason,
            at=now,
        )
        await role_changes.insert(made)
        event = RoleChanged(user_id=account_id, old_role=before.role, new_role=request.role, by=by.user_id)
        await context.events.append(event, subject=subject(account_id))
        await notify(context, account_id, "role_changed", made.id)
        return made, await end_everything(context, account_id, reason="role_changed")

    made, ended = await context.mongo.transact(change)
    await revocations.publish(context, ended)
    return mapping.role_change(made)
