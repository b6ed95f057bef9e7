"""Encrypts what is stored anew with the newest field key, so that an older one can be taken away.

Each service says in `service/resealing.py` which of its fields are sealed. What lives for a day at most (answers kept
for a replay, links) is left to run out, and so are files, whose bytes keep the key that they were sealed with.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kelmah.kit.crypto import KeyRing
from kelmah.kit.mongo import Mongo, RawDocument
from kelmah.kit.people import PERSON_KEYS, place_of_key

#: The place that a value was sealed for, from its document and the item of a list that holds it (else the document).
Place = Callable[[RawDocument, RawDocument], bytes]
#: What else is set with a document that is sealed anew: keyed digests of what it says.
Derive = Callable[[KeyRing, RawDocument], dict[str, Any]]
_STEP = 500


class Sealed(NamedTuple):
    """The sealed fields of a collection: dotted paths, through lists as well, and their places."""

    collection: str
    places: Mapping[str, Place]
    derive: Derive | None = None


class Step(NamedTuple):
    """How far one collection is, and how many documents were changed since the step before."""

    collection: str
    done: int
    total: int
    changed: int


def of_id(place: Callable[[str], bytes] = str.encode) -> Place:
    """A place that the document's id makes."""
    return lambda document, _: place(document["_id"])


def of_item(place: Callable[[str], bytes] = str.encode) -> Place:
    """A place that the id of a list's item makes."""
    return lambda _, item: place(item["id"])


_OF_PEOPLE = Sealed(PERSON_KEYS, {"key": of_id(place_of_key)})


async def reseal(mongo: Mongo, ring: KeyRing, sealed: Sequence[Sealed]) -> AsyncIterator[Step]:
    """Go through a service's documents; what is under the newest key already is left, so it can be run again at will.

    A document is changed only if its sealed fields are still what was read, so it may run while the service does.

    Raises:
        DecryptionError: a value is of a key that is not in the ring.
    """
    for one in (_OF_PEOPLE, *sealed):
        collection = mongo.collection(one.collection)
        total, done, changed = await collection.estimated_document_count(), 0, 0
        yield Step(one.collection, 0, total, 0)
        async for document in collection.find({}).sort("_id", 1):
            done += 1
            read, update = _renewed(ring, document, one.places)
            if update:
                update |= one.derive(ring, document) if one.derive else {}
                result = await collection.update_one({"_id": document["_id"], **read}, {"$set": update})
                changed += result.modified_count
            if done % _STEP == 0:
                yield Step(one.collection, done, total, changed)
                changed = 0
        yield Step(one.collection, done, done, changed)


def _renewed(
    ring: KeyRing, document: RawDocument, places: Mapping[str, Place]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values that are under an older key, and the same under the newest; both by their whole paths."""
    read, update = {}, {}
    for path, place in places.items():
        for where, value, item in _values(document, path.split("."), document):
            renewed = ring.renewed(value, context=place(document, item))
            if renewed is not None:
                read[where], update[where] = value, renewed
    return read, update


def _values(
    node: Any, path: Sequence[str], item: RawDocument, where: str = ""
) -> Iterator[tuple[str, str | bytes, RawDocument]]:
    if isinstance(node, list):
        for number, one in enumerate(node):
            yield from _values(one, path, one if isinstance(one, dict) else item, f"{where}.{number}")
    elif path and isinstance(node, dict):
        yield from _values(node.get(path[0]), path[1:], item, f"{where}.{path[0]}".removeprefix("."))
    elif not path and isinstance(node, str | bytes) and node:
        yield where, node, item
