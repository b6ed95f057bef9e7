"""Text messages over Twilio's API, which several providers speak."""

from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import aiohttp

from kelmah.services.messaging.errors import DeliveryFailed, DeliveryRefused, DeliveryUnknown

TIMEOUT_S = 10


class SmsSender(Protocol):
    """Sends one text message."""

    async def send(self, *, to: str, text: str) -> None:
        """Send within 10 s.

        Args:
            to: E.164, such as ``+233241234567``.
            text: what the person reads.

        Raises:
            DeliveryFailed: nothing went; try again later.
            DeliveryRefused: never will.
            DeliveryUnknown: it may have gone.
        """


class TwilioSms:
    """Posts to ``/2010-04-01/Accounts/{SID}/Messages.json``, a connection a message."""

    def __init__(self, url: str) -> None:
        """Take ``https://SID:TOKEN@host[:port]?from=SENDER``, user and password percent-encoded.

        Raises:
            ValueError: another URL, or a password that would travel in clear to another machine.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        sender = options.pop("from", "")
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
        if not is_safe or not parts.username or not parts.password or not sender or options:
            raise ValueError("not a text provider's address: https://SID:TOKEN@host[:port]?from=SENDER")
        account = unquote(parts.username)
        host = parts.netloc.rpartition("@")[2]
        path = f"{parts.path.rstrip('/')}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
        self._url = urlunsplit((parts.scheme, host, path, "", ""))
        self._headers = {"authorization": aiohttp.encode_basic_auth(account, unquote(parts.password))}
        self._sender = sender

    async def send(self, *, to: str, text: str) -> None:
        """See `SmsSender.send`."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        form = {"To": to, "From": self._sender, "Body": text}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.post(self._url, data=form, allow_redirects=False) as answer,
            ):
                status = answer.status
        except aiohttp.ClientConnectorError:
            raise DeliveryFailed("the text provider cannot be reached") from None
        except (aiohttp.ClientError, TimeoutError):
            raise DeliveryUnknown("the text provider did not answer") from None
        if status in (401, 403, 429, 503):  # our key, or too much at once: nothing was taken
            raise DeliveryFailed(f"the text provider answered {status}")
        if status >= 500:
            raise DeliveryUnknown(f"the text provider answered {status}")
        if status not in (200, 201, 202):
            raise DeliveryRefused(f"the text provider answered {status}")
