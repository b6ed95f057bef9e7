"""Files that come in parts: whole or not there, bounded, and one's own."""

import asyncio
import base64
import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.messaging import service as rules
from tests.fixtures.service import Reply, Service
from tests.integration.messaging.test_attachments import EICAR, PDF, kept


async def begin(service: Service, conversation_id: str, by: Principal, length: Any, name: str = "plan.pdf") -> Reply:
    path = f"/api/v1/conversations/{conversation_id}/uploads"
    return await service.call("POST", path, by=by, headers={"Upload-Length": str(length), "X-Filename": quote(name)})


async def append(
    service: Service, upload_id: str, by: Principal, offset: int, part: bytes, checksum: str | None = None
) -> Reply:
    headers = {"Upload-Offset": str(offset), "content-type": "application/offset+octet-stream"}
    more = {} if checksum is None else {"Upload-Checksum": checksum}
    return await service.call("PATCH", f"/api/v1/uploads/{upload_id}", raw=part, by=by, headers=headers | more)


def sha256(part: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(part).digest()).decode()


async def offset_of(service: Service, upload_id: str, by: Principal) -> int:
    reply = await service.call("HEAD", f"/api/v1/uploads/{upload_id}", by=by)
    assert (reply.status, reply.body) == (200, b"")
    return int(reply.headers["upload-offset"])


async def test_a_file_comes_in_parts(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    blobs = (await kept(service))[1]
    made = await begin(service, conversation_id, hirer, len(PDF))
    upload_id = made.data["id"]
    assert (made.status, made.headers["location"]) == (201, f"/api/v1/uploads/{upload_id}")
    assert (made.data["offset"], made.data["length"]) == (0, len(PDF))
    first, second = PDF[:100_001], PDF[100_001:]
    reply = await append(service, upload_id, hirer, 0, first, sha256(first))
    assert (reply.status, reply.headers["upload-offset"], reply.body) == (204, "100001", b"")

    for by, offset, part, checksum, status, code in (
        (worker, 100_001, second, None, 404, "messaging.upload_not_found"),
        (hirer, 0, first, None, 409, "messaging.upload_offset_wrong"),
        (hirer, 100_002, second, None, 409, "messaging.upload_offset_wrong"),
        (hirer, 100_001, second + b"x", None, 413, "messaging.file_too_large"),
        (hirer, 100_001, second, sha256(first), 400, "bad_input"),
        (hirer, 100_001, second, "md5 abc", 400, "bad_input"),
    ):
        refused = await append(service, upload_id, by, offset, part, checksum)
        assert (refused.status, refused.data["code"]) == (status, code)
        assert await offset_of(service, upload_id, hirer) == 100_001

    done = await append(service, upload_id, hirer, 100_001, second)
    assert (done.status, done.data["id"], done.data["size"]) == (200, upload_id, len(PDF))
    assert (await service.call("GET", f"/api/v1/attachments/{upload_id}", by=hirer)).body == PDF
    assert (await service.call("GET", f"/api/v1/uploads/{upload_id}", by=hirer)).status == 404
    assert (await kept(service))[1] == blobs + 1  # nothing is left of the parts


async def test_two_at_once_add_one_part(service: Service, hirer: Principal, conversation_id: str) -> None:
    upload_id = (await begin(service, conversation_id, hirer, len(PDF))).data["id"]
    blobs = (await kept(service))[1]
    replies = await asyncio.gather(*(append(service, upload_id, hirer, 0, PDF[:50_000]) for _ in range(3)))
    assert sorted(one.status for one in replies) == [204, 409, 409]
    assert await offset_of(service, upload_id, hirer) == 50_000
    assert (await kept(service))[1] == blobs + 1
    assert (await service.call("DELETE", f"/api/v1/uploads/{upload_id}", by=hirer)).status == 204


async def test_half_an_upload_is_thrown_away(service: Service, hirer: Principal, conversation_id: str) -> None:
    before = (await kept(service))[1]
    made = (await begin(service, conversation_id, hirer, len(PDF))).data
    await append(service, made["id"], hirer, 0, PDF[:50_000])
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"parts:{made['id']}"})
    assert (timer["actor"], timer["args"]) == ("messaging.drop_upload", [made["id"]])
    assert abs(timer["due"] - clock.now() - timedelta(hours=24)) < timedelta(minutes=1)
    clock.shift(timedelta(hours=24, seconds=1))
    try:
        assert (await append(service, made["id"], hirer, 50_000, PDF[50_000:])).status == 404
    finally:
        clock.reset()
    for _ in range(2):
        await rules.drop_upload(service.context, made["id"])
    assert await kept(service, conversation_id=conversation_id) == (0, before)


async def test_what_is_whole_and_not_taken_leaves_nothing(
    service: Service, hirer: Principal, conversation_id: str
) -> None:
    before = (await kept(service))[1]
    upload_id = (await begin(service, conversation_id, hirer, len(EICAR))).data["id"]
    reply = await append(service, upload_id, hirer, 0, EICAR)
    assert (reply.status, reply.data["code"]) == (415, "messaging.file_type_refused")
    assert (await service.call("GET", f"/api/v1/uploads/{upload_id}", by=hirer)).status == 404
    assert await kept(service, conversation_id=conversation_id) == (0, before)


async def test_a_crash_before_the_file_was_noted_is_made_good(
    service: Service, hirer: Principal, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = (await begin(service, conversation_id, hirer, len(PDF))).data["id"]

    async def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("the process died")

    with monkeypatch.context() as patch:
        patch.setattr("kelmah.services.messaging.service.attachments.attachments.add", die)
        patch.setattr("kelmah.services.messaging.service.attachments.delete_bytes", die)
        assert (await append(service, upload_id, hirer, 0, PDF)).status == 500
    assert await offset_of(service, upload_id, hirer) == len(PDF)
    for _ in range(2):  # also when the answer is lost
        done = await append(service, upload_id, hirer, len(PDF), b"")
        if done.status == 404:
            break
        assert (done.status, done.data["id"]) == (200, upload_id)
    assert (await service.call("GET", f"/api/v1/attachments/{upload_id}", by=hirer)).body == PDF


async def test_what_cannot_begin(service: Service, hirer: Principal, stranger: Principal, conversation_id: str) -> None:
    most = service.context.settings.attachment_max_bytes
    for by, length, name, status, code in (
        (stranger, 10, "a.pdf", 404, "messaging.conversation_not_found"),
        (hirer, most + 1, "a.pdf", 413, "messaging.file_too_large"),
        (hirer, 0, "a.pdf", 400, "bad_input"),
        (hirer, "x", "a.pdf", 400, "bad_input"),
        (hirer, 10, "a.exe", 400, "bad_input"),
        (hirer, 10, "", 400, "bad_input"),
    ):
        reply = await begin(service, conversation_id, by, length, name)
        assert (reply.status, reply.data["code"]) == (status, code), (length, name)
    replies = await asyncio.gather(*(begin(service, conversation_id, hirer, most) for _ in range(5)))
    assert sorted(one.status for one in replies) == [201, 201, 201, 429, 429]
    assert {one.data["code"] for one in replies if one.status == 429} == {"messaging.too_many_uploads"}
    for one in replies:
        if one.status == 201:
            await service.call("DELETE", f"/api/v1/uploads/{one.data['id']}", by=hirer)
    assert (await begin(service, conversation_id, hirer, most)).status == 201
