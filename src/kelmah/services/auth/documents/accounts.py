"""Accounts: who a person is, how the person proves it, and how to write to the person."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.common import Role
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session
from kelmah.services.auth.errors import EmailTaken

EMAIL_INDEX = "email"


class AccountDocument(Document):
    """One person. Sealed fields are readable with the key ring only; `email_index` finds an address by value.

    Not sharded: a whole country's accounts are a few gigabytes, and the unique address needs one index.
    """

    id: str  # type: ignore[assignment]  # an id of ours, never an ObjectId
    email_sealed: str
    email_index: str
    email_verified_at: datetime | None = None
    first_name_sealed: str
    last_name_sealed: str
    role: Role
    locale: str = "en"
    #: None: the person signs in with a provider and never set one.
    password_hash: str | None
    password_changed_at: datetime
    last_login_at: datetime | None = None
    touched_at: datetime | None = None
    acted_at: datetime | None = None
    created_at: datetime
    #: At rest: nobody gets in but the person, who wakes it by logging in and saying so.
    deactivated_at: datetime | None = None
    #: Shut out by the old system; nobody gets in.
    suspended_at: datetime | None = None

    class Settings:
        name = "accounts"
        indexes: ClassVar = [IndexModel([("email_index", ASCENDING)], unique=True, name=EMAIL_INDEX)]


class DecoyDocument(AccountDocument):
    """What a refused registration writes in the place of an account, so that it takes as long; gone in a minute.

    Found by nobody: its `email_index` is of no address.
    """

    class Settings:
        name = "decoys"
        indexes: ClassVar = [
            IndexModel([("email_index", ASCENDING)], unique=True, name=EMAIL_INDEX),
            IndexModel([("created_at", ASCENDING)], name="expiry", expireAfterSeconds=60),
        ]


async def insert_decoy(account: AccountDocument) -> None:
    """Write what would be this account, where there is one with its address."""
    decoy = DecoyDocument.model_validate(account.model_dump() | {"email_index": new_id()})
    await decoy.insert(session=session())


async def insert(account: AccountDocument) -> None:
    """Add an account, whose address was looked for under all of the key ring's indexes.

    Raises:
        EmailTaken: another process was first.
    """
    try:
        await account.insert(session=session())
    except DuplicateKeyError as error:
        raise EmailTaken from error


async def by_email(indexes: Sequence[str]) -> AccountDocument | None:
    return await AccountDocument.find_one({"email_index": {"$in": list(indexes)}}, session=session())


async def taken(indexes: Sequence[str]) -> set[str]:
    """Those of these e-mail indexes under which there is an account."""
    found = AccountDocument.get_pymongo_collection().find(
        {"email_index": {"$in": list(indexes)}}, {"email_index": 1}, session=session()
    )
    return {row["email_index"] async for row in found}


async def by_id(account_id: str) -> AccountDocument | None:
    return await AccountDocument.find_one({"_id": account_id}, session=session())


async def by_ids(account_ids: Sequence[str]) -> list[AccountDocument]:
    found = AccountDocument.find({"_id": {"$in": list(account_ids)}}, session=session())
    return await found.to_list(len(account_ids))


async def mark_verified(account_id: str, *, email_index: str, at: datetime) -> bool:
    """Whether the address became verified now; false when it was, or is no longer the account's."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "email_index": email_index, "email_verified_at": None},
        {"$set": {"email_verified_at": at}},
        session=session(),
    )
    return result.modified_count == 1


async def change_email(
    account_id: str, *, old_index: str, new_indexes: Sequence[str], sealed: str, at: datetime
) -> bool:
    """Whether the account had the old address, and has the new one now, proven.

    Raises:
        EmailTaken: an account has the new address, under any of the key ring's indexes.
    """
    if await by_email(new_indexes) is not None:
        raise EmailTaken
    try:
        result = await AccountDocument.get_pymongo_collection().update_one(
            {"_id": account_id, "email_index": old_index},
            {"$set": {"email_sealed": sealed, "email_index": new_indexes[0], "email_verified_at": at}},
            session=session(),
        )
    except DuplicateKeyError as error:
        raise EmailTaken from error
    return result.modified_count == 1


async def set_password(account_id: str, *, email_index: str, new_hash: str, at: datetime) -> bool:
    """Whether the account still has this address and has the new password now."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "email_index": email_index},
        {"$set": {"password_hash": new_hash, "password_changed_at": at}},
        session=session(),
    )
    return result.modified_count == 1


async def change_password(account_id: str, *, old_hash: str | None, new_hash: str, at: datetime) -> bool:
    """Whether the password was still `old_hash` and is now `new_hash`."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "password_hash": old_hash},
        {"$set": {"password_hash": new_hash, "password_changed_at": at}},
        session=session(),
    )
    return result.modified_count == 1


async def note_login(account_id: str, *, password_hash: str | None, stored_hash: str | None, at: datetime) -> bool:
    """Whether the password is still the one that was checked; `stored_hash` may be the same under new parameters.

    It writes in any case, so that a login and a password change conflict and one sees the other.
    """
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "password_hash": password_hash},
        {"$set": {"password_hash": stored_hash, "last_login_at": at}},
        session=session(),
    )
    return result.matched_count == 1


async def touch(account_id: str, *, at: datetime) -> bool:
    """Write to the account, so that two changes of what belongs to it conflict, and one sees the other. False: gone."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id}, {"$set": {"touched_at": at}}, session=session()
    )
    return result.matched_count == 1


async def clear_password(account_id: str, *, at: datetime) -> None:
    """Make the password useless: only a mail's token, or a provider, lets the person in again."""
    await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id}, {"$set": {"password_hash": None, "password_changed_at": at}}, session=session()
    )


async def change_role(account_id: str, *, role: Role) -> AccountDocument | None:
    """Give another role; the account as it was before, or None where it is gone or has that role."""
    row = await AccountDocument.get_pymongo_collection().find_one_and_update(
        {"_id": account_id, "role": {"$ne": role}}, {"$set": {"role": role}}, session=session()
    )
    return None if row is None else AccountDocument.model_validate(row)


async def hold_role(account_id: str, *, role: Role, at: datetime) -> bool:
    """Whether the account has this role; written to, so that it conflicts with whoever takes the role away now."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "role": role, "deactivated_at": None}, {"$set": {"acted_at": at}}, session=session()
    )
    return result.matched_count == 1


async def deactivate(account_id: str, *, at: datetime) -> bool:
    """Whether the account was in use and is at rest now."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "deactivated_at": None}, {"$set": {"deactivated_at": at}}, session=session()
    )
    return result.modified_count == 1


async def reactivate(account_id: str) -> bool:
    """Whether the account was at rest and is in use now."""
    result = await AccountDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "deactivated_at": {"$ne": None}}, {"$set": {"deactivated_at": None}}, session=session()
    )
    return result.modified_count == 1


async def remove(account_id: str) -> bool:
    result = await AccountDocument.get_pymongo_collection().delete_one({"_id": account_id}, session=session())
    return result.deleted_count == 1
