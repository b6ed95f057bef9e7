"""What another role, the rest, the waking and the end of an account do to a profile.

They arrive in any order, so each is taken only if it is later in the account's own story than what was taken
before.
"""

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated, RoleChanged
from kelmah.contracts.events import Envelope
from kelmah.services.user.documents import bookmarks, versions
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import Private, ProfileDocument
from kelmah.services.user.service import images, profiles
from kelmah.services.user.service.context import Context

#: What others see of somebody who is gone, where a name belongs.
NOBODY = "Deleted person"


async def on_account_deactivated(context: Context, envelope: Envelope, event: AccountDeactivated) -> None:
    """Hide the person: no search finds them, and no page shows them. Nothing is lost."""
    await _rest(context, envelope, event.user_id, is_resting=True)


async def on_account_reactivated(context: Context, envelope: Envelope, event: AccountReactivated) -> None:
    """Show the person again."""
    await _rest(context, envelope, event.user_id, is_resting=False)


async def _rest(context: Context, envelope: Envelope, user_id: str, *, is_resting: bool) -> None:
    if not await profiles.ensure(context, [user_id]):
        return  # the account is gone

    async def change() -> None:
        profile = await documents.find(user_id)
        if profile is None or profile.is_erased or profile.life_sequence >= envelope.sequence:
            return
        profile.is_resting, profile.life_sequence = is_resting, envelope.sequence
        profiles.derive(profile)
        await documents.overwrite(profile)

    await context.mongo.transact(change)


async def on_account_deleted(context: Context, envelope: Envelope, event: AccountDeleted) -> None:
    """Erase what is kept of the person. A bare row stays in the place of the profile, so that those who knew the person
    read that they are gone, and nothing makes a profile anew. Doing it twice changes nothing."""

    async def change() -> None:
        before = await documents.find(event.user_id)
        if before is not None:
            pictures = [image.id for item in before.portfolio for image in item.images]
            await images.discard(context, event.user_id, pictures)
            bare = ProfileDocument(
                id=before.id,
                version=before.version + 1,
                role=before.role,
                display_name=NOBODY,
                private="",
                is_erased=True,
                life_sequence=envelope.sequence,
                created_at=before.created_at,
                updated_at=envelope.time,
            )
            profiles.seal(context.ring, bare, Private(first_name=NOBODY, last_name=""))
            await documents.overwrite(bare)
        await bookmarks.remove_person(event.user_id)
        await versions.forget_person(event.user_id)

    await context.mongo.transact(change)


async def on_role_changed(context: Context, envelope: Envelope, event: RoleChanged) -> None:
    """Take over the role that staff gave the person."""

    def change(profile: ProfileDocument) -> list[str]:
        if envelope.sequence <= profile.role_sequence:
            return []
        profile.role, profile.role_sequence = event.new_role, envelope.sequence
        return ["role"]

    if await profiles.ensure(context, [event.user_id]):
        await profiles.edit(context, event.user_id, change)
