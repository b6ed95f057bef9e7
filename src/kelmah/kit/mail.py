"""Sends mail through an SMTP server."""

import asyncio
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib
import idna

from kelmah.kit import clock
from kelmah.kit.errors import KelmahError
from kelmah.kit.text import clean_line, is_email

TIMEOUT_S = 10.0
_MAX_SUBJECT_CHARS = 200
_HEADER_URL = re.compile(r"https?://[!-;=?-~]{1,1000}")
_MESSAGE_ID = re.compile(r"<?([A-Za-z0-9._+-]{1,128}@[A-Za-z0-9.-]{1,128})>?")


class MailTransientError(KelmahError):
    """The mail may go out later: no connection, a timeout, an answer of 4xx, or our own log-in was refused.

    The server may have taken the mail and the answer been lost; send it again under the same Message-ID.
    """

    status_code = 503
    code = "kit.mail_not_sent_yet"
    title = "Mail could not be sent yet"


class MailPermanentError(KelmahError):
    """The mail will never go out as it is: a bad address or subject, or an answer of 5xx."""

    status_code = 500
    code = "kit.mail_refused"
    title = "Mail was refused"


class Mailer:
    """Sends mail from one sender through one server, a connection a mail."""

    def __init__(self, url: str, sender: str) -> None:
        """Make a mailer; it connects at each `send`.

        Args:
            url: ``smtp://host:port``, ``smtp://user:password@host:port?starttls=1`` or ``smtps://…``; user
                and password percent-encoded. The port defaults to 25, 587 with STARTTLS, 465 with ``smtps``.
            sender: ``Kelmah <no-reply@kelmah.example>`` or the address alone.

        Raises:
            ValueError: another URL, a password that would travel in clear, or a bad sender.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        start_tls = options.pop("starttls", "0")
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or options or start_tls not in ("0", "1"):
            raise ValueError("not a mail server's address: smtp[s]://[user:password@]host[:port][?starttls=1]")
        self._host = parts.hostname
        self._use_tls = parts.scheme == "smtps"
        self._start_tls = start_tls == "1"
        self._port = parts.port or (465 if self._use_tls else 587 if self._start_tls else 25)
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        if self._username and not (self._use_tls or self._start_tls):
            raise ValueError("a mail server's password needs smtps:// or ?starttls=1")
        name, address = parseaddr(clean_line(sender, 300))
        if not is_email(address) or not address.isascii() or "=?" in name:
            raise ValueError("not a sender's address")
        self._sender = Address(name, addr_spec=address)

    async def send(
        self,
        *,
        to: str,
        subject: str,
        text: str,
        html: str | None = None,
        message_id: str,
        unsubscribe_url: str | None = None,
    ) -> None:
        """Send one mail to one person, within 10 s in all.

        Args:
            to: a bare address.
            subject: one line, at most 200 characters.
            text: the plain text.
            html: the same as HTML.
            message_id: ``id@domain``, the same at each try of the same mail, so that servers and readers can
                drop the duplicate.
            unsubscribe_url: takes a POST that ends such mails at one click (RFC 8058).

        Raises:
            MailTransientError: try again later.
            MailPermanentError: do not try again.
        """
        recipient = _recipient(to)
        message = self._message(recipient, subject, message_id)
        if unsubscribe_url is not None:
            if not _HEADER_URL.fullmatch(unsubscribe_url):
                raise MailPermanentError("the address to unsubscribe at cannot be sent")
            message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(text, cte="quoted-printable")
        if html is not None:
            message.add_alternative(html, subtype="html", cte="quoted-printable")
        # Servers put addresses into their answers: the errors keep the code and drop the words.
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await aiosmtplib.send(
                    message,
                    sender=self._sender.addr_spec,
                    recipients=[recipient],
                    hostname=self._host,
                    port=self._port,
                    username=self._username,
                    password=self._password,
                    # The default asks the name service, which blocks.
                    local_hostname=self._sender.domain,
                    timeout=TIMEOUT_S,
                    use_tls=self._use_tls,
                    start_tls=self._start_tls,
                )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _translated(error) from None

    def _message(self, recipient: str, subject: str, message_id: str) -> EmailMessage:
        identifier = _MESSAGE_ID.fullmatch(message_id)
        if identifier is None:
            raise MailPermanentError("the Message-ID must be id@domain")
        try:
            subject = clean_line(subject, _MAX_SUBJECT_CHARS)
        except ValueError as error:
            raise MailPermanentError(f"the subject cannot be sent: {error}") from None
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = recipient
        # Python decodes "=?utf-8?q?a=0D=0ABcc…?=" when the header is set, and writes the line break out raw.
        message["Subject"] = subject.replace("=?", "= ?")
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{identifier[1]}>"
        message["Auto-Submitted"] = "auto-generated"
        return message


def _recipient(to: str) -> str:
    if not is_email(to):
        raise MailPermanentError("the recipient is not a mail address")
    local, _, domain = to.rpartition("@")
    return f"{local}@{idna.encode(domain.lower()).decode()}"


def _translated(error: Exception) -> MailTransientError | MailPermanentError:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return MailPermanentError("the mail server cannot carry this address")
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    is_ours = isinstance(error, aiosmtplib.SMTPAuthenticationError | aiosmtplib.SMTPHeloError | OSError)
    if code is not None and code >= 500 and not is_ours:
        return MailPermanentError(f"the mail server refused the mail with {code}", smtp_code=code)
    return MailTransientError(f"the mail server did not take the mail: {code or type(error).__name__}", smtp_code=code)
