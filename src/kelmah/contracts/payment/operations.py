"""What providers and staff say."""

from kelmah.contracts.common import Response


class WebhookReceived(Response, frozen=True, kw_only=True):
    """A provider's notice was stored; it is handled after this answer."""

    received: bool = True
