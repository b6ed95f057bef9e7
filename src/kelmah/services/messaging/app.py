"""Wires the messaging service together."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing

from litestar import Litestar

from kelmah.clients.auth import AuthClient
from kelmah.clients.job import JobClient
from kelmah.clients.user import UserClient
from kelmah.kit.app import service_app
from kelmah.kit.blobs import GridFSBlobStore
from kelmah.kit.mail import Mailer
from kelmah.kit.ratelimit import Limiter
from kelmah.kit.redis import key
from kelmah.kit.resources import Apps, open_resources
from kelmah.kit.scanner import scanner_of
from kelmah.kit.scripts import Scripts
from kelmah.services.messaging.controllers import CONTROLLERS, POLICY
from kelmah.services.messaging.documents import DOCUMENTS
from kelmah.services.messaging.providers import TwilioSms, WebPush
from kelmah.services.messaging.service import Context
from kelmah.services.messaging.settings import MessagingSettings
from kelmah.services.messaging.socket import Hub, open_socket

#: Encryption adds a little to each piece of a file.
_SEALED_RATIO = 1.01


@asynccontextmanager
async def open_context(settings: MessagingSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """What the app and the actors of this service work with."""
    blobs = GridFSBlobStore(
        settings.mongo_url,
        database=settings.mongo_database,
        bucket="attachments",
        max_bytes=int(settings.attachment_max_bytes * _SEALED_RATIO),
    )
    with closing(blobs):
        async with open_resources(settings, DOCUMENTS, apps=apps) as resources:
            context = Context(
                **vars(resources),
                settings=settings,
                auth=AuthClient(resources.callers["auth"]),
                user=UserClient(resources.callers["user"]),
                job=JobClient(resources.callers["job"]),
                blobs=blobs,
                mailer=Mailer(settings.smtp_url.get_secret_value(), settings.mail_sender),
                sms=None if settings.sms_url is None else TwilioSms(settings.sms_url.get_secret_value()),
                push=_push_sender(settings),
                scanner=scanner_of(settings),
                limiter=Limiter(resources.redis, key(settings.redis_prefix, "messaging", "limit")),
                scripts=Scripts(resources.redis),
            )
            with closing(context.limiter), closing(context.scripts):
                async with aclosing(context.sends), aclosing(context.comings):
                    yield context


def _push_sender(settings: MessagingSettings) -> WebPush | None:
    if settings.vapid_private_key is None:
        return None
    key = settings.vapid_private_key.get_secret_value()
    return WebPush(key, contact=settings.push_contact, origins=settings.push_origins)


def create_app(settings: MessagingSettings, *, apps: Apps | None = None) -> Litestar:
    """The app: HTTP operations, and the WebSocket with its subscription to Redis."""

    @asynccontextmanager
    async def open_live_context() -> AsyncIterator[Context]:
        async with open_context(settings, apps=apps) as context:
            app.state.context = context
            async with Hub(lambda: app.state.context).running() as hub:
                app.state.hub = hub
                yield context

    app = service_app(
        settings,
        open_context=open_live_context,
        controllers=[*CONTROLLERS, open_socket],
        rules=POLICY,
        title="Kelmah messaging service",
    )
    return app
