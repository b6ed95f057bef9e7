"""Archives of all that is kept of a person: asked for, gathered by an actor, fetched by a link, thrown away in time."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from kelmah.contracts.auth import (
    DataExport,
    DataExportFetched,
    DataExportLink,
    DataExportReady,
    DataExportRequested,
    DataExportStatus,
)
from kelmah.contracts.common import Page
from kelmah.kit import clock
from kelmah.kit.blobs import BlobExists, BlobNotFound
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.errors import NotFound, Unauthenticated
from kelmah.kit.ids import new_id
from kelmah.kit.sealing import seal, unseal
from kelmah.services.auth.documents import accounts, sessions
from kelmah.services.auth.documents import exports as documents
from kelmah.services.auth.documents.exports import ExportDocument
from kelmah.services.auth.errors import ExportNotReady, TokenRefused
from kelmah.services.auth.service import archives, shelf
from kelmah.services.auth.service.accounts import notify, subject
from kelmah.services.auth.service.context import Context

#: A gathering that has not ended by then has been given up (an actor's retries take about two hours).
GIVEN_UP_AFTER = timedelta(hours=4)
_TICKET = "export"


class _Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Whose link it is. It ends with the session that asked for it."""

    account_id: str
    export_id: str
    session_id: str


async def request(context: Context, *, by: Principal) -> DataExport:
    """Have an archive gathered, unless there is one already.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        Unauthenticated: the account is gone.
    """
    require_fresh(by, within_s=context.settings.step_up_s)

    async def change() -> ExportDocument:
        now = clock.now()
        if not await accounts.touch(by.user_id, at=now):  # so that a deletion beside this sees it, or is seen
            raise Unauthenticated
        before = await documents.of_account(by.user_id)
        if before is not None and _is_good(before, now):
            return before
        if before is not None:
            await _drop_later(context, by.user_id, before.export_id)
        new = ExportDocument(id=by.user_id, export_id=new_id(), asked_at=now)
        await documents.put(new)
        event = DataExportRequested(user_id=by.user_id, export_id=new.export_id)
        await context.events.append(event, subject=subject(by.user_id))
        await notify(context, by.user_id, "export_requested", new.export_id)
        await context.timers.set(
            f"auth.gather_export:{new.export_id}", "auth.gather_export", [by.user_id, new.export_id]
        )
        return new

    return _view(await context.mongo.transact(change))


async def list_own(*, by: Principal) -> Page[DataExport]:
    """The caller's archive, if there is one."""
    found = await documents.of_account(by.user_id)
    is_there = found is not None and not _is_over(found, clock.now())
    return Page(items=[_view(found)] if found is not None and is_there else [])


async def gather(context: Context, account_id: str, export_id: str) -> None:
    """Gather an archive; a timer's target. Run again, it goes on where it died, and ends in the same one archive.

    Raises:
        KelmahError: a service did not answer; to be tried again.
    """
    account = await accounts.by_id(account_id)
    wanted = await documents.of_account(account_id, export_id)
    if account is None or wanted is None:
        await context.blobs.delete(export_id)
        return
    if wanted.ready_at is not None:
        return
    if not await context.blobs.exists(export_id):  # blobs are there whole, or not at all
        by = Principal(user_id=account_id, role=account.role, session_id="")
        try:
            chunks = seal(context.ring, _place(export_id), archives.gather(context, by))
            await context.blobs.put(export_id, chunks, metadata={})
        except BlobExists:
            pass  # a twin of this run was faster

    async def change() -> bool:
        now = clock.now()
        expires_at = now + timedelta(seconds=context.settings.export_kept_s)
        if not await documents.finish(account_id, export_id, at=now, expires_at=expires_at):
            return False
        event = DataExportReady(user_id=account_id, export_id=export_id)
        await context.events.append(event, subject=subject(account_id))
        await _drop_later(context, account_id, export_id, due=expires_at)
        return True

    if not await context.mongo.transact(change) and await documents.of_account(account_id, export_id) is None:
        await context.blobs.delete(export_id)  # the account was deleted meanwhile


async def make_link(context: Context, export_id: str, *, by: Principal) -> DataExportLink:
    """A link by which the archive is fetched once, soon.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        NotFound: it is not there, or somebody else's.
        ExportNotReady: it is being gathered.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    now = clock.now()
    found = await documents.of_account(by.user_id, export_id)
    if found is None or _is_over(found, now):
        raise NotFound
    if found.ready_at is None:
        raise ExportNotReady
    life_s = context.settings.export_link_s
    ticket = _Ticket(account_id=by.user_id, export_id=export_id, session_id=by.session_id)
    token = await shelf.put(context, _TICKET, ticket, life_s=life_s)
    url = f"{context.settings.public_url}/api/v1/auth/exports/archive?ticket={quote(token)}"
    return DataExportLink(url=url, expires_at=now + timedelta(seconds=life_s))


async def fetch(context: Context, ticket: str) -> AsyncIterator[bytes]:
    """The bytes of the archive that a link is for; the link is good no more after this.

    Raises:
        TokenRefused: used, run out, made up, its session has ended, or the archive is gone.
    """
    known = await shelf.take(context, _TICKET, ticket, _Ticket)
    if known is None:
        raise TokenRefused
    now = clock.now()
    found = await documents.of_account(known.account_id, known.export_id)
    is_there = found is not None and found.ready_at is not None and not _is_over(found, now)
    if not is_there or not await sessions.is_live(known.session_id, now=now):
        raise TokenRefused
    try:
        sealed = await context.blobs.get(known.export_id)
    except BlobNotFound:
        raise TokenRefused from None
    event = DataExportFetched(user_id=known.account_id, export_id=known.export_id)
    await context.mongo.transact(lambda: context.events.append(event, subject=subject(known.account_id)))
    return unseal(context.ring, _place(known.export_id), sealed)


async def discard(context: Context, account_id: str) -> None:
    """Forget the account's archive in the open transaction, and throw its bytes away after it."""
    export_id = await documents.remove(account_id)
    if export_id is not None:
        await _drop_later(context, account_id, export_id)


async def drop(context: Context, account_id: str, export_id: str) -> None:
    """Throw an archive away; a timer's target. Doing it twice changes nothing."""
    await documents.remove(account_id, export_id)
    await context.blobs.delete(export_id)


async def _drop_later(context: Context, account_id: str, export_id: str, *, due: datetime | None = None) -> None:
    await context.timers.set(f"auth.drop_export:{export_id}", "auth.drop_export", [account_id, export_id], due=due)


def _is_over(found: ExportDocument, now: datetime) -> bool:
    return found.expires_at is not None and found.expires_at <= now


def _is_good(found: ExportDocument, now: datetime) -> bool:
    if found.ready_at is None:
        return found.asked_at > now - GIVEN_UP_AFTER
    return not _is_over(found, now)


def _view(found: ExportDocument) -> DataExport:
    return DataExport(
        id=found.export_id,
        status=DataExportStatus.GATHERING if found.ready_at is None else DataExportStatus.READY,
        asked_at=found.asked_at,
        expires_at=found.expires_at,
    )


def _place(export_id: str) -> str:
    return f"auth.export:{export_id}"
