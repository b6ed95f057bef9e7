"""Encrypts what is stored of people anew with the newest field key, so that an older one can be taken away."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from kelmah.kit.mongo import RawDocument
from kelmah.services.auth import mapping
from kelmah.services.auth.service.context import Context

#: Sealed fields by collection; `<name>_sealed` belongs to the place `<name>` of its document.
SEALED = {
    "accounts": ("email", "first_name", "last_name"),
    "sessions": ("address", "user_agent", "successor"),
    "factors": ("secret",),
}


class Step(NamedTuple):
    """How far one collection is."""

    collection: str
    done: int
    total: int
    changed: int


async def reseal(context: Context) -> AsyncIterator[Step]:
    """Go through every document; those already under the newest key are left as they are, so it can be run again.

    Each document is changed only if its fields are still what was read. E-mail indexes are made anew as well.
    What lives for minutes or days is not: refresh tokens turn by use, so sessions that are idle longer than an old key
    is kept end, and mails' tokens that went out before are refused.

    Raises:
        KeyNotYetPublished: the signing keys were turned at this very moment; run it again.
    """
    yield Step("signing_keys", 1, 1, int(await context.signer.reseal()))
    for name, fields in SEALED.items():
        collection = context.mongo.collection(name)
        total, done, changed = await collection.estimated_document_count(), 0, 0
        yield Step(name, 0, total, 0)
        async for row in collection.find({}):
            done += 1
            update = _update(context, name, fields, row)
            if update:
                read = {field: row[field] for field in update}
                changed += (await collection.update_one({"_id": row["_id"], **read}, {"$set": update})).modified_count
            if done % 500 == 0:
                yield Step(name, done, total, changed)
                changed = 0
        yield Step(name, done, done, changed)


def _update(context: Context, name: str, fields: tuple[str, ...], row: RawDocument) -> dict[str, Any]:
    ring, update = context.ring, {}
    for field in fields:
        sealed = row.get(f"{field}_sealed")
        if sealed is not None and ring.needs_rotation(sealed):
            place = mapping.place(name, field, row["_id"])
            update[f"{field}_sealed"] = ring.seal(ring.open(sealed, context=place), context=place)
    if name == "accounts" and "email_sealed" in update:
        place = mapping.place(name, "email", row["_id"])
        update["email_index"] = context.email_indexes(ring.open(row["email_sealed"], context=place))[0]
    return update
