"""Passkeys (WebAuthn level 3): keys that live in a device and prove their owner there.

Credentials have the form of `PublicKeyCredential.toJSON()`; what browsers add to it is let be.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from kelmah.contracts.common import Contract, Request, Response

PasskeyName = Annotated[str, Meta(min_length=1, max_length=80, examples=["Phone of Ama"])]
Ceremony = Annotated[str, Meta(min_length=16, max_length=512, pattern=r"^[A-Za-z0-9._-]+\Z")]
#: Base64url without padding. An authenticator's answers are far shorter than these bounds.
CredentialId = Annotated[str, Meta(min_length=16, max_length=1_400, pattern=r"^[A-Za-z0-9_-]+\Z")]
Encoded = Annotated[str, Meta(min_length=1, max_length=8_192, pattern=r"^[A-Za-z0-9_-]+\Z")]
LongEncoded = Annotated[str, Meta(min_length=1, max_length=32_768, pattern=r"^[A-Za-z0-9_-]+\Z")]


class AttestationResponse(Contract, frozen=True, kw_only=True):
    client_data: Encoded = field(name="clientDataJSON")
    attestation_object: LongEncoded


class AssertionResponse(Contract, frozen=True, kw_only=True):
    client_data: Encoded = field(name="clientDataJSON")
    authenticator_data: Encoded
    signature: Encoded
    user_handle: Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_-]*\Z")] | None = None


class NewCredential(Contract, frozen=True, kw_only=True):
    """What `navigator.credentials.create()` gave."""

    id: CredentialId
    raw_id: CredentialId
    type: Literal["public-key"]
    response: AttestationResponse


class UsedCredential(Contract, frozen=True, kw_only=True):
    """What `navigator.credentials.get()` gave."""

    id: CredentialId
    raw_id: CredentialId
    type: Literal["public-key"]
    response: AssertionResponse


class PasskeyProof(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of a passkey to the challenge of this ceremony."""

    ceremony: Ceremony
    credential: UsedCredential


class StartPasskeyRequest(Request, frozen=True, kw_only=True):
    """`challenge`: of a login that asks for the second factor, where the passkey shall be it."""

    challenge: Ceremony | None = None


class PasskeyLoginRequest(Request, frozen=True, kw_only=True):
    passkey: PasskeyProof
    reactivate: bool = False


class AddPasskeyRequest(Request, frozen=True, kw_only=True):
    name: PasskeyName
    ceremony: Ceremony
    credential: NewCredential


class RenamePasskeyRequest(Request, frozen=True, kw_only=True):
    name: PasskeyName


class PasskeyCeremony(Response, frozen=True, kw_only=True):
    """`publicKey` is for `navigator.credentials`; `ceremony` comes back with the answer, once, within `expiresIn`."""

    ceremony: str
    public_key: dict[str, Any]
    expires_in: int


class PasskeyView(Response, frozen=True, kw_only=True):
    """`synced`: the device's maker keeps copies of it on the person's other devices."""

    id: str
    name: str
    synced: bool
    created_at: datetime
    last_used_at: datetime | None
