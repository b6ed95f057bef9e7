"""Accounts: registering, proving the e-mail address, and being asked about."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from kelmah.contracts.auth import (
    AccountView,
    Contact,
    EmailVerified,
    RegisterRequest,
    RegistrationRefused,
    UserRegistered,
)
from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import digest_token
from kelmah.kit.errors import BadInput, Unauthenticated
from kelmah.kit.ids import new_id
from kelmah.kit.text import LANGUAGES, clean_name
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import accounts as documents
from kelmah.services.auth.documents import proofs
from kelmah.services.auth.documents.accounts import AccountDocument
from kelmah.services.auth.documents.proofs import Purpose
from kelmah.services.auth.errors import EmailTaken, TokenRefused
from kelmah.services.auth.service import bridging, strength, throttle
from kelmah.services.auth.service.context import Client, Context

MAX_NAME_CHARS = 80
#: Ids that one call may ask about.
MAX_CONTACTS = 100


def subject(account_id: str) -> str:
    """The stream of events about one account."""
    return f"user:{account_id}"


async def notify(context: Context, account_id: str, notice: str, cause_id: str) -> None:
    """Have the owner told by a mail (`texts.TEXTS`), in the open transaction; once for each cause."""
    await context.timers.set(
        f"auth.send_notice:{notice}:{cause_id}", "auth.send_notice", [account_id, notice, cause_id]
    )


async def register(context: Context, request: RegisterRequest, *, client: Client) -> AccountView:
    """Make a worker's or a hirer's account and send the mail that proves its address.

    Where the address has an account already, or is of somebody who was not moved yet, the answer is of the same form,
    its id is nobody's, and the owner is written to: nobody learns who has an account. Both ways do the same, step by
    step: check and hash the password, seal the same fields, and write as many rows of the same kind.

    Raises:
        BadInput: a field that does not fit.
        TooManyAttempts: the network registered too many accounts, or the address was named too often.
    """
    await throttle.charge_registration(context, client, email_index=email_indexes(context, request.email)[0])
    new = await _checked(
        context,
        email=request.email,
        password=request.password,
        names=(request.first_name, request.last_name),
        role=Role(request.role),
        language=client.language,
    )
    waiting_id = await bridging.waiting(context, new.email)

    async def change() -> AccountView:
        known = await documents.by_email(context.email_indexes(new.email))
        account = _document(context, new, verified=False)
        if known is None and waiting_id is None:
            await _add(context, account)
        elif known is not None:
            await _refuse(context, account, known.id)
            await context.timers.set(f"auth.send_known:{account.id}", "auth.send_known", [known.id])
        elif waiting_id is not None:
            await _refuse(context, account, waiting_id)
            await bridging.ask_for_reset(context, new.email)  # the mail that lets them in moves them
        return mapping.account_view(account, context.ring)

    try:
        return await context.mongo.transact(change)
    except EmailTaken:  # by a twin of this request that was first
        return await context.mongo.transact(change)


async def _refuse(context: Context, account: AccountDocument, owner_id: str) -> None:
    """Write in the place of this account, whose address is the owner's already. Its id is nobody's ever after."""
    await documents.insert_decoy(account)
    # Whose address and device this was nobody knows: they are sealed under a key of their own, as a new account's are.
    event = RegistrationRefused(user_id=owner_id)
    await context.events.append(event, subject=f"login:{account.id}", person=account.id)


class NewAccount(NamedTuple):
    """What was asked for and checked."""

    email: str
    names: tuple[str, str]
    role: Role
    password_hash: str | None
    language: str = LANGUAGES[0]


async def _checked(
    context: Context,
    *,
    email: str,
    password: str,
    names: tuple[str, str],
    role: Role,
    language: str = LANGUAGES[0],
) -> NewAccount:
    """Raises:
    BadInput: a field that does not fit.
    """
    email = email.strip()
    email_indexes(context, email)  # refuses what is no address
    clean = (_name("firstName", names[0]), _name("lastName", names[1]))
    await strength.check(context, password, field="password", email=email, names=clean)
    return NewAccount(email, clean, role, await context.hasher.hash(password), language)


async def create_account(
    context: Context, *, email: str, password: str, first_name: str, last_name: str, role: Role, verified: bool
) -> AccountView:
    """Make an account of any role; the operations of the public never come here with a staff role.

    Args:
        context: the service's.
        email: as typed.
        password: 8 to 128 characters.
        first_name: one line.
        last_name: one line.
        role: any.
        verified: the address is known to be the person's; otherwise a mail is sent to it.

    Raises:
        BadInput: a field that does not fit.
        EmailTaken: there is an account with this address.
    """
    new = await _checked(context, email=email, password=password, names=(first_name, last_name), role=role)
    if await bridging.waiting(context, new.email) is not None:
        raise EmailTaken  # by somebody who was not moved yet

    async def change() -> AccountDocument:
        await refuse_taken(context, new.email)
        return await make_account(context, new, verified=verified)

    return mapping.account_view(await context.mongo.transact(change), context.ring)


async def refuse_taken(context: Context, email: str) -> None:
    """Raises:
    EmailTaken: there is an account with this address.
    """
    if await documents.by_email(email_indexes(context, email)) is not None:
        raise EmailTaken


async def make_account(context: Context, new: NewAccount, *, verified: bool) -> AccountDocument:
    """Make an account in the open transaction, in which its address was looked for and not found.

    Raises:
        EmailTaken: there is an account with this address.
    """
    account = _document(context, new, verified=verified)
    await _add(context, account)
    return account


def _document(context: Context, new: NewAccount, *, verified: bool) -> AccountDocument:
    account_id, now = new_id(), clock.now()

    def sealed(field: str, text: str) -> str:
        return context.ring.seal(text, context=mapping.place("accounts", field, account_id))

    return AccountDocument(
        id=account_id,
        email_sealed=sealed("email", new.email),
        email_index=email_indexes(context, new.email)[0],
        email_verified_at=now if verified else None,
        first_name_sealed=sealed("first_name", new.names[0]),
        last_name_sealed=sealed("last_name", new.names[1]),
        role=new.role,
        locale=new.language,
        password_hash=new.password_hash,
        password_changed_at=now,
        created_at=now,
    )


async def _add(context: Context, account: AccountDocument) -> None:
    await documents.insert(account)
    await context.events.append(UserRegistered(user_id=account.id, role=account.role), subject=subject(account.id))
    if account.email_verified_at is not None:
        await context.events.append(EmailVerified(user_id=account.id), subject=subject(account.id))
    else:
        await context.timers.set(f"auth.send_verification:{account.id}", "auth.send_verification", [account.id])


def email_indexes(context: Context, email: str, *, field: str = "email") -> list[str]:
    """Raises:
    BadInput: not a mail address.
    """
    try:
        return context.email_indexes(email.strip())
    except ValueError:
        raise BadInput.of(field, "This is not a mail address") from None


def _name(field: str, text: str) -> str:
    try:
        name = clean_name(text, MAX_NAME_CHARS)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from None
    if not any(char.isalpha() for char in name):
        raise BadInput.of(field, "A name has at least one letter")
    return name


async def verify_email(context: Context, token: str) -> None:
    """Mark the address as the person's.

    Raises:
        TokenRefused: used, too old, or never made.
    """

    async def change() -> None:
        now = clock.now()
        proof = await proofs.use(digest_token(token), purpose=Purpose.VERIFY_EMAIL, now=now)
        if proof is None:
            raise TokenRefused
        await note_verified(context, proof.account_id, email_index=proof.email_index, at=now)

    await context.mongo.transact(change)


async def note_verified(context: Context, account_id: str, *, email_index: str, at: datetime) -> None:
    """Mark the address verified in the open transaction, and tell of it if it is news."""
    if await documents.mark_verified(account_id, email_index=email_index, at=at):
        await context.events.append(EmailVerified(user_id=account_id), subject=subject(account_id))


async def resend_verification(context: Context, email: str, *, client: Client) -> None:
    """Send the verification mail once more. Does the same whether or not the address has an account.

    Raises:
        BadInput: not a mail address.
        TooManyAttempts: too many mails were asked for.
    """
    index = email_indexes(context, email)[0]
    await throttle.charge_mail(context, client, email_index=index)
    await context.timers.set(f"auth.resend_verification:{index}", "auth.resend_verification", [index])


async def me(context: Context, by: Principal) -> AccountView:
    """Raises:
    Unauthenticated: the account is gone.
    """
    return mapping.account_view(await own_account(by), context.ring)


async def own_account(by: Principal) -> AccountDocument:
    """Raises:
    Unauthenticated: the account is gone.
    """
    account = await documents.by_id(by.user_id)
    if account is None:
        raise Unauthenticated
    return account


async def contacts(context: Context, ids: Sequence[str]) -> list[Contact]:
    """Contacts of the accounts among these that exist.

    Raises:
        BadInput: more than 100 ids.
    """
    if len(ids) > MAX_CONTACTS:
        raise BadInput.of("ids", f"At most {MAX_CONTACTS} ids are taken")
    return [mapping.contact(account, context.ring) for account in await documents.by_ids(ids)] if ids else []
