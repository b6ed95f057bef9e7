"""Accounts out of the old database, and back into its shape."""

from collections.abc import Sequence
from functools import partial

from kelmah.kit import clock
from kelmah.kit.mongo import add_all
from kelmah.legacy.entities.people import OldIdentity, OldPerson
from kelmah.legacy.twins import Claims, without_twins
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts, factors, identities
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.factors import FactorDocument
from kelmah.services.auth.documents.identities import IdentityDocument, identity_id
from kelmah.services.auth.service.context import Context
from kelmah.services.auth.settings import known_issuer


def people_claims(context: Context, person: OldPerson) -> Claims:
    """What no two people may have."""
    claims = {context.email_indexes(person.email)[0]: "users.email: there is an account with this address"}
    for login in person.identities:
        claims[_identity_id(context, login)] = "social_logins.subject: another account is logged in to by it"
    return claims


async def move_people(context: Context, people: Sequence[OldPerson]) -> dict[str, str]:
    """Make accounts in the open transaction, and tell of those that cannot be made: id → reason.

    No events: nothing happened to these people now, and nobody is to be greeted anew.
    """
    # An address may be known by the digest of a field key of before.
    current: dict[str, str] = {}
    for one in people:
        indexes = context.email_indexes(one.email)
        current |= dict.fromkeys(indexes, indexes[0])
    taken = {current[one] for one in await accounts.taken(list(current))}
    taken |= await identities.taken([_identity_id(context, login) for one in people for login in one.identities])
    made, refused = without_twins(people, partial(people_claims, context), taken)
    await add_all([_account(context, one) for one in made])
    await add_all([_factor(context, one.id, one.totp_secret) for one in made if one.totp_secret is not None])
    await add_all([_identity(context, one.id, login) for one in made for login in one.identities])
    return refused


async def people_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldPerson]:
    """Accounts as the old database would have them."""
    found = {}
    for account in await accounts.by_ids(ids):
        first_name, last_name = mapping.names_of(account, context.ring)
        found[account.id] = OldPerson(
            id=account.id,
            email=mapping.email_of(account, context.ring),
            first_name=first_name,
            last_name=last_name,
            role=account.role,
            is_suspended=account.suspended_at is not None,
            email_verified_at=account.email_verified_at,
            created_at=account.created_at,
            last_login_at=account.last_login_at,
            password_hash=account.password_hash,
            password_changed_at=account.password_changed_at,
        )
    return found


def _account(context: Context, person: OldPerson) -> AccountDocument:
    def sealed(field: str, text: str) -> str:
        return context.ring.seal(text, context=mapping.place("accounts", field, person.id))

    return AccountDocument(
        id=person.id,
        email_sealed=sealed("email", person.email),
        email_index=context.email_indexes(person.email)[0],
        email_verified_at=person.email_verified_at,
        first_name_sealed=sealed("first_name", person.first_name),
        last_name_sealed=sealed("last_name", person.last_name),
        role=person.role,
        password_hash=person.password_hash,
        password_changed_at=person.password_changed_at or person.created_at,
        last_login_at=person.last_login_at,
        created_at=person.created_at,
        suspended_at=clock.now() if person.is_suspended else None,
    )


def _factor(context: Context, account_id: str, secret: bytes) -> FactorDocument:
    place = mapping.place("factors", "secret", account_id)
    sealed = context.ring.seal(secret.hex(), context=place)
    return factors.FactorDocument(id=account_id, secret_sealed=sealed, confirmed_at=clock.now())


def _identity(context: Context, account_id: str, login: OldIdentity) -> IdentityDocument:
    return identities.IdentityDocument(
        id=_identity_id(context, login),
        account_id=account_id,
        provider=login.provider,
        linked_at=login.linked_at,
    )


def _identity_id(context: Context, login: OldIdentity) -> str:
    configured = context.settings.oauth.get(login.provider)
    return identity_id(configured.issuer if configured else known_issuer(login.provider), login.subject)
