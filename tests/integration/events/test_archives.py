"""The archive of a person holds what all six services keep of that person, and nothing of anybody else's."""

import io
import json
import zipfile
from typing import Any

from kelmah.contracts.common import Role
from kelmah.contracts.exports import PARTS
from kelmah.kit.context import Principal
from kelmah.services.auth.service import archives
from tests.integration.events.conftest import Town

#: Part → (collection, the fields of a row that name whose it is).
OWN = {
    "job/jobs": ("jobs", ["hirer_id"]),
    "job/applications": ("applications", ["worker_id"]),
    "job/contracts": ("contracts", ["hirer_id", "worker_id"]),
    "payment/escrows": ("escrows", ["hirer_id", "worker_id"]),
    "payment/disputes": ("disputes", ["hirer_id", "worker_id"]),
    "payment/deposits": ("deposits", ["user_id"]),
    "messaging/conversations": ("conversations", ["participants.user_id"]),
    "messaging/notifications": ("notifications", ["user_id"]),
    "review/written": ("reviews", ["reviewer_id"]),
}


async def archive_of(town: Town, user_id: str, role: Role) -> dict[str, Any]:
    by = Principal(user_id=user_id, role=role, session_id="")
    zipped = b"".join([chunk async for chunk in archives.gather(town.contexts["auth"], by)])
    with zipfile.ZipFile(io.BytesIO(zipped)) as found:
        return {name.removesuffix(".json"): json.loads(found.read(name)) for name in found.namelist()}


async def test_it_holds_all_of_ones_own_and_of_nobody_else(town: Town) -> None:
    people = {Role(row["role"]): row["_id"] async for row in town.mongo("auth").collection("accounts").find()}
    contract = await town.mongo("job").collection("contracts").find_one({"status": "completed"})
    assert contract is not None
    people |= {Role.HIRER: contract["hirer_id"], Role.WORKER: contract["worker_id"]}
    assert len(people) == len(Role)
    for role, user_id in people.items():
        found = await archive_of(town, user_id, role)
        assert set(found) == {f"{name}/{part}" for name, parts in PARTS.items() for part in parts} | {"index"}
        assert all(part["complete"] for part in found["index"]["parts"])
        assert found["auth/account"][0]["account"]["id"] == user_id
        assert found["user/profile"][0]["profile"]["userId"] == user_id
        for part, (collection, fields) in OWN.items():
            rows = town.mongo(part.partition("/")[0]).collection(collection)
            own = [row["_id"] async for row in rows.find({"$or": [{field: user_id} for field in fields]})]
            assert sorted(one["id"] for one in found[part]) == sorted(own), (role, part)
        talks = {one["id"] for one in found["messaging/conversations"]}
        sent = town.mongo("messaging").collection("messages").find({"conversation_id": {"$in": list(talks)}})
        assert {one["id"] for one in found["messaging/messages"]} == {row["_id"] async for row in sent}
        if role in (Role.HIRER, Role.WORKER):
            assert found["job/contracts"], role
            assert found["payment/transactions"], role
            assert found["messaging/messages"], role
            assert found["review/written"], role
        else:  # staff may look at anybody's, and owns none of it
            assert found["payment/escrows"] == found["payment/disputes"] == found["job/contracts"] == []
