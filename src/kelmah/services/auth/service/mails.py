"""Mails to the owners of accounts. The functions here are timers' targets: each may run more than once."""

from datetime import timedelta
from email.utils import parseaddr
from html import escape
from urllib.parse import quote

import structlog

from kelmah.kit import clock
from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.errors import KelmahError
from kelmah.kit.ids import new_id
from kelmah.kit.text import language_of
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, proofs, sessions
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.proofs import ProofDocument, Purpose
from kelmah.services.auth.service.context import Context
from kelmah.services.auth.service.texts import HELLO, LIVES, TEXTS

log = structlog.get_logger(__name__)


async def send_verification(context: Context, account_id: str) -> None:
    """Write to a new account's address, with the token that proves it. Nothing happens when it is proven."""
    account = await accounts.by_id(account_id)
    if account is None or account.email_verified_at is not None:
        log.info("auth.mail.not_needed", user_id=account_id, mail="verification")
        return
    life_s = context.settings.verification_token_s
    await _send_token(context, account, Purpose.VERIFY_EMAIL, life_s=life_s, path="verify-email")


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
    await send(context, account, "known", mail_id=f"known.{new_id()}")


async def send_password_reset(context: Context, email_index: str) -> None:
    """Write a reset token to this address if an account has it."""
    account = await accounts.by_email([email_index])
    if account is None:
        return
    life_s = context.settings.reset_token_s
    await _send_token(context, account, Purpose.RESET_PASSWORD, life_s=life_s, path="reset-password")


async def send_notice(context: Context, account_id: str, notice: str, cause_id: str) -> None:
    """Tell the owner what happened; `cause_id` names the one occasion, so that readers drop a second copy."""
    account = await accounts.by_id(account_id)
    if account is None:
        return
    if notice == "new_device":
        await _send_new_device(context, account, session_id=cause_id)
        return
    await send(context, account, notice, mail_id=f"{notice}.{cause_id}")


async def _send_new_device(context: Context, account: AccountDocument, *, session_id: str) -> None:
    """Tell of a first log-in on a device, with a link that undoes it."""
    session = await sessions.by_id(session_id)
    if session is None or session.revoked_at is not None:
        return
    token, link = await _not_me(context, account, session_id=session_id)
    view = mapping.session_view(session, context.ring, current_id="", places=context.places)
    known = filter(None, (view.place.city, view.place.country)) if view.place else ()
    await send(
        context,
        account,
        "new_device",
        link=link,
        mail_id=f"new_device.{session_id}",
        token=token,
        device=view.device,
        where="".join(f", {part}" for part in known),
        at=f"{view.created_at:%Y-%m-%d %H:%M}",
    )


async def send_email_change_asked(
    context: Context, account: AccountDocument, *, link: str, token: str, mail_id: str
) -> None:
    """Ask the old address for its agreement to another one, with a link that stops it instead."""
    _, stop = await _not_me(context, account)
    await send(context, account, "email_change_old", link=link, mail_id=mail_id, token=token, stop=stop)


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


async def _send_token(context: Context, account: AccountDocument, purpose: Purpose, *, life_s: int, path: str) -> None:
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
    mail_id = f"{purpose}.{proof.id[:32]}"
    await send(context, account, purpose.value, link=link, mail_id=mail_id, life_s=life_s, token=token)


async def send(
    context: Context,
    account: AccountDocument,
    name: str,
    *,
    mail_id: str,
    link: str | None = None,
    to: str | None = None,
    life_s: int = 0,
    **values: str,
) -> None:
    """Send a mail to the owner of an account, in the owner's language.

    Args:
        context: the service's.
        account: whose.
        name: which of `texts.TEXTS`.
        mail_id: the same at each try of the same mail.
        link: where its link leads; to a new password unless given.
        to: the address, if it is not the account's.
        life_s: how long its token lives.
        **values: what else the text asks for.
    """
    language = await _language_of(context, account)
    link = link or f"{context.settings.public_url}/forgot-password"
    text = TEXTS[name][language]
    values |= {"link": link, "life": _spelled(life_s, language)}
    lines = [HELLO[language], *(paragraph.format(**values) for paragraph in text.paragraphs), "Kelmah"]
    anchor = f'<a href="{escape(link)}">{escape(link)}</a>'
    html = "\n".join(f"<p>{anchor if line == link else escape(line)}</p>" for line in lines)
    domain = parseaddr(context.settings.mail_sender)[1].rpartition("@")[2]
    await context.mailer.send(
        to=to or mapping.email_of(account, context.ring),
        subject=text.subject,
        text="\n\n".join(lines) + "\n",
        html=f'<!doctype html>\n<html lang="{language}"><body>\n{html}\n</body></html>\n',
        message_id=f"{mail_id}@{domain}",
    )
    log.info("auth.mail.sent", user_id=account.id, mail=mail_id.partition(".")[0])


async def _language_of(context: Context, account: AccountDocument) -> str:
    """What the person chose in the settings; as at the registration where nobody can say."""
    try:
        chosen = (await context.user.get_preferences(user_id=account.id)).locale if context.user else None
    except KelmahError:  # no profile yet, or the user service is away: a mail is worth more than its language
        chosen = None
    return language_of(chosen or account.locale)


def _spelled(seconds: int, language: str) -> str:
    hours, minutes = LIVES[language]
    return hours.format(seconds // 3600) if seconds >= 2 * 3600 else minutes.format(seconds // 60)
