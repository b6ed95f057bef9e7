"""Mails to the owners of accounts. The functions here are timers' targets: each may run more than once."""

from datetime import timedelta
from email.utils import parseaddr
from html import escape
from urllib.parse import quote

import structlog

from kelmah.kit import clock
from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.ids import new_id
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, proofs, sessions
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.proofs import ProofDocument, Purpose
from kelmah.services.auth.service.context import Context

log = structlog.get_logger(__name__)

#: What an owner is told of, by the name of the notice: a subject and a sentence. No text of the person's goes in.
NOTICES = {
    "password_changed": (
        "Your Kelmah password was changed",
        "The password of your Kelmah account was changed. If this was not you, set a new one at once:",
    ),
    "role_changed": (
        "Your role at Kelmah changed",
        "An administrator changed what your Kelmah account may do, and you were signed out everywhere. If you did not "
        "expect this, write to our support. You can set a new password here:",
    ),
    "account_deactivated": (
        "Your Kelmah account is at rest",
        "Your Kelmah account was deactivated and nobody can find it. Log in again to wake it. If this was not you, set "
        "a new password:",
    ),
    "mfa_enabled": (
        "Your second factor for Kelmah is on",
        "From now on Kelmah asks for a code of your authenticator app when you log in. If this was not you, set a new "
        "password at once:",
    ),
    "mfa_disabled": (
        "Your second factor for Kelmah is off",
        "Kelmah does not ask for a code any more when you log in. If this was not you, set a new password at once:",
    ),
    "identity_linked": (
        "You can sign in to Kelmah in another way",
        "An account of another provider was linked to your Kelmah account and can sign in to it. If this was not you, "
        "set a new password at once:",
    ),
    "identity_unlinked": (
        "A way to sign in to Kelmah was removed",
        "An account of another provider cannot sign in to your Kelmah account any more. If this was not you, set a new "
        "password at once:",
    ),
    "api_key_created": (
        "A key for your Kelmah account was made",
        "A program can act for you with an API key that was made for your Kelmah account. If this was not you, set a "
        "new password, which ends every key:",
    ),
    "passkey_added": (
        "A passkey was added to your Kelmah account",
        "A device can sign in to your Kelmah account with a passkey. If this was not you, remove it in your account, "
        "and set a new password at once:",
    ),
    "passkey_removed": (
        "A passkey was removed from your Kelmah account",
        "A passkey cannot sign in to your Kelmah account any more. If this was not you, set a new password at once:",
    ),
    "export_requested": (
        "Somebody asked for a copy of your Kelmah data",
        "An archive of all that Kelmah keeps of you was asked for in your account. You will be told when it is ready. "
        "If this was not you, set a new password at once:",
    ),
    "session_reused": (
        "We ended one of your Kelmah sessions",
        "A key of one of your sessions was used twice, so somebody may have copied it. We ended that session. "
        "If you did not expect this, set a new password:",
    ),
}


async def send_verification(context: Context, account_id: str) -> None:
    """Write to a new account's address, with the token that proves it. Nothing happens when it is proven."""
    account = await accounts.by_id(account_id)
    if account is None or account.email_verified_at is not None:
        log.info("auth.mail.not_needed", user_id=account_id, mail="verification")
        return
    await _send_token(
        context,
        account,
        Purpose.VERIFY_EMAIL,
        life_s=context.settings.verification_token_s,
        path="verify-email",
        subject="Verify your e-mail address for Kelmah",
        sentence="Open this address to prove that the mailbox is yours:",
    )


async def resend_verification(context: Context, email_index: str) -> None:
    """As `send_verification`, for whoever has this address, if anybody."""
    account = await accounts.by_email([email_index])
    if account is not None:
        await send_verification(context, account.id)


async def send_known(context: Context, account_id: str) -> None:
    """Tell the owner of an address that somebody, perhaps the owner, wanted to register with it once more."""
    account = await accounts.by_id(account_id)
    if account is None:
        return
    if account.email_verified_at is None:
        await send_verification(context, account_id)
        return
    link = f"{context.settings.public_url}/forgot-password"
    sentence = (
        "Somebody wanted to make an account at Kelmah with this address, and there is one already. If it was you, log "
        "in; if you forgot the password, set a new one here. If it was not you, there is nothing to do:"
    )
    await _send(context, account, "You have an account at Kelmah", [sentence, link], link, mail_id=f"known.{new_id()}")


async def send_password_reset(context: Context, email_index: str) -> None:
    """Write a reset token to this address if an account has it."""
    account = await accounts.by_email([email_index])
    if account is None:
        return
    await _send_token(
        context,
        account,
        Purpose.RESET_PASSWORD,
        life_s=context.settings.reset_token_s,
        path="reset-password",
        subject="Set a new password for Kelmah",
        sentence="Somebody, hopefully you, asked for a new password. Open this address to set one:",
    )


async def send_notice(context: Context, account_id: str, notice: str, cause_id: str) -> None:
    """Tell the owner what happened; `cause_id` names the one occasion, so that readers drop a second copy."""
    account = await accounts.by_id(account_id)
    if account is None:
        return
    if notice == "new_device":
        await _send_new_device(context, account, session_id=cause_id)
        return
    subject, sentence = NOTICES[notice]
    link = f"{context.settings.public_url}/forgot-password"
    await _send(context, account, subject, [sentence, link], link, mail_id=f"{notice}.{cause_id}")


async def _send_new_device(context: Context, account: AccountDocument, *, session_id: str) -> None:
    """Tell of a first log-in on a device, with a link that undoes it."""
    session = await sessions.by_id(session_id)
    if session is None or session.revoked_at is not None:
        return
    token, link = await _not_me(context, account, session_id=session_id)
    view = mapping.session_view(session, context.ring, current_id="", places=context.places)
    known = filter(None, (view.place.city, view.place.country)) if view.place else ()
    where = "".join(f", {part}" for part in known)
    paragraphs = [
        "Somebody signed in to your Kelmah account on a device that we had not seen before: "
        f"{view.device}{where}, at {view.created_at:%Y-%m-%d %H:%M} UTC. If it was you, there is nothing to do.",
        "If this was not you, open this address. It ends every session, makes the password useless and sends you a "
        "mail to set a new one:",
        link,
        f"Token: {token}",
    ]
    await _send(
        context, account, "A new device signed in to Kelmah", paragraphs, link, mail_id=f"new_device.{session_id}"
    )


async def send_email_change_asked(
    context: Context, account: AccountDocument, *, link: str, token: str, mail_id: str
) -> None:
    """Ask the old address for its agreement to another one, with a link that stops it instead."""
    _, stop = await _not_me(context, account)
    paragraphs = [
        "Somebody, hopefully you, wants another e-mail address for your Kelmah account. Open this address to agree:",
        link,
        f"Token: {token}",
        "If this was not you, open this one. It stops the change, ends every session, makes the password useless and "
        "sends you a mail to set a new one:",
        stop,
    ]
    await _send(context, account, "Another e-mail address for your Kelmah account", paragraphs, link, mail_id=mail_id)


async def _not_me(context: Context, account: AccountDocument, *, session_id: str | None = None) -> tuple[str, str]:
    """A token by which the owner says "this was not me", and the address that has it."""
    token = random_token()
    proof = ProofDocument(
        id=digest_token(token),
        account_id=account.id,
        email_index=account.email_index,
        purpose=Purpose.NOT_ME,
        session_id=session_id,
        expires_at=clock.now() + timedelta(seconds=context.settings.not_me_token_s),
    )
    await proofs.insert(proof)
    return token, f"{context.settings.public_url}/not-me?token={quote(token)}"


async def _send_token(
    context: Context,
    account: AccountDocument,
    purpose: Purpose,
    *,
    life_s: int,
    path: str,
    subject: str,
    sentence: str,
) -> None:
    token = random_token()
    proof = ProofDocument(
        id=digest_token(token),
        account_id=account.id,
        email_index=account.email_index,
        purpose=purpose,
        expires_at=clock.now() + timedelta(seconds=life_s),
    )
    await proofs.insert(proof)
    link = f"{context.settings.public_url}/{path}?token={quote(token)}"
    paragraphs = [
        sentence,
        link,
        "Or type the token in by hand:",
        f"Token: {token}",
        f"It works once, within {_duration(life_s)}. If you did not ask for it, there is nothing to do.",
    ]
    await _send(context, account, subject, paragraphs, link, mail_id=f"{purpose}.{proof.id[:32]}")


async def _send(
    context: Context, account: AccountDocument, subject: str, paragraphs: list[str], link: str, *, mail_id: str
) -> None:
    await send_to(context, mapping.email_of(account, context.ring), subject, paragraphs, link, mail_id=mail_id)
    log.info("auth.mail.sent", user_id=account.id, mail=mail_id.partition(".")[0])


async def send_to(
    context: Context, address: str, subject: str, paragraphs: list[str], link: str, *, mail_id: str
) -> None:
    """Send a mail of these paragraphs, of which one is the link."""
    lines = ["Hello,", *paragraphs, "Kelmah"]
    anchor = f'<a href="{escape(link)}">{escape(link)}</a>'
    html = "\n".join(f"<p>{anchor if line == link else escape(line)}</p>" for line in lines)
    domain = parseaddr(context.settings.mail_sender)[1].rpartition("@")[2]
    await context.mailer.send(
        to=address,
        subject=subject,
        text="\n\n".join(lines) + "\n",
        html=f'<!doctype html>\n<html lang="en"><body>\n{html}\n</body></html>\n',
        message_id=f"{mail_id}@{domain}",
    )


def _duration(seconds: int) -> str:
    return f"{seconds // 3600} hours" if seconds >= 2 * 3600 else f"{seconds // 60} minutes"
