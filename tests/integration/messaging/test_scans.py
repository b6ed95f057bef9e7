"""Files are looked through before anybody reads them, and stay closed while nobody can look."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kelmah.kit.context import Principal
from kelmah.kit.scanner import Clamd, ScanFailed
from kelmah.services.messaging import service as rules
from tests.fixtures.archives import docx, zipped
from tests.fixtures.clamd import EICAR, FakeClamd, clamd_server
from tests.fixtures.service import Reply, Service
from tests.integration.messaging.conftest import Instances, say

PDF = b"%PDF-1.7\n" + b"x" * 200_000 + b"\n%%EOF"


@pytest.fixture
async def clamd(service: Service) -> AsyncIterator[FakeClamd]:
    async with clamd_server() as fake:
        service.replace(scanner=Clamd(fake.url))
        yield fake
        service.replace(scanner=None)


async def upload(
    service: Service, conversation_id: str, by: Principal, content: bytes, name: str = "plan.pdf"
) -> dict[str, Any]:
    reply = await service.call(
        "POST", f"/api/v1/conversations/{conversation_id}/attachments", raw=content, by=by,
        headers={"content-type": "application/octet-stream", "x-filename": name},
    )  # fmt: skip
    assert reply.status == 201, reply.data
    found: dict[str, Any] = reply.data
    return found


async def download(service: Service, file: dict[str, Any], by: Principal) -> Reply:
    return await service.call("GET", f"/api/v1/attachments/{file['id']}", by=by)


async def test_a_clean_file_opens_after_its_scan(
    instances: Instances, clamd: FakeClamd, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    service = here.service
    file = await upload(service, conversation_id, hirer, PDF)
    assert file["state"] == "scanning"
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"scan:{file['id']}"})
    assert (timer["actor"], timer["args"]) == ("messaging.scan_attachment", [file["id"]])
    sent = await say(service, conversation_id, "the plan", hirer, attachmentIds=[file["id"]])
    assert sent["attachments"][0]["state"] == "scanning"
    for who in (hirer, worker):
        closed = await download(service, file, who)
        assert (closed.status, closed.data["code"]) == (409, "messaging.file_scanning")

    async with there.talk(worker) as client:
        for _ in range(2):
            await rules.scan_attachment(service.context, file["id"])
        frame = await client.until("change")
    assert frame["message"]["attachments"][0]["state"] == "clean"
    assert clamd.scanned == [PDF]
    assert (await download(service, file, worker)).body == PDF


async def test_malware_is_thrown_away(
    service: Service, clamd: FakeClamd, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    file = await upload(service, conversation_id, hirer, PDF + EICAR)
    sent = await say(service, conversation_id, "open me", hirer, attachmentIds=[file["id"]])
    await rules.scan_attachment(service.context, file["id"])
    for who in (hirer, worker):
        refused = await download(service, file, who)
        assert (refused.status, refused.data["code"]) == (403, "messaging.file_infected")
    assert not await service.context.blobs.exists(file["id"])
    page = await service.call("GET", f"/api/v1/conversations/{conversation_id}/messages", by=worker)
    (now,) = page.data["items"]
    assert (now["id"], now["attachments"][0]["state"], now["change"]) == (sent["id"], "infected", 1)


@pytest.mark.parametrize("inside", [EICAR, zipped({"in.zip": zipped({"readme.txt": EICAR})})])
async def test_malware_inside_a_document_is_thrown_away(
    service: Service, clamd: FakeClamd, hirer: Principal, conversation_id: str, inside: bytes
) -> None:
    """Packed, and in an archive within; the scanner is given the file as it came."""
    letter = docx({"word/media/image1.png": inside})
    assert EICAR not in letter
    file = await upload(service, conversation_id, hirer, letter, "letter.docx")
    await rules.scan_attachment(service.context, file["id"])
    assert clamd.scanned == [letter]
    assert (await download(service, file, hirer)).status == 403
    assert not await service.context.blobs.exists(file["id"])


async def test_malware_across_the_parts_of_an_upload_is_thrown_away(
    service: Service, clamd: FakeClamd, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    content = PDF[:1000] + EICAR
    headers = {"content-type": "application/octet-stream", "x-filename": "plan.pdf", "upload-length": str(len(content))}
    begun = await service.call("POST", f"/api/v1/conversations/{conversation_id}/uploads", by=hirer, headers=headers)
    path, ends = f"/api/v1/uploads/{begun.data['id']}", [0, 500, 1010, 1040, len(content)]  # twice in the middle of it
    replies = [
        await service.call(
            "PATCH", path, raw=content[offset:end], by=hirer, headers=headers | {"upload-offset": str(offset)}
        )
        for offset, end in itertools.pairwise(ends)
    ]
    file = replies[-1].data
    assert file["state"] == "scanning"
    await rules.scan_attachment(service.context, file["id"])
    assert clamd.scanned == [content]
    for who in (hirer, worker):
        assert (await download(service, file, who)).status in (403, 404)
    assert not await service.context.blobs.exists(file["id"])


@pytest.mark.parametrize("answer", [b"INSTREAM size limit exceeded. ERROR", b"", b"stream: OK?", b"UNKNOWN COMMAND"])
async def test_without_a_clear_answer_a_file_stays_closed(
    service: Service, clamd: FakeClamd, hirer: Principal, conversation_id: str, answer: bytes
) -> None:
    file = await upload(service, conversation_id, hirer, PDF)
    clamd.answer = answer
    with pytest.raises(ScanFailed):
        await rules.scan_attachment(service.context, file["id"])
    assert (await download(service, file, hirer)).status == 409
    clamd.answer = None
    await rules.scan_attachment(service.context, file["id"])
    assert (await download(service, file, hirer)).status == 200


async def test_a_scanner_that_is_away_leaves_files_closed(
    service: Service, clamd: FakeClamd, hirer: Principal, conversation_id: str
) -> None:
    service.replace(scanner=Clamd("tcp://127.0.0.1:9"))
    file = await upload(service, conversation_id, hirer, PDF)
    with pytest.raises(ScanFailed):
        await rules.scan_attachment(service.context, file["id"])
    assert (await download(service, file, hirer)).status == 409
    assert clamd.scanned == []


@pytest.mark.parametrize("url", ["", "clamd:3310", "tcp://clamd", "http://clamd:3310", "unix://"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="clamd's address"):
        Clamd(url)
