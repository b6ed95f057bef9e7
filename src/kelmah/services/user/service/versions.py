"""What each edit made of a person's own fields. Kept sealed: a phone number stays one when it is old."""

from typing import Any

import msgspec

from kelmah.contracts.common import FieldChange
from kelmah.contracts.user import ProfileVersion, UpdateProfile
from kelmah.kit import clock
from kelmah.kit.crypto import KeyRing
from kelmah.services.user import mapping
from kelmah.services.user.documents import versions as documents
from kelmah.services.user.documents.profiles import Private, ProfileDocument
from kelmah.services.user.documents.versions import ProfileVersionDocument

#: The fields that `PATCH /users/me` sets, by their names there.
_FIELDS = tuple(one.encode_name for one in msgspec.structs.fields(UpdateProfile))


class Edit(msgspec.Struct, frozen=True):
    """The fields before an edit, and those that it changed."""

    before: dict[str, Any]
    after: dict[str, Any]


def fields(profile: ProfileDocument, private: Private) -> dict[str, Any]:
    """A person's own fields, as `PATCH /users/me` takes them."""
    whole = msgspec.to_builtins(mapping.my_profile(profile, private))
    return {name: whole[name] for name in _FIELDS}


async def keep(ring: KeyRing, profile: ProfileDocument, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Keep what an edit made of a profile, which has its next version already. In the open transaction."""
    edit = Edit(before, {name: value for name, value in after.items() if before[name] != value})
    version = profile.version - 1
    sealed = ring.seal(msgspec.json.encode(edit).decode(), context=version_place(profile.id, version))
    await documents.keep(profile.id, version, sealed=sealed, at=clock.now())


def contents(ring: KeyRing, row: ProfileVersionDocument) -> Edit:
    """What was kept of an edit."""
    return msgspec.json.decode(ring.open(row.sealed, context=version_place(row.user_id, row.version)), type=Edit)


def view(ring: KeyRing, row: ProfileVersionDocument) -> ProfileVersion:
    """An edit as its person sees it."""
    edit = contents(ring, row)
    return ProfileVersion(
        version=row.version,
        replaced_at=row.replaced_at,
        diff=[FieldChange(field=name, before=edit.before[name], after=value) for name, value in edit.after.items()],
    )


def version_place(user_id: str, version: int) -> bytes:
    """The place that an edit is sealed for."""
    return f"user.profile.version:{user_id}:{version}".encode()
