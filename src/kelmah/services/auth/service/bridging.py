"""People who are still in the old database only: found at their login, and moved on the spot."""

import structlog

from kelmah.kit.errors import Unavailable
from kelmah.legacy.commit import commit
from kelmah.legacy.database import LegacyUnavailable
from kelmah.legacy.entities.people import OldPerson
from kelmah.legacy.entity import Group
from kelmah.legacy.journal import Journal
from kelmah.services.auth.documents import accounts
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.service.context import Context
from kelmah.services.auth.service.importing import move_people
from kelmah.services.auth.service.mails import send_password_reset

#: Where an address is sealed for that waits for `reset_by_bridge`.
PLACE = b"auth.timers.reset_by_bridge"

log = structlog.get_logger(__name__)

Found = tuple[Group, OldPerson]


async def look(context: Context, email: str, *, known: bool) -> Found | None:
    """Who has this address in the old database. Asked at each login, so that none is slower than another.

    Args:
        context: the service's.
        email: as typed.
        known: an account has the address, so that the answer does not matter.

    Raises:
        Unavailable: the old database does not answer, and nobody here has the address.
    """
    if context.bridge is None:
        return None
    try:
        return await context.bridge.person(email)
    except LegacyUnavailable as error:
        log.warning("auth.bridge.unavailable", error=str(error))
        if known:
            return None
        raise Unavailable(retry_after_s=5) from error


async def waiting(context: Context, email: str) -> str | None:
    """Who has this address and is still to be moved. Who was moved, and left since, is not.

    Raises:
        Unavailable: the old database does not answer.
    """
    found = await look(context, email, known=False)
    if found is None:
        return None
    group, person = found
    return None if (await Journal(context.mongo).fates("users", [group.key])).get(group.key) == "moved" else person.id


async def ask_for_reset(context: Context, email: str) -> None:
    """Have the person moved, if one is waiting, and sent a mail to set a password by. Nobody waits for it."""
    sealed, index = context.ring.seal(email, context=PLACE), context.email_indexes(email)[0]
    await context.timers.set(f"auth.reset_by_bridge:{index}", "auth.reset_by_bridge", [sealed])


async def move(context: Context, found: Found) -> AccountDocument | None:
    """The account of a person who was moved now, or a moment ago by somebody else; None if it cannot be made."""
    group, person = found
    await commit(context.mongo, [(group, person)], [], lambda people: move_people(context, people))
    log.info("auth.bridge.moved", account_id=person.id)
    return await accounts.by_id(person.id)


async def reset_by_bridge(context: Context, sealed: str) -> None:
    """Move whoever has this address, unless an account has, and write the mail with the reset token. A timer's target.

    Raises:
        Unavailable: the old database does not answer; the worker comes again.
    """
    email = context.ring.open(sealed, context=PLACE)
    indexes = context.email_indexes(email)
    if await accounts.by_email(indexes) is None and (found := await look(context, email, known=False)) is not None:
        await move(context, found)
    await send_password_reset(context, indexes[0])
