"""People: users, credentials and social logins become accounts of the auth service."""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from kelmah.contracts.common import Role
from kelmah.legacy.database import Row
from kelmah.legacy.entity import Entity, Group, Part, To, stays
from kelmah.legacy.reading import LeftBehind, Old, Unmappable, old_uuid

ROLES = {
    "worker": Role.WORKER,
    "client": Role.HIRER,
    "moderator": Role.MODERATOR,
    "support": Role.SUPPORT,
    "admin": Role.ADMIN,
}
OLD_ROLES = {role: word for word, role in ROLES.items()}
PROVIDERS = frozenset({"google", "linkedin"})
MAX_NAME_CHARS = 80
_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|1[0-9])\$[./A-Za-z0-9]{53}\Z")


class OldIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A login by another provider."""

    provider: str
    subject: str
    linked_at: datetime


class OldPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who may log in. The secrets take no part in comparisons: both change as people use them."""

    id: str
    email: str
    first_name: str
    last_name: str
    role: Role
    is_suspended: bool
    email_verified_at: datetime | None
    created_at: datetime
    last_login_at: datetime | None = None
    password_hash: str | None = None
    password_changed_at: datetime | None = None
    totp_secret: bytes | None = None
    identities: tuple[OldIdentity, ...] = ()

    def compared(self) -> "OldPerson":
        """Without what logging in changes."""
        return msgspec.structs.replace(
            self, last_login_at=None, password_hash=None, password_changed_at=None, totp_secret=None, identities=()
        )


def make(group: Group) -> OldPerson:
    user = group.root
    is_suspended = user.choice(
        "status", {"active": False, "pending": False, "suspended": True, "banned": True, "deleted": None}
    )
    if is_suspended is None or user.raw("deleted_at") is not None:
        raise LeftBehind("deleted by its owner")
    email = user.email("email")
    if (same := user.raw("same_email")) is not None:
        raise Unmappable(f"users.email: but for capitals the same as that of {same}, who came first")
    created_at = user.instant("created_at")
    (login,) = group.rows("credentials", _login) or [(None, None)]
    password, totp_secret = login
    changed_at = _changed_at(group)
    return OldPerson(
        id=user.id("id", "users"),
        email=email,
        first_name=user.optional_line("first_name", MAX_NAME_CHARS) or "",
        last_name=user.optional_line("last_name", MAX_NAME_CHARS) or "",
        role=user.choice("role", ROLES),
        is_suspended=is_suspended,
        email_verified_at=user.soft(lambda: user.optional_instant("email_verified_at"), None),
        created_at=created_at,
        last_login_at=user.soft(lambda: user.optional_instant("last_login_at"), None),
        password_hash=password,
        password_changed_at=changed_at or created_at,
        totp_secret=totp_secret,
        identities=_identities(group),
    )


def _login(row: Old) -> tuple[str | None, bytes | None]:
    return row.soft(lambda: _password(row), None), row.soft(lambda: _totp_secret(row), None)


def _password(row: Old) -> str | None:
    """A hash that can be checked; without one, the mail of a forgotten password lets the person in."""
    stored = row.raw("password_hash")
    if stored is not None and not _BCRYPT.match(stored):
        raise row.fault("password_hash", "no bcrypt hash: the person sets a new password by mail")
    return stored


def _totp_secret(row: Old) -> bytes | None:
    secret = row.raw("totp_secret")
    if secret is None or not row.flag("totp_enabled"):
        return None
    try:
        return base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    except binascii.Error:
        raise row.fault("totp_secret", "not base32: the person sets the second factor up anew") from None


def _changed_at(group: Group) -> datetime | None:
    rows = group.children["credentials"]
    if not rows:
        return None
    login = Old("credentials", rows[0], group.remarks)
    return login.soft(lambda: login.optional_instant("changed_at"), None)


def _identities(group: Group) -> tuple[OldIdentity, ...]:
    seen: set[str] = set()

    def read(row: Old) -> OldIdentity:
        identity = _identity(row)
        if identity.provider in seen:
            raise Unmappable("social_logins.provider: the person has another login by it")
        seen.add(identity.provider)
        return identity

    return tuple(group.rows("social_logins", read))


def _identity(row: Old) -> OldIdentity:
    provider = row.line("provider", 32).lower()
    if provider not in PROVIDERS:
        raise Unmappable(f"social_logins.provider: Kelmah has no login by {provider[:32]!r}")
    return OldIdentity(provider=provider, subject=row.line("subject", 255), linked_at=row.instant("created_at"))


def rows(person: OldPerson) -> Iterator[tuple[str, Row]]:
    """As the old tables have it."""
    key = old_uuid(person.id)
    yield (
        "users",
        {
            "id": key,
            "email": person.email,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "role": OLD_ROLES[person.role],
            "status": "suspended" if person.is_suspended else "active" if person.email_verified_at else "pending",
            "email_verified_at": person.email_verified_at,
            "last_login_at": person.last_login_at,
            "created_at": person.created_at,
        },
    )
    if person.password_hash is not None:
        algorithm = "bcrypt" if person.password_hash.startswith("$2") else "argon2id"
        yield (
            "credentials",
            {
                "user_id": key,
                "password_hash": person.password_hash,
                "algorithm": algorithm,
                "changed_at": person.password_changed_at,
            },
        )


_SAME = """SELECT o.id FROM {users} o
WHERE lower(btrim(o.email)) = lower(btrim(t.email)) AND o.deleted_at IS NULL AND o.status::text <> 'deleted'
AND (o.created_at, o.id) < (t.created_at, t.id) ORDER BY o.created_at, o.id LIMIT 1"""

PEOPLE = Entity(
    name="people",
    service="auth",
    make=make,
    rows=rows,
    root=Part(
        table="users",
        extra={"same_email": _SAME},
        columns={
            "id": To("accounts._id", "the UUID without dashes"),
            "email": To(
                "accounts.email_sealed, email_index", "sealed; of two that differ in capitals the older is moved"
            ),
            "phone": stays("moved with the profile"),
            "first_name": To("accounts.first_name_sealed", "sealed"),
            "last_name": To("accounts.last_name_sealed", "sealed"),
            "role": To("accounts.role", "client → hirer; bot is refused"),
            "status": To("accounts.suspended_at", "suspended and banned → suspended; deleted → left behind"),
            "email_verified_at": To("accounts.email_verified_at", "left out if impossible"),
            "last_login_at": To("accounts.last_login_at", "left out if impossible"),
            "created_at": To("accounts.created_at", "refused if impossible"),
            "updated_at": stays("accounts have no such field"),
            "deleted_at": To("(left behind)", "a deleted person's data is not moved"),
        },
    ),
    children=(
        Part(
            table="credentials",
            key=("user_id",),
            of="user_id",
            columns={
                "user_id": To("accounts._id"),
                "password_hash": To("accounts.password_hash", "bcrypt as it is, argon2id after the first login"),
                "algorithm": stays("the hash says it itself"),
                "failed_attempts": stays("counted anew"),
                "totp_secret": To("factors.secret_sealed", "sealed; recovery codes are made anew"),
                "totp_enabled": To("factors.confirmed_at", "only an enabled factor is moved"),
                "changed_at": To("accounts.password_changed_at", "else when the user was made"),
            },
        ),
        Part(
            table="social_logins",
            of="user_id",
            columns={
                "id": stays("identities are known by issuer and subject"),
                "user_id": To("identities.account_id"),
                "provider": To("identities.provider", "google, linkedin, one of each; others are refused"),
                "subject": To("identities._id", "SHA-256 of issuer and subject"),
                "access_token": stays("Kelmah keeps none"),
                "created_at": To("identities.linked_at"),
            },
        ),
    ),
)
