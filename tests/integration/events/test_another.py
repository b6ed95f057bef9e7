"""Whose it is: a person of the right role who asks for what is another's meets what `another.toml` states: 404.

The route table and the policies let the role in (tests/unit/gateway/authorization.toml); here the query has its say.
A new operation on one thing fails here until somebody wrote down what a stranger meets.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from kelmah.contracts.common import Role
from kelmah.gateway import routes
from kelmah.kit import clock, signing
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from tests.integration.events.conftest import Town

SERVED = Path(routes.__file__).with_name("openapi.json")
STATED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("another.toml").read_text(encoding="utf-8"))

#: What uploads in parts ask for (tus).
UPLOAD = {"upload-length": "3", "upload-offset": "0", "x-filename": "a.png", "tus-resumable": "1.0.0"}


def operations() -> dict[str, tuple[str, str, str, bool]]:
    """Service and operation → method, path, and whether it takes a body; of those on one thing that is somebody's."""
    table, found = routes.load(), {}
    for path, item in msgspec.json.decode(SERVED.read_bytes())["paths"].items():
        for verb, operation in item.items():
            spot = "/".join("~" if part.startswith("{") else part for part in path.split("/"))
            route = (table.match(spot) or {})[verb.upper()]
            staff = route.roles and not route.roles & {Role.HIRER, Role.WORKER}
            if "{" in path and route.roles is not None and not staff and "{provider}" not in path:
                name = f"{route.service}.{operation['operationId']}"
                found[name] = (verb.upper(), path, route.service, "requestBody" in operation)
    return found


OPERATIONS = operations()


def test_every_operation_on_one_thing_is_stated() -> None:
    assert sorted(STATED["outcomes"]) == sorted(OPERATIONS)


async def sample(town: Town) -> dict[str, str]:
    """Ids of things that two people have, by the parameters of paths; the rest is not there at all."""

    async def one(service: str, collection: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        row = await town.mongo(service).collection(collection).find_one(query or {}, sort=[("_id", 1)])
        assert row is not None, collection
        return dict(row)

    contract = await one("job", "contracts", {"status": "completed"})
    sides = {"$in": [contract["hirer_id"], contract["worker_id"]]}
    return {
        "contract_id": contract["_id"],
        "milestone_id": contract["milestones"][0]["id"],
        "job_id": contract["job_id"],
        "application_id": contract["application_id"],
        "conversation_id": (await one("messaging", "conversations", {"participants.user_id": sides}))["_id"],
        "message_id": (await one("messaging", "messages", {"sender_id": sides}))["_id"],
        "escrow_id": (await one("payment", "escrows", {"contract_id": contract["_id"]}))["_id"],
        "deposit_id": (await one("payment", "deposits"))["_id"],
        "dispute_id": (await one("payment", "disputes"))["_id"],
        "review_id": (await one("review", "reviews", {"reviewer_id": contract["hirer_id"]}))["_id"],
        "user_id": contract["worker_id"],
    }


async def call(town: Town, service: str, method: str, target: str, body: Any, by: Principal) -> tuple[int, str]:
    """As the gateway calls; status, and what is wrong with the input, if that is it."""
    transport = town.contexts["job" if service == "user" else "user"].callers[service]._transport
    content = b"" if body is None else msgspec.json.encode(body)
    headers = signing.sign(
        caller="gateway",
        callee=service,
        method=method,
        target=target,
        digest=signing.body_digest(content),
        principal=by,
        keys={service: [SecretStr(one) for one in json.loads(town.env["KELMAH_GATEWAY_OUTGOING_KEYS"])[service]]},
    )
    kind = "application/json" if body is not None or method != "PATCH" else "application/offset+octet-stream"
    headers |= {"content-type": kind, "idempotency-key": new_id(), "if-match": '"1"', **UPLOAD}
    answer = await transport.send(method, target, headers, content, 20)
    return answer.status, answer.body.decode()[:300] if answer.status == 400 else ""


def fill(path: str) -> str:
    """A path whose other parameters name what is not there."""
    return re.sub(r"\{[a-z_]+\}", new_id(), path)


async def everything(town: Town) -> dict[str, str]:
    """All documents of the six services as text, but for counters, keys and what a look itself leaves."""
    found: dict[str, str] = {}
    for service in town.contexts:
        for name in sorted(await town.mongo(service).database.list_collection_names()):
            if name.startswith("system.") or name in STATED["looks"]:
                continue
            rows = town.mongo(service).collection(name).find(sort=[("_id", 1)])
            found[f"{service}.{name}"] = str([row async for row in rows])
    return found


async def test_a_stranger_meets_nothing_and_changes_nothing(town: Town) -> None:
    ids, before = await sample(town), await everything(town)
    now = int(clock.now().timestamp())
    accounts = town.mongo("auth").collection("accounts")
    strangers = {
        role: Principal(user_id=new_id(), role=role, session_id=new_id(), authenticated_at=now)
        for role in (Role.HIRER, Role.WORKER)
    }
    assert await accounts.count_documents({"_id": {"$in": [one.user_id for one in strangers.values()]}}) == 0
    wrong = []
    for name, (method, path, service, has_body) in OPERATIONS.items():
        if isinstance(STATED["outcomes"][name], str):
            continue
        met = []
        for by in strangers.values():
            target = path
            for parameter, value in ids.items():
                target = target.replace("{" + parameter + "}", value)
            body = json.loads(json.dumps(STATED["bodies"].get(name, {})).replace("{user_id}", ids["user_id"]))
            met.append(await call(town, service, method, fill(target), body if has_body else None, by))
        statuses = {status for status, _ in met}
        if not statuses <= {STATED["outcomes"][name], 403} or STATED["outcomes"][name] not in statuses:
            wrong.append((name, met))
    assert wrong == []
    assert await everything(town) == before
