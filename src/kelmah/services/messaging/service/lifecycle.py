"""What the end of an account does here. Messages stay with those they were written to; the name that they see comes
from the user service, which calls the person deleted. Sockets were closed when the sessions ended."""

from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.events import Envelope
from kelmah.services.messaging.documents import attachments, deliveries, notifications, presence, safety, uploads
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.uploads import drop_upload


async def on_account_deleted(context: Context, envelope: Envelope, event: AccountDeleted) -> None:
    """Forget the person's phone, browsers, settings, notifications, blocks, presence and half uploads.

    What comes late makes none anew. Doing it twice changes nothing.
    """
    await deliveries.forget_person(event.user_id)
    await notifications.forget_person(event.user_id)
    await safety.forget_blocks(event.user_id)
    await presence.forget_person(event.user_id)
    await attachments.forget_usage(event.user_id)
    for upload_id in await uploads.of_person(event.user_id):
        await drop_upload(context, upload_id)
