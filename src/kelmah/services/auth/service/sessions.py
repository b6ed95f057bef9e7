"""Sessions: refreshing and ending. A session is a family of refresh tokens, each good once."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from kelmah.contracts.auth import SessionRevoked, SessionView, Tokens
from kelmah.contracts.common import Page, Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import DecryptionError, digest_token, random_token
from kelmah.kit.errors import NotFound, Unauthenticated
from kelmah.kit.ids import new_id
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts
from kelmah.services.auth.documents import sessions as documents
from kelmah.services.auth.documents.sessions import SessionDocument
from kelmah.services.auth.errors import RefreshRefused
from kelmah.services.auth.service import api_keys, revocations, session_cache
from kelmah.services.auth.service.accounts import notify, subject
from kelmah.services.auth.service.context import Client, Context

log = structlog.get_logger(__name__)

AUDIENCE = "kelmah"
#: Two tabs of one device that use one refresh token within this time get the same successor.
RACE = timedelta(seconds=10)
_REFRESH = b"auth.sessions.refresh"


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token and what it says: whose family it is of. Sealed, so that a forged one is told from a used one."""

    token: str
    session_id: str

    @classmethod
    def make(cls, context: Context, session_id: str) -> "RefreshToken":
        return cls(context.ring.seal(f"{session_id}.{random_token()}", context=_REFRESH), session_id)

    @classmethod
    def read(cls, context: Context, token: str) -> "RefreshToken":
        try:
            session_id, _, _ = context.ring.open(token, context=_REFRESH).partition(".")
        except DecryptionError:
            raise RefreshRefused from None
        return cls(token, session_id)

    @property
    def digest(self) -> str:
        return digest_token(self.token)


async def access_token(context: Context, session: SessionDocument, role: Role) -> str:
    """A token that says who the person is, for `access_token_s` seconds."""
    now = int(clock.now().timestamp())
    return await context.signer.sign(
        {
            "iss": context.settings.token_issuer,
            "aud": AUDIENCE,
            "sub": session.account_id,
            "sid": session.id,
            "role": role.value,
            "jti": new_id(),
            "iat": now,
            "nbf": now,
            "exp": now + context.settings.access_token_s,
            "auth_time": int((session.authenticated_at or session.created_at).timestamp()),
            "amr": session.methods,
        }
    )


async def refresh(context: Context, token: str, *, client: Client) -> Tokens:
    """Give the next tokens of a session. A token that was used before ends the session: one of the two is a thief's.

    Raises:
        RefreshRefused: forged, used, expired or revoked.
    """
    given = RefreshToken.read(context, token)
    role = await session_cache.role_of(context, given.session_id)
    successor = RefreshToken.make(context, given.session_id)
    now = clock.now()
    session = await documents.rotate(
        given.session_id,
        old_hash=given.digest,
        new_hash=successor.digest,
        successor_sealed=context.ring.seal(successor.token, context=_successor_place(given.session_id)),
        now=now,
        idle_at=now + timedelta(seconds=context.settings.session_idle_s),
    )
    next_token = successor.token
    if session is None:
        session, next_token = await _lost_race(context, given, client)
    if role is None:
        account = await accounts.by_id(session.account_id)
        if account is None:
            raise RefreshRefused
        role = account.role
        await session_cache.keep(context, session.id, role)
    return Tokens(
        access_token=await access_token(context, session, role),
        refresh_token=next_token,
        expires_in=context.settings.access_token_s,
    )


async def _lost_race(context: Context, given: RefreshToken, client: Client) -> tuple[SessionDocument, str]:
    """The successor that a twin of this request was given, or the end of the session."""
    now = clock.now()
    session = await documents.by_id(given.session_id)
    if session is None or session.revoked_at:
        await session_cache.note_end(context, given.session_id)
        raise RefreshRefused
    if min(session.expires_at, session.idle_at) <= now:
        raise RefreshRefused
    if (
        session.used_hash == given.digest
        and session.used_at is not None
        and now - session.used_at <= RACE
        and session.device_hash is not None
        and session.device_hash == client.device_hash
        and session.successor_sealed is not None
    ):
        return session, context.ring.open(session.successor_sealed, context=_successor_place(session.id))
    log.warning("auth.refresh.reused", session_id=session.id)
    await end(context, session.account_id, [session.id], reason="refresh_reused", notice="session_reused")
    raise RefreshRefused


def _successor_place(session_id: str) -> bytes:
    return mapping.place("sessions", "successor", session_id)


async def list_own(context: Context, by: Principal) -> Page[SessionView]:
    """All sessions, at most `max_sessions`, the last used first."""
    found = await documents.list_live(by.user_id, now=clock.now(), limit=context.settings.max_sessions)
    views = [mapping.session_view(one, context.ring, current_id=by.session_id, places=context.places) for one in found]
    return Page(items=views)


async def end_own(context: Context, session_id: str, *, by: Principal) -> None:
    """Raises:
    NotFound: there is no such session of this person.
    """
    if not await end(context, by.user_id, [session_id], reason="ended_by_owner"):
        raise NotFound


async def logout(context: Context, token: str | None, *, by: Principal | None) -> None:
    """End the session of the access token or of the refresh token; nothing happens when it has ended.

    Raises:
        Unauthenticated: neither is given.
        RefreshRefused: the refresh token was never made here.
    """
    if by is None and token is None:
        raise Unauthenticated
    if by is not None:
        await end(context, by.user_id, [by.session_id], reason="logout")
    if token is not None:
        session = await documents.by_id(RefreshToken.read(context, token).session_id)
        if session is not None:
            await end(context, session.account_id, [session.id], reason="logout")


async def end_all_own(context: Context, *, by: Principal, keep_current: bool) -> None:
    """End every session of the person, or every other."""
    kept = by.session_id if keep_current else None
    await end(context, by.user_id, None, but=kept, reason="ended_by_owner")


async def end(
    context: Context,
    account_id: str,
    session_ids: list[str] | None,
    *,
    reason: str,
    but: str | None = None,
    notice: str | None = None,
) -> list[str]:
    """End these sessions, or all but one; tell services, gateways and, by a mail, the owner. Gives those that ended.

    Args:
        context: the service's.
        account_id: whose.
        session_ids: which; None for all.
        reason: one word, for the event.
        but: the one that stays when all are asked for.
        notice: what the owner is written, if anything.
    """

    async def change() -> list[str]:
        ended = await end_in_transaction(context, account_id, session_ids, reason=reason, but=but)
        if ended and notice:
            await notify(context, account_id, notice, ended[0])
        return ended

    ended = await context.mongo.transact(change)
    await revocations.publish(context, ended)
    return ended


async def end_in_transaction(
    context: Context, account_id: str, session_ids: list[str] | None, *, reason: str, but: str | None = None
) -> list[str]:
    """As `end`, in the open transaction; the caller publishes the revocations after it committed."""
    if session_ids is None:
        session_ids = await documents.live_ids(account_id, now=clock.now(), but=but)
    return await end_these(context, account_id, session_ids, reason=reason)


async def end_everything(context: Context, account_id: str, *, reason: str) -> list[str]:
    """End all that acts for the person, sessions and API keys, in the open transaction; the caller publishes."""
    ended = await end_in_transaction(context, account_id, None, reason=reason)
    return [*ended, *await api_keys.end_all(context, account_id, reason=reason)]


async def end_these(context: Context, account_id: str, session_ids: list[str], *, reason: str) -> list[str]:
    """As `end_in_transaction`, for these and no others."""
    now, ended = clock.now(), []
    for session_id in session_ids:
        if await documents.revoke(session_id, account_id=account_id, reason=reason, now=now):
            event = SessionRevoked(user_id=account_id, session_id=session_id, reason=reason)
            await context.events.append(event, subject=subject(account_id))
            ended.append(session_id)
    return ended
