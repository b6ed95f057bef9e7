import asyncio
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from kelmah.kit.mail import Mailer, MailPermanentError, MailTransientError


class Inbox:
    """A server's handler that keeps what arrives, or answers as told."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.answer_to_rcpt: str | None = None
        self.answer_to_data: str | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.answer_to_rcpt is not None:
            return self.answer_to_rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer_to_data is not None:
            return self.answer_to_data
        self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return "250 OK"

    def only(self) -> EmailMessage:
        ((_, _, content),) = self.mails
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        return message


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def server(inbox: Inbox) -> AsyncIterator[asyncio.Server]:
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(inbox, hostname="test", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    yield server
    server.close()
    await server.wait_closed()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.fixture
def mailer(server: asyncio.Server) -> Mailer:
    return Mailer(f"smtp://127.0.0.1:{_port(server)}", "Kelmah <no-reply@kelmah.example>")


async def _send(mailer: Mailer, **changes: str) -> None:
    mail = {"to": "ama@example.com", "subject": "Hello", "text": "Hi\n", "message_id": "e1@kelmah.example"}
    await mailer.send(**(mail | changes))


async def test_a_mail_says_where_to_unsubscribe_at_one_click(mailer: Mailer, inbox: Inbox) -> None:
    await _send(mailer, unsubscribe_url="https://kelmah.example/out?token=a-b_c.d")
    message = inbox.only()
    assert message["List-Unsubscribe"] == "<https://kelmah.example/out?token=a-b_c.d>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for bad in (
        "https://a.example/>,<mailto:b@c.example",
        "https://a.example/\r\nBcc: b@c.example",
        "mailto:a@b.example",
    ):
        with pytest.raises(MailPermanentError):
            await _send(mailer, unsubscribe_url=bad)
    assert len(inbox.mails) == 1


async def test_a_mail_arrives_as_written(mailer: Mailer, inbox: Inbox) -> None:
    await _send(mailer, subject="Akwaaba, Ɔkyeame 👋", text="Wo ho te sɛn?\n.\nFrom us\n", html="<p>Ɛte sɛn?</p>\n")
    assert [(sender, to) for sender, to, _ in inbox.mails] == [("no-reply@kelmah.example", ["ama@example.com"])]
    message = inbox.only()
    assert message["From"] == "Kelmah <no-reply@kelmah.example>"
    assert message["To"] == "ama@example.com"
    assert message["Subject"] == "Akwaaba, Ɔkyeame 👋"
    assert message["Message-ID"] == "<e1@kelmah.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.utcoffset() is not None
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), plain.get_content()) == (
        "text/plain",
        "Wo ho te sɛn?\r\n.\r\nFrom us\r\n",
    )
    assert (html.get_content_type(), html.get_content()) == ("text/html", "<p>Ɛte sɛn?</p>\r\n")


async def test_a_second_try_has_the_same_message_id(mailer: Mailer, inbox: Inbox) -> None:
    long = "auth.password_reset_requested.v1.01930c1e-1234-7234-8234-0123456789ab.second@mail.kelmah.example"
    await _send(mailer, message_id=long)
    await _send(mailer, message_id=f"<{long}>")
    lines = [re.findall(rb"(?im)^message-id: (.*)\r\n", content) for _, _, content in inbox.mails]
    assert lines == [[f"<{long}>".encode()]] * 2


async def test_international_addresses(mailer: Mailer, inbox: Inbox) -> None:
    await _send(mailer, to="jürgen@bücher.example")
    assert inbox.mails[0][1] == ["jürgen@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": "Hello\nBcc: eve@example.com"},
        {"subject": "Hello\u2028Bcc: eve@example.com"},
        {"subject": "Hello\x00"},
        {"subject": "x" * 201},
        {"to": "ama@example.com\r\nBcc: eve@example.com"},
        {"to": "ama@example.com, eve@example.com"},
        {"to": "ama@example.com>\r\nRCPT TO:<eve@example.com"},
        {"to": "=?utf-8?q?a=0D=0ABcc=3Aeve?=@example.com"},
        {"to": "Ama <ama@example.com>"},
        {"message_id": "e1@kelmah.example\r\nBcc: eve@example.com"},
        {"message_id": "=?utf-8?q?a=0D=0ABcc?=@kelmah.example"},
        {"message_id": "e1"},
    ],
)
async def test_headers_cannot_be_injected(mailer: Mailer, inbox: Inbox, changes: dict[str, str]) -> None:
    with pytest.raises(MailPermanentError):
        await _send(mailer, **changes)
    assert inbox.mails == []


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?q?a=0D=0ABcc=3A_eve@example.com?=",
        "=?utf-8?b?YQ0KQmNjOiBldmVAZXhhbXBsZS5jb20=?=",
        "==??utf-8?q?=0A?=",
    ],
)
async def test_an_encoded_word_in_a_subject_stays_a_word(mailer: Mailer, inbox: Inbox, subject: str) -> None:
    await _send(mailer, subject=subject)
    message = inbox.only()
    assert message["Bcc"] is None
    assert message["Subject"] == subject.replace("=?", "= ?")
    assert b"\nbcc" not in inbox.mails[0][2].lower()


@pytest.mark.parametrize("command", ["rcpt", "data"])
@pytest.mark.parametrize(("answer", "error"), [("450 later", MailTransientError), ("550 no", MailPermanentError)])
async def test_answers_tell_whether_to_try_again(
    mailer: Mailer, inbox: Inbox, command: str, answer: str, error: type[Exception]
) -> None:
    setattr(inbox, f"answer_to_{command}", answer)
    with pytest.raises(error, match=answer[:3]):
        await _send(mailer)
    assert inbox.mails == []


async def test_no_server_is_transient(mailer: Mailer, server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()
    with pytest.raises(MailTransientError):
        await _send(mailer)


async def test_a_server_without_tls_is_not_given_mail(server: asyncio.Server, inbox: Inbox) -> None:
    port = _port(server)
    for url in (f"smtp://127.0.0.1:{port}?starttls=1", f"smtp://user:pw@127.0.0.1:{port}?starttls=1"):
        with pytest.raises(MailTransientError):
            await _send(Mailer(url, "no-reply@kelmah.example"))
    assert inbox.mails == []


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kelmah.kit.mail.TIMEOUT_S", 0.05)
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        port = _port(silent)
        with pytest.raises(MailTransientError):
            await _send(Mailer(f"smtp://127.0.0.1:{port}", "no-reply@kelmah.example"))
    finally:
        over.set()
        silent.close()
        await silent.wait_closed()
