"""Passkeys: added, used to log in, as second factor and to step up, renamed and removed.

A challenge serves once, for what it was asked for: to add a passkey to one account, to log in, to answer one login's
second factor, or to step up in one session. A passkey always verifies its owner (finger, face or PIN), so it is
possession and knowledge at once, and no further factor is asked for after it.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog
import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from kelmah.contracts.auth import (
    AddPasskeyRequest,
    PasskeyAdded,
    PasskeyCeremony,
    PasskeyProof,
    PasskeyRemoved,
    PasskeyView,
    RenamePasskeyRequest,
    StartPasskeyRequest,
)
from kelmah.contracts.common import Page
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.text import clean_name
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, identities
from kelmah.services.auth.documents import passkeys as documents
from kelmah.services.auth.documents.passkeys import PasskeyDocument
from kelmah.services.auth.errors import LastWayIn, PasskeyRefused, TooManyPasskeys
from kelmah.services.auth.service import shelf, throttle
from kelmah.services.auth.service.accounts import notify, own_account, subject
from kelmah.services.auth.service.context import Client, Context

log = structlog.get_logger(__name__)
ResultT = TypeVar("ResultT")

#: Names of RFC 8176: a key was proven to be there, and with the owner's verification that makes two factors.
METHODS = ["pop", "mfa"]
MAX_NAME_CHARS = 80
_ADD, _USE = "passkey-add", "passkey-use"


class _Ceremony(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge, and the one thing that it may be answered for."""

    challenge: bytes
    account_id: str | None = None
    session_id: str | None = None
    login_hash: str | None = None


async def start_adding(context: Context, *, by: Principal) -> PasskeyCeremony:
    """Ask the person's device for a new passkey.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        Unauthenticated: the account is gone.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    account = await own_account(by)
    known = await documents.of_account(account.id)
    options = webauthn.generate_registration_options(
        rp_id=context.settings.rp_id,
        rp_name="Kelmah",
        user_id=account.id.encode(),
        user_name=mapping.email_of(account, context.ring),
        user_display_name=" ".join(mapping.names_of(account, context.ring)),
        timeout=context.settings.passkey_challenge_s * 1000,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential_id)) for one in known],
    )
    ceremony = _Ceremony(challenge=options.challenge, account_id=account.id, session_id=by.session_id)
    return await _started(context, _ADD, ceremony, options_to_json_dict(options))


async def add(context: Context, request: AddPasskeyRequest, *, by: Principal) -> PasskeyView:
    """Take the device's new passkey, and tell the owner.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        BadInput: the name is no line of text.
        PasskeyRefused: not an answer to this person's challenge, or not a good one.
        PasskeyTaken: an account has it already.
        TooManyPasskeys: the person has `max_passkeys`.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    name = _name(request.name)
    ceremony = await shelf.take(context, _ADD, request.ceremony, _Ceremony)
    if ceremony is None or ceremony.account_id != by.user_id or ceremony.session_id != by.session_id:
        raise _refused("ceremony")
    found = _checked(
        lambda: webauthn.verify_registration_response(
            credential=msgspec.to_builtins(request.credential),
            expected_challenge=ceremony.challenge,
            expected_rp_id=context.settings.rp_id,
            expected_origin=context.settings.origins,
            require_user_verification=True,
        )
    )
    credential_id = bytes_to_base64url(found.credential_id)
    if credential_id != request.credential.id:
        raise _refused("credential_id")
    document = PasskeyDocument(
        id=documents.passkey_id(credential_id),
        account_id=by.user_id,
        name=name,
        credential_id=credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        synced=found.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        created_at=clock.now(),
    )

    async def change() -> None:
        await accounts.touch(by.user_id, at=clock.now())  # so that two at once are counted one after the other
        if len(await documents.of_account(by.user_id)) >= context.settings.max_passkeys:
            raise TooManyPasskeys
        await documents.insert(document)
        event = PasskeyAdded(user_id=by.user_id, passkey_id=document.id)
        await context.events.append(event, subject=subject(by.user_id))
        await notify(context, by.user_id, "passkey_added", document.id)

    await own_account(by)
    await context.mongo.transact(change)
    return mapping.passkey_view(document)


async def start_using(context: Context, request: StartPasskeyRequest, *, by: Principal | None) -> PasskeyCeremony:
    """Ask whatever passkey the person picks: to log in; for a login that waits, its second factor; or to step up in
    the session of whoever is signed in. Names no account, so nothing is learned of any."""
    options = webauthn.generate_authentication_options(
        rp_id=context.settings.rp_id,
        timeout=context.settings.passkey_challenge_s * 1000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    ceremony = _Ceremony(
        challenge=options.challenge,
        session_id=by.session_id if by else None,
        login_hash=digest_token(request.challenge) if request.challenge else None,
    )
    return await _started(context, _USE, ceremony, options_to_json_dict(options))


async def prove(
    context: Context,
    proof: PasskeyProof,
    *,
    client: Client,
    account_id: str | None = None,
    session_id: str | None = None,
    login: str | None = None,
) -> str:
    """Whose passkey answered: of this account where one is given. The ceremony was begun for just this use.

    Args:
        context: the service's.
        proof: what the device said.
        client: who calls.
        account_id: whose it must be.
        session_id: of whoever steps up.
        login: the challenge of the login that waits for its second factor.

    Raises:
        PasskeyRefused: for any fault, without saying which.
        TooManyAttempts: the network tried too often.
    """
    await throttle.charge_passkey(context, client)
    ceremony = await shelf.take(context, _USE, proof.ceremony, _Ceremony)
    login_hash = digest_token(login) if login else None
    if ceremony is None or (ceremony.session_id, ceremony.login_hash) != (session_id, login_hash):
        raise _refused("ceremony")
    passkey = await documents.by_id(documents.passkey_id(proof.credential.id))
    if passkey is None or (account_id is not None and passkey.account_id != account_id):
        raise _refused("unknown")
    found = _checked(
        lambda: webauthn.verify_authentication_response(
            credential=msgspec.to_builtins(proof.credential),
            expected_challenge=ceremony.challenge,
            expected_rp_id=context.settings.rp_id,
            expected_origin=context.settings.origins,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    )
    handle = proof.credential.response.user_handle
    if (handle or account_id is None) and handle != bytes_to_base64url(passkey.account_id.encode()):
        raise _refused("user_handle")
    if not await documents.note_use(
        passkey.id, old_count=passkey.sign_count, new_count=found.new_sign_count, at=clock.now()
    ):
        raise _refused("sign_count")
    return passkey.account_id


async def list_own(by: Principal) -> Page[PasskeyView]:
    return Page(items=[mapping.passkey_view(one) for one in await documents.of_account(by.user_id)])


async def rename(context: Context, passkey_id: str, request: RenamePasskeyRequest, *, by: Principal) -> PasskeyView:
    """Raises:
    BadInput: the name is no line of text.
    NotFound: there is no such passkey of this person.
    """
    renamed = await documents.rename(passkey_id, account_id=by.user_id, name=_name(request.name))
    if renamed is None:
        raise NotFound
    return mapping.passkey_view(renamed)


async def remove(context: Context, passkey_id: str, *, by: Principal) -> None:
    """Take a passkey from the account, and tell the owner.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        NotFound: there is no such passkey of this person.
        LastWayIn: there is no password, no provider and no other passkey.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    account = await own_account(by)

    async def change() -> None:
        await accounts.touch(account.id, at=clock.now())
        if not await documents.remove(passkey_id, account_id=account.id):
            raise NotFound
        left = await documents.of_account(account.id) or await identities.of_account(account.id)
        if account.password_hash is None and not left:
            raise LastWayIn
        event = PasskeyRemoved(user_id=account.id, passkey_id=passkey_id)
        envelope = await context.events.append(event, subject=subject(account.id))
        await notify(context, account.id, "passkey_removed", envelope.id)

    await context.mongo.transact(change)


async def _started(context: Context, kind: str, ceremony: _Ceremony, options: dict[str, object]) -> PasskeyCeremony:
    life_s = context.settings.passkey_challenge_s
    token = await shelf.put(context, kind, ceremony, life_s=life_s, token=random_token())
    return PasskeyCeremony(ceremony=token, public_key=options, expires_in=life_s)


def _checked(verify: Callable[[], ResultT]) -> ResultT:
    try:
        return verify()
    except Exception as error:
        # The library has errors of its own for what it looks for, and lets those of its parsers through as well.
        raise _refused(f"{type(error).__name__}") from error


def _refused(reason: str) -> PasskeyRefused:
    log.warning("auth.passkey.refused", reason=reason)
    return PasskeyRefused()


def _name(text: str) -> str:
    try:
        name = clean_name(text, MAX_NAME_CHARS)
    except ValueError as error:
        raise BadInput.of("name", str(error)) from None
    if not name:
        raise BadInput.of("name", "A name has at least one letter")
    return name
