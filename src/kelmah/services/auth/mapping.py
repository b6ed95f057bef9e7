"""Documents of the auth service as contracts, with their sealed fields opened."""

from kelmah.contracts.auth import (
    AccountView,
    ApiKeyView,
    Contact,
    PasskeyView,
    PublicKey,
    PublicKeys,
    RoleChange,
    SessionPlace,
    SessionView,
)
from kelmah.kit.agents import browser_of, device_of, system_of
from kelmah.kit.crypto import KeyRing
from kelmah.kit.places import Places
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.api_keys import ApiKeyDocument
from kelmah.services.auth.documents.keys import SigningKeysDocument
from kelmah.services.auth.documents.passkeys import PasskeyDocument
from kelmah.services.auth.documents.role_changes import RoleChangeDocument
from kelmah.services.auth.documents.sessions import SessionDocument


def place(collection: str, field: str, document_id: str) -> bytes:
    """Where a sealed value belongs; copied elsewhere it does not open."""
    return f"auth.{collection}.{field}:{document_id}".encode()


def email_of(account: AccountDocument, ring: KeyRing) -> str:
    return ring.open(account.email_sealed, context=place("accounts", "email", account.id))


def names_of(account: AccountDocument, ring: KeyRing) -> tuple[str, str]:
    return (
        ring.open(account.first_name_sealed, context=place("accounts", "first_name", account.id)),
        ring.open(account.last_name_sealed, context=place("accounts", "last_name", account.id)),
    )


def account_view(account: AccountDocument, ring: KeyRing) -> AccountView:
    first_name, last_name = names_of(account, ring)
    return AccountView(
        id=account.id,
        email=email_of(account, ring),
        first_name=first_name,
        last_name=last_name,
        role=account.role,
        email_verified=account.email_verified_at is not None,
        created_at=account.created_at,
    )


def contact(account: AccountDocument, ring: KeyRing) -> Contact:
    first_name, last_name = names_of(account, ring)
    return Contact(
        user_id=account.id,
        role=account.role,
        first_name=first_name,
        last_name=last_name,
        email=email_of(account, ring),
        email_verified=account.email_verified_at is not None,
        locale=account.locale,
    )


def session_view(session: SessionDocument, ring: KeyRing, *, current_id: str, places: Places | None) -> SessionView:
    def opened(sealed: str | None, field: str) -> str | None:
        return None if sealed is None else ring.open(sealed, context=place("sessions", field, session.id))

    user_agent = opened(session.user_agent_sealed, "user_agent")
    address = opened(session.address_sealed, "address")
    found = places.find(address) if places else None
    return SessionView(
        id=session.id,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=min(session.expires_at, session.idle_at),
        address=address,
        place=SessionPlace(**found._asdict()) if found else None,
        user_agent=user_agent,
        device=device_of(user_agent),
        browser=browser_of(user_agent),
        system=system_of(user_agent),
        current=session.id == current_id,
    )


def public_keys(keys: SigningKeysDocument) -> PublicKeys:
    return PublicKeys(keys=[PublicKey(kid=key.kid, x=key.x) for key in (keys.active, keys.next, *keys.retired)])


def passkey_view(passkey: PasskeyDocument) -> PasskeyView:
    return PasskeyView(
        id=passkey.id,
        name=passkey.name,
        synced=passkey.synced,
        created_at=passkey.created_at,
        last_used_at=passkey.last_used_at,
    )


#: What every API key begins with, so that scanners for leaked secrets know one when they see it.
KEY_MARK = "kelmah_"


def api_key_view(key: ApiKeyDocument) -> ApiKeyView:
    return ApiKeyView(
        id=key.id,
        name=key.name,
        prefix=f"{KEY_MARK}{key.id}",
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def role_change(made: RoleChangeDocument) -> RoleChange:
    return RoleChange(
        user_id=made.account_id,
        old_role=made.old_role,
        new_role=made.new_role,
        by=made.by,
        reason=made.reason,
        at=made.at,
    )
