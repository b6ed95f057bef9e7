"""Another e-mail address for an account: the readers of the old and of the new mailbox both agree.

The mail to the old address also has the link "this was not me", which stops the change and throws everybody out.
"""

from datetime import timedelta
from urllib.parse import quote

import structlog

from kelmah.contracts.auth import EmailChanged
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, proofs
from kelmah.services.auth.documents import email_changes as documents
from kelmah.services.auth.documents.email_changes import EmailChangeDocument
from kelmah.services.auth.errors import TokenRefused
from kelmah.services.auth.service import mails, revocations, throttle
from kelmah.services.auth.service.accounts import email_indexes, own_account, subject
from kelmah.services.auth.service.context import Client, Context
from kelmah.services.auth.service.sessions import end_in_transaction

log = structlog.get_logger(__name__)


async def request(context: Context, new_email: str, *, by: Principal, client: Client) -> None:
    """Write to both addresses. Does the same whether or not another account has the new one.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        BadInput: not a mail address, or the one that the account has.
        TooManyAttempts: too many mails were asked for.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    new_email = new_email.strip()
    index = email_indexes(context, new_email, field="newEmail")[0]
    account = await own_account(by)
    if index == account.email_index:
        raise BadInput.of("newEmail", "This is the address of your account")
    await throttle.charge_mail(context, client, email_index=index)
    await throttle.charge_mail(context, client, email_index=f"change/{account.id}")
    change_id = new_id()

    def sealed(field: str, text: str) -> str:
        return context.ring.seal(text, context=mapping.place("email_changes", field, account.id))

    async def change() -> None:
        await documents.put(
            EmailChangeDocument(
                id=account.id,
                change_id=change_id,
                session_id=by.session_id,
                old_email_sealed=sealed("old_email", mapping.email_of(account, context.ring)),
                old_index=account.email_index,
                new_email_sealed=sealed("new_email", new_email),
                new_index=index,
                expires_at=clock.now() + timedelta(seconds=context.settings.verification_token_s),
            )
        )
        await context.timers.set(
            f"auth.send_email_change:{change_id}", "auth.send_email_change", [account.id, change_id]
        )

    await context.mongo.transact(change)


async def confirm(context: Context, token: str) -> None:
    """Take the agreement of one mailbox; with the second one the address changes, and other sessions end.

    Raises:
        TokenRefused: used, too old, or never made; or the account has yet another address by now.
        EmailTaken: somebody made an account with the new address meanwhile.
    """

    async def change() -> list[str]:
        now = clock.now()
        found = await documents.prove(digest_token(token), now=now)
        if found is None:
            raise TokenRefused
        if found.old_proven_at is None or found.new_proven_at is None:
            return []
        new_email = _opened(context, found, "new_email")
        if not await accounts.change_email(
            found.id,
            old_index=found.old_index,
            new_indexes=context.email_indexes(new_email),
            sealed=context.ring.seal(new_email, context=mapping.place("accounts", "email", found.id)),
            at=now,
        ):
            raise TokenRefused
        await proofs.drop_all(found.id)  # they went to the old address
        await documents.finish(found.id, at=now)
        await context.events.append(EmailChanged(user_id=found.id), subject=subject(found.id))
        await context.timers.set(
            f"auth.send_email_changed:{found.change_id}", "auth.send_email_changed", [found.id, found.change_id]
        )
        return await end_in_transaction(context, found.id, None, but=found.session_id, reason="email_changed")

    await revocations.publish(context, await context.mongo.transact(change))


async def send(context: Context, account_id: str, change_id: str) -> None:
    """A timer's target: write to both addresses, each with a token of its own. Should it run twice, the later mails
    have the tokens that count."""
    found, account = await documents.get(account_id, change_id), await accounts.by_id(account_id)
    if found is None or account is None or account.email_index != found.old_index or found.done_at is not None:
        return
    old_token, new_token = random_token(), random_token()
    await documents.set_tokens(
        account_id, change_id, old_hash=digest_token(old_token), new_hash=digest_token(new_token)
    )
    await mails.send_email_change_asked(
        context, account, link=_link(context, old_token), token=old_token, mail_id=f"email_change_old.{change_id}"
    )
    new_email = _opened(context, found, "new_email")
    if await accounts.by_email(context.email_indexes(new_email)) is not None:
        log.info("auth.email_change.taken", user_id=account_id)  # nobody is told who has an account
        return
    mail_id = f"email_change_new.{change_id}"
    link = _link(context, new_token)
    await mails.send(context, account, "email_change_new", to=new_email, link=link, mail_id=mail_id, token=new_token)


async def send_done(context: Context, account_id: str, change_id: str) -> None:
    """A timer's target: tell both addresses that it happened."""
    found, account = await documents.get(account_id, change_id), await accounts.by_id(account_id)
    if found is None or account is None or found.done_at is None:
        return
    for side in ("old_email", "new_email"):
        address, mail_id = _opened(context, found, side), f"email_changed_{side}.{change_id}"
        await mails.send(context, account, "email_changed", to=address, mail_id=mail_id)


def _link(context: Context, token: str) -> str:
    return f"{context.settings.public_url}/confirm-email-change?token={quote(token)}"


def _opened(context: Context, found: EmailChangeDocument, field: str) -> str:
    sealed: str = getattr(found, f"{field}_sealed")
    return context.ring.open(sealed, context=mapping.place("email_changes", field, found.id))
