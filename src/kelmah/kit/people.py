"""A key for each person, under which what events say of them is sealed: whoever erases the key erases it everywhere.

Events are never changed, so personal data in them cannot be removed; but without its key nobody can read it, in the
store, on queues or in backups of the events, and the chain of digests stays whole. Each service has keys of its own.
"""

import os

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.kit import clock
from kelmah.kit.crypto import KEY_BYTES, KeyRing
from kelmah.kit.mongo import Mongo, RawDocument

PERSON_KEYS = "person_keys"


class PersonKeys:
    """The person keys of one service, themselves encrypted by its ring."""

    def __init__(self, mongo: Mongo, ring: KeyRing) -> None:
        self._keys = mongo.collection(PERSON_KEYS)
        self._ring = ring

    async def seal(self, person_id: str, text: str) -> str | None:
        """Encrypt `text` under the person's key, which is made at first use. None when the key was erased.

        The key is written outside of any open transaction: one that is never used does no harm, and two
        transactions on one person do not collide.
        """
        row = await self._keys.find_one({"_id": person_id}) or await self._make(person_id)
        return None if row.get("key") is None else self._ring_of(row).seal(text, context=place_of_key(person_id))

    async def open(self, person_id: str, token: str) -> str | None:
        """What `seal` encrypted, or None when the person's key was erased.

        Raises:
            DecryptionError: the token was changed, or belongs to somebody else.
        """
        row = await self._keys.find_one({"_id": person_id})
        if row is None or row.get("key") is None:
            return None
        return self._ring_of(row).open(token, context=place_of_key(person_id))

    async def erase(self, person_id: str) -> bool:
        """Erase a person's key for good; no other is ever made. Returns False when it was erased before."""
        before = await self._keys.find_one_and_update(
            {"_id": person_id}, {"$set": {"key": None, "erased_at": clock.now()}}, upsert=True
        )
        return before is None or before.get("key") is not None

    async def _make(self, person_id: str) -> RawDocument:
        key = self._ring.encrypt(os.urandom(KEY_BYTES), context=place_of_key(person_id))
        change = {"$setOnInsert": {"key": key, "made_at": clock.now()}}
        try:
            row = await self._keys.find_one_and_update(
                {"_id": person_id}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # made by another process at the same moment
            row = await self._keys.find_one({"_id": person_id})
        assert row is not None  # noqa: S101  # an upsert returns the document, and nothing removes it
        return row

    def _ring_of(self, row: RawDocument) -> KeyRing:
        return KeyRing([self._ring.decrypt(row["key"], context=place_of_key(row["_id"]))])


def place_of_key(person_id: str) -> bytes:
    """The place that a person's key is sealed for; what it seals has the same."""
    return f"kit.person:{person_id}".encode()
