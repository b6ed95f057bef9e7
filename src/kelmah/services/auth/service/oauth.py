"""Signing in with Google or LinkedIn, and linking such an identity to an account.

The person's browser goes to the provider and comes back to `finish`, which puts what was proven aside under a code for
the client: nothing that lets anybody in ever stands in an address for longer than that one hop. A log-in comes back to
the browser that began it (a cookie says so), a link to the account that asked for it (its access token says so).
"""

import msgspec
import structlog

from kelmah.contracts.auth import (
    AuthorizationUrl,
    IdentityLinked,
    IdentityUnlinked,
    IdentityView,
    LinkRequest,
    MfaChallenge,
    OAuthExchangeRequest,
    SignedIn,
)
from kelmah.contracts.common import Page, Role
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.crypto import constant_time_equal, digest_token, random_token
from kelmah.kit.errors import NotFound
from kelmah.kit.text import clean_name
from kelmah.services.auth.documents import accounts, identities, passkeys
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.identities import IdentityDocument
from kelmah.services.auth.errors import (
    LastWayIn,
    LinkFirst,
    OAuthRefused,
    ProviderEmailUnverified,
    ProviderUnknown,
    RoleNeeded,
)
from kelmah.services.auth.service import shelf, throttle
from kelmah.services.auth.service.accounts import (
    MAX_NAME_CHARS,
    NewAccount,
    email_indexes,
    make_account,
    notify,
    own_account,
    refuse_taken,
    subject,
)
from kelmah.services.auth.service.context import Client, Context
from kelmah.services.auth.service.logins import proceed
from kelmah.services.auth.service.oidc import Identity, Provider

log = structlog.get_logger(__name__)

METHOD = "fed"
#: Seconds to sign in at the provider, and then for the client to fetch the result.
AWAY_S, HANDOFF_S = 600, 300
_AWAY, _HANDOFF = "oauth-state", "oauth-code"


class _Away(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was sent to a provider: to log in from one browser, or to link to one account."""

    provider: str
    nonce: str
    verifier: str
    browser_hash: str | None = None
    account_id: str | None = None


class _Proven(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the provider vouched for, waiting for the client."""

    provider: str
    identity: Identity
    account_id: str | None = None


async def start(context: Context, provider: str, *, browser: str) -> str:
    """The provider's address to send a browser to that wants to log in; `browser` is the value of its cookie.

    Raises:
        ProviderUnknown: not one that is set up.
        ProviderUnavailable: it does not answer.
    """
    return await _send_away(context, provider, browser_hash=digest_token(browser))


async def start_link(context: Context, provider: str, *, by: Principal) -> AuthorizationUrl:
    """The provider's address to send somebody to who wants to link an identity to the account.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        ProviderUnknown: not one that is set up.
        ProviderUnavailable: it does not answer.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    return AuthorizationUrl(authorization_url=await _send_away(context, provider, account_id=by.user_id))


async def _send_away(
    context: Context, provider: str, *, browser_hash: str | None = None, account_id: str | None = None
) -> str:
    found = _provider(context, provider)
    away = _Away(
        provider=provider,
        nonce=random_token(),
        verifier=random_token(48),
        browser_hash=browser_hash,
        account_id=account_id,
    )
    state = random_token()
    url = await found.authorization_url(state=state, nonce=away.nonce, verifier=away.verifier)
    await shelf.put(context, _AWAY, away, life_s=AWAY_S, token=state)
    return url


def _provider(context: Context, name: str) -> Provider:
    found = context.providers.get(name)
    if found is None:
        raise ProviderUnknown
    return found


async def finish(
    context: Context,
    provider: str,
    *,
    state: str | None,
    code: str | None,
    issuer: str | None,
    error: str | None,
    browser: str | None,
) -> str:
    """Take a provider's answer; gives the page of the client to go on to, with a code that it exchanges.

    Raises:
        OAuthRefused: the answer is not to a question of this browser's and provider's, or proves nothing.
        ProviderUnknown: not one that is set up.
        ProviderUnavailable: it does not answer.
    """
    found = _provider(context, provider)
    away = await shelf.take(context, _AWAY, state, _Away) if state else None
    if away is None or away.provider != provider:
        raise _refused("state")
    if away.account_id is None and not (
        browser and constant_time_equal(digest_token(browser), away.browser_hash or "")
    ):
        raise _refused("browser")
    if error is not None or not code:
        raise _refused("provider_said_no")
    identity = await found.identify(code=code, issuer=issuer, nonce=away.nonce, verifier=away.verifier)
    proven = _Proven(provider=provider, identity=identity, account_id=away.account_id)
    handoff = await shelf.put(context, _HANDOFF, proven, life_s=HANDOFF_S)
    # Behind the "#", so that it is in no server's log and in no Referer.
    purpose = "link" if away.account_id else "login"
    return f"{context.settings.public_url.rstrip('/')}/oauth/{purpose}#code={handoff}"


async def exchange(context: Context, request: OAuthExchangeRequest, *, client: Client) -> SignedIn | MfaChallenge:
    """Begin the session of whoever the provider vouched for; makes the account at the first time.

    An account with the same e-mail address is never taken over: its owner logs in to it and links the identity.

    Raises:
        OAuthRefused: the code was used, is too old or was never made.
        ProviderEmailUnverified: there is no account yet, and no proven address for one.
        LinkFirst: an account has this address.
        RoleNeeded: there is no account yet; the code stays good.
    """
    proven = await shelf.take(context, _HANDOFF, request.code, _Proven)
    if proven is None or proven.account_id is not None:
        raise _refused("code")
    identity = proven.identity
    linked = await identities.by_id(identities.identity_id(identity.issuer, identity.subject))
    account = await accounts.by_id(linked.account_id) if linked else None
    if account is None:
        if request.role is None:
            await _check_new(context, identity)
            await shelf.put(context, _HANDOFF, proven, life_s=HANDOFF_S, token=request.code)
            raise RoleNeeded.of("role", "worker or hirer")
        await throttle.charge_registration(context, client)
        account = await _make(context, proven, Role(request.role), language=client.language)
    return await proceed(context, account, client, methods=[METHOD], reactivate=request.reactivate)


async def _check_new(context: Context, identity: Identity) -> str:
    """The proven address of a new account.

    Raises:
        ProviderEmailUnverified: there is none.
        LinkFirst: an account has it.
    """
    if identity.email is None or not identity.email_verified:
        raise ProviderEmailUnverified
    if await accounts.by_email(email_indexes(context, identity.email)) is not None:
        raise LinkFirst
    return identity.email


async def _make(context: Context, proven: _Proven, role: Role, *, language: str) -> AccountDocument:
    email = await _check_new(context, proven.identity)
    names = (_name(proven.identity.first_name, email), _name(proven.identity.last_name, "Unnamed"))

    async def change() -> AccountDocument:
        await refuse_taken(context, email)
        account = await make_account(context, NewAccount(email, names, role, None, language), verified=True)
        await _link(context, account.id, proven)
        return account

    return await context.mongo.transact(change)


def _name(given: str | None, otherwise: str) -> str:
    """What the provider calls the person, who may change it; some tell no family name."""
    try:
        name = clean_name(given or "", MAX_NAME_CHARS)
    except ValueError:
        name = ""
    return name if any(char.isalpha() for char in name) else otherwise.partition("@")[0][:MAX_NAME_CHARS]


async def link(context: Context, request: LinkRequest, *, by: Principal) -> IdentityView:
    """Link the identity that the provider vouched for to the account that asked for it.

    Raises:
        OAuthRefused: the code was used, is too old, or was made for somebody else.
        IdentityTaken: the identity is linked, or the account has one of this provider.
    """
    proven = await shelf.take(context, _HANDOFF, request.code, _Proven)
    if proven is None or proven.account_id != by.user_id:
        raise _refused("code")
    await own_account(by)

    async def change() -> IdentityDocument:
        identity = await _link(context, by.user_id, proven)
        await notify(context, by.user_id, "identity_linked", identity.id[:32])
        return identity

    return _view(await context.mongo.transact(change))


async def _link(context: Context, account_id: str, proven: _Proven) -> IdentityDocument:
    identity = IdentityDocument(
        id=identities.identity_id(proven.identity.issuer, proven.identity.subject),
        account_id=account_id,
        provider=proven.provider,
        linked_at=clock.now(),
    )
    await identities.insert(identity)
    await context.events.append(
        IdentityLinked(user_id=account_id, provider=proven.provider), subject=subject(account_id)
    )
    return identity


async def list_own(by: Principal) -> Page[IdentityView]:
    return Page(items=[_view(one) for one in await identities.of_account(by.user_id)])


async def unlink(context: Context, provider: str, *, by: Principal) -> None:
    """Take an identity from the account.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        NotFound: there is none of this provider.
        LastWayIn: there is no password, no other identity and no passkey.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    account = await own_account(by)

    async def change() -> None:
        await accounts.touch(account.id, at=clock.now())
        if not await identities.remove(account.id, provider=provider):
            raise NotFound
        left = await identities.of_account(account.id) or await passkeys.of_account(account.id)
        if account.password_hash is None and not left:
            raise LastWayIn
        envelope = await context.events.append(
            IdentityUnlinked(user_id=account.id, provider=provider), subject=subject(account.id)
        )
        await notify(context, account.id, "identity_unlinked", envelope.id)

    await context.mongo.transact(change)


def _view(identity: IdentityDocument) -> IdentityView:
    return IdentityView(provider=identity.provider, linked_at=identity.linked_at)


def _refused(reason: str) -> OAuthRefused:
    log.warning("auth.oauth.refused", reason=reason)
    return OAuthRefused()
