"""API keys: `kelmah_<id>_<secret>`. Of a key only its hash is kept; the gateway asks whether one is good."""

from datetime import timedelta

import msgspec

from kelmah.contracts.auth import (
    ApiKeyCheck,
    ApiKeyCreated,
    ApiKeyHolder,
    ApiKeyRevoked,
    ApiKeyUsed,
    ApiKeyView,
    CreateApiKeyRequest,
    NewApiKey,
    RotateApiKeyRequest,
    Scope,
)
from kelmah.contracts.common import Page
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.errors import BadInput, NotFound, Unauthenticated
from kelmah.kit.ids import new_id
from kelmah.kit.text import clean_name
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts
from kelmah.services.auth.documents import api_keys as documents
from kelmah.services.auth.documents.api_keys import ApiKeyDocument
from kelmah.services.auth.errors import KeyUnknown, TooManyKeys
from kelmah.services.auth.service import revocations
from kelmah.services.auth.service.accounts import notify, subject
from kelmah.services.auth.service.context import Context

MAX_NAME_CHARS = 80
#: The last use is written down once in so long.
_USE_STEP = timedelta(minutes=1)
#: A key's first use in so long is an event; a key that works all day makes 24.
TOLD_STEP = timedelta(hours=1)


async def create(context: Context, request: CreateApiKeyRequest, *, by: Principal) -> NewApiKey:
    """Make a key and tell the owner.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        BadInput: the name is no line of text.
        TooManyKeys: the person has `max_api_keys`.
        Unauthenticated: the account is gone.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    try:
        name = clean_name(request.name, MAX_NAME_CHARS)
    except ValueError as error:
        raise BadInput.of("name", str(error)) from None
    if not name:
        raise BadInput.of("name", "A name has at least one letter")
    key, document = _make(by.user_id, name, sorted(set(request.scopes)), days=request.expires_in_days)

    async def change() -> None:
        await _insert(context, document, room=context.settings.max_api_keys)
        await notify(context, by.user_id, "api_key_created", document.id)

    await context.mongo.transact(change)
    return _shown(key, document)


async def rotate(context: Context, key_id: str, request: RotateApiKeyRequest, *, by: Principal) -> NewApiKey:
    """Make a key like this one, with as long a life; this one ends at once, or after the overlap.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        NotFound: there is no such key of this person.
        TooManyKeys: with the overlap the person would have more than `max_api_keys` and one.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    old = await documents.find_own(key_id, account_id=by.user_id, now=clock.now())
    if old is None:
        raise NotFound
    key, document = _make(by.user_id, old.name, old.scopes, days=(old.expires_at - old.created_at).days)
    overlap = timedelta(hours=request.overlap_hours)

    async def change() -> list[str]:
        now = clock.now()
        ended = [] if overlap else await _end(context, by.user_id, key_id, reason="rotated")
        shortened = overlap and await documents.shorten(
            key_id, account_id=by.user_id, expires_at=now + overlap, now=now
        )
        if not ended and not shortened:
            raise NotFound  # it was revoked a moment ago
        await _insert(context, document, room=context.settings.max_api_keys + bool(overlap))
        return ended

    await revocations.publish(context, await context.mongo.transact(change))
    return _shown(key, document)


async def list_own(context: Context, by: Principal) -> Page[ApiKeyView]:
    """All live keys, newest first."""
    found = await documents.list_live(by.user_id, now=clock.now(), limit=context.settings.max_api_keys + 1)
    return Page(items=[mapping.api_key_view(one) for one in found])


async def revoke(context: Context, key_id: str, *, by: Principal) -> None:
    """End a key at once.

    Raises:
        NotFound: there is no such key of this person.
    """

    async def change() -> list[str]:
        return await _end(context, by.user_id, key_id, reason="revoked_by_owner")

    ended = await context.mongo.transact(change)
    if not ended:
        raise NotFound
    await revocations.publish(context, ended)


async def end_all(context: Context, account_id: str, *, reason: str) -> list[str]:
    """End every key in the open transaction; the caller publishes the revocations after it committed."""
    return await _end(context, account_id, None, reason=reason)


async def check(context: Context, given: ApiKeyCheck) -> ApiKeyHolder:
    """For whom a key acts, as of now, and that it was used.

    Raises:
        KeyUnknown: never made, revoked, expired, or its owner's account is gone or at rest.
    """
    now = clock.now()
    key = await documents.find(given.key_id, key_hash=given.digest, now=now)
    account = await accounts.by_id(key.account_id) if key else None
    if key is None or account is None or account.deactivated_at is not None:
        raise KeyUnknown
    await documents.note_use(key.id, before=now - _USE_STEP, at=now)
    if key.told_at is None or key.told_at < now - TOLD_STEP:
        await _tell_use(context, key)
    return ApiKeyHolder(
        key_id=key.id,
        user_id=account.id,
        role=account.role,
        scopes=frozenset(key.scopes),
        expires_at=int(key.expires_at.timestamp()),
    )


async def _tell_use(context: Context, key: ApiKeyDocument) -> None:
    async def change() -> None:
        now = clock.now()
        if await documents.tell_use(key.id, before=now - TOLD_STEP, at=now):
            event = ApiKeyUsed(user_id=key.account_id, key_id=key.id)
            await context.events.append(event, subject=subject(key.account_id), actor=key.account_id)

    await context.mongo.transact(change)


def _make(account_id: str, name: str, scopes: list[Scope], *, days: int) -> tuple[str, ApiKeyDocument]:
    now, key_id = clock.now(), new_id()
    key = f"{mapping.KEY_MARK}{key_id}_{random_token()}"
    return key, ApiKeyDocument(
        id=key_id,
        account_id=account_id,
        name=name,
        scopes=scopes,
        key_hash=digest_token(key),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )


async def _insert(context: Context, document: ApiKeyDocument, *, room: int) -> None:
    now = clock.now()
    if not await accounts.touch(document.account_id, at=now):  # so that two at once are counted one after the other
        raise Unauthenticated
    if len(await documents.list_live(document.account_id, now=now, limit=room)) >= room:
        raise TooManyKeys
    await documents.insert(document)
    event = ApiKeyCreated(user_id=document.account_id, key_id=document.id, scopes=document.scopes)
    await context.events.append(event, subject=subject(document.account_id))


async def _end(context: Context, account_id: str, key_id: str | None, *, reason: str) -> list[str]:
    ended = await documents.revoke(account_id, key_id=key_id, now=clock.now())
    for one in ended:
        event = ApiKeyRevoked(user_id=account_id, key_id=one, reason=reason)
        await context.events.append(event, subject=subject(account_id))
    return ended


def _shown(key: str, document: ApiKeyDocument) -> NewApiKey:
    return NewApiKey(key=key, **msgspec.structs.asdict(mapping.api_key_view(document)))
