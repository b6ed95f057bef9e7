"""What the life of an account does to its profile: another role, a rest, and the end."""

import structlog

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated, RoleChanged
from kelmah.contracts.events import Envelope
from kelmah.kit.errors import NotFound
from kelmah.services.user.documents import bookmarks
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import ProfileDocument
from kelmah.services.user.service import images, profiles
from kelmah.services.user.service.context import Context

log = structlog.get_logger(__name__)


async def on_account_changed(
    context: Context, envelope: Envelope, event: RoleChanged | AccountDeactivated | AccountReactivated
) -> None:
    """Take over the role, and whether the account is in use, unless a later event of the account was heard."""

    def change(profile: ProfileDocument) -> list[str]:
        if envelope.sequence <= profile.account_sequence:
            return []
        profile.account_sequence = envelope.sequence
        if isinstance(event, RoleChanged):
            profile.role = event.new_role
            return ["role"]
        profile.is_active = isinstance(event, AccountReactivated)
        return ["account"]

    try:
        await profiles.edit(context, event.user_id, change)
    except NotFound:
        log.info("user.account.gone", user_id=event.user_id)


async def on_account_deleted(context: Context, envelope: Envelope, event: AccountDeleted) -> None:
    """Erase the profile with its pictures and bookmarks, and the key of what events say. Twice changes nothing.

    Facts and events stay for the figures of others; they know the person by the bare id alone.
    """

    async def body() -> None:
        profile = await documents.find(event.user_id)
        if profile is None:
            return
        await images.discard(context, profile.id, [image.id for item in profile.portfolio for image in item.images])
        await documents.remove(profile.id)
        await bookmarks.remove_all(profile.id)

    await context.mongo.transact(body)
    await context.events.people.erase(event.user_id)
