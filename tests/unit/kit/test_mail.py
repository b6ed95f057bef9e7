from collections.abc import Callable

import aiosmtplib
import pytest

from kelmah.kit.mail import Mailer, MailPermanentError, MailTransientError, _translated

SENDER = "Kelmah <no-reply@kelmah.example>"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:25",
        "localhost:25",
        "smtp://",
        "smtp://localhost?starttls=yes",
        "smtp://localhost?tls=1",
        "smtp://localhost:99999",
        "smtp://user:password@localhost:25",
    ],
)
def test_other_servers_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"mail server|[Pp]ort"):
        Mailer(url, SENDER)


@pytest.mark.parametrize("sender", ["", "Kelmah", "Kelmah <no-reply>", "A <a@x.example>\r\nBcc: b@x.example"])
def test_other_senders_are_refused(sender: str) -> None:
    with pytest.raises(ValueError, match=r"sender|must not contain"):
        Mailer("smtp://localhost", sender)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://mail.example", 25),
        ("smtp://mail.example?starttls=1", 587),
        ("smtps://mail.example", 465),
        ("smtps://mail.example:1465", 1465),
    ],
)
def test_ports(url: str, port: int) -> None:
    assert Mailer(url, SENDER)._port == port


def test_names_and_passwords_are_percent_decoded() -> None:
    mailer = Mailer("smtps://a%40b:p%3A%2Fw@mail.example", SENDER)
    assert (mailer._username, mailer._password) == ("a@b", "p:/w")


REFUSED = aiosmtplib.SMTPRecipientRefused


@pytest.mark.parametrize(
    ("make", "kind", "code"),
    [
        (lambda: ConnectionRefusedError(), MailTransientError, None),
        (lambda: TimeoutError(), MailTransientError, None),
        (lambda: aiosmtplib.SMTPServerDisconnected("gone"), MailTransientError, None),
        (lambda: aiosmtplib.SMTPConnectResponseError(554, "busy"), MailTransientError, 554),
        (lambda: aiosmtplib.SMTPAuthenticationError(535, "no"), MailTransientError, 535),
        (lambda: aiosmtplib.SMTPDataError(451, "later"), MailTransientError, 451),
        (lambda: aiosmtplib.SMTPDataError(554, "spam"), MailPermanentError, 554),
        (lambda: aiosmtplib.SMTPSenderRefused(550, "no", "a@x.example"), MailPermanentError, 550),
        (
            lambda: aiosmtplib.SMTPRecipientsRefused([REFUSED(450, "later", "a@x.example")]),
            MailTransientError,
            450,
        ),
        (
            lambda: aiosmtplib.SMTPRecipientsRefused([REFUSED(550, "unknown", "a@x.example")]),
            MailPermanentError,
            550,
        ),
    ],
)
def test_errors_tell_whether_to_try_again_and_name_nobody(
    make: Callable[[], Exception], kind: type[Exception], code: int | None
) -> None:
    error = _translated(make())
    assert type(error) is kind
    assert "x.example" not in str(error)
    assert (str(code) in str(error)) is (code is not None)
