"""Files: what is taken, who may read them, and that they lie encrypted."""

import asyncio
import io
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from pydantic import ValidationError

from kelmah.kit import clock, signing
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service as rules
from kelmah.services.messaging.settings import MessagingSettings
from tests.fixtures.archives import docx, zipped
from tests.fixtures.audio import m4a, mp3, ogg
from tests.fixtures.service import KEY, Reply, Service, request
from tests.integration.messaging.conftest import say

PDF = b"%PDF-1.7\n" + b"a plan of the kitchen\n" * 20_000  # seven pieces


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "png")
    return out.getvalue()


async def upload(service: Service, conversation_id: str, by: Principal, name: str, content: bytes) -> Reply:
    return await service.call(
        "POST",
        f"/api/v1/conversations/{conversation_id}/attachments",
        raw=content,
        by=by,
        headers={"X-Filename": quote(name), "content-type": "application/octet-stream"},
    )


async def kept(service: Service, **query: Any) -> tuple[int, int]:
    """Attachments of a query, and all blobs."""
    mongo = service.context.mongo
    return (
        await mongo.collection("attachments").count_documents(query),
        await mongo.collection("attachments.files").count_documents({}),
    )


async def test_a_file_goes_from_one_to_the_other(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    reply = await upload(service, conversation_id, hirer, "plan d'ébène № 1.PDF", PDF)
    assert reply.status == 201
    view = reply.data
    assert view == {
        "id": view["id"], "fileName": "plan d'ébène № 1.PDF", "mediaType": "application/pdf", "size": len(PDF),
        "state": "unscanned", "thumbnail": False,
    }  # fmt: skip
    path = f"/api/v1/attachments/{view['id']}"
    # Until it is sent, it is its uploader's alone.
    assert (await service.call("GET", path, by=worker)).status == 404
    assert (await service.call("GET", path, by=hirer)).body == PDF

    message = await say(service, conversation_id, "", hirer, attachmentIds=[view["id"]])
    assert message["attachments"] == [view]
    found = await service.call("GET", path, by=worker)
    assert (found.status, found.body) == (200, PDF)
    assert found.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote(view['fileName'], safe='')}"
    assert found.headers["content-type"] == "application/pdf"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-length"] == str(len(PDF))
    refused = await service.call("GET", path, by=stranger)
    assert (refused.status, refused.data["code"]) == (404, "messaging.attachment_not_found")

    events = (
        await service.context.mongo.collection("events").find({"subject": f"conversation:{conversation_id}"}).to_list()
    )
    assert [one["type"] for one in events] == ["messaging.message_sent.v1", "messaging.file_shared.v1"]


async def test_a_file_lies_encrypted(service: Service, hirer: Principal, conversation_id: str) -> None:
    reply = await upload(service, conversation_id, hirer, "secret plan.pdf", PDF)
    mongo = service.context.mongo
    row = await mongo.collection("attachments").find_one({"_id": reply.data["id"]})
    blob = await mongo.collection("attachments.files").find_one({"filename": reply.data["id"]})
    chunks = await mongo.collection("attachments.chunks").find({"files_id": blob["_id"]}).to_list()
    assert "secret plan" not in str(row)
    assert not any(b"kitchen" in chunk["data"] for chunk in chunks)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072, 131_073])
async def test_every_byte_comes_back(service: Service, hirer: Principal, conversation_id: str, size: int) -> None:
    content = PDF[:size]
    reply = await upload(service, conversation_id, hirer, "a.pdf", content)
    assert (await service.call("GET", f"/api/v1/attachments/{reply.data['id']}", by=hirer)).body == content


BOMB = docx({f"word/media/{number}.png": bytes(2**24) for number in range(7)})
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("photo.jpg", b"MZ\x90\x00" + bytes(200), 415, "messaging.file_type_refused"),
        ("photo.jpg", png(), 415, "messaging.file_type_refused"),
        ("photo.png.exe", png(), 415, "messaging.file_type_refused"),
        ("page.html", b"<script>alert(1)</script>", 415, "messaging.file_type_refused"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "messaging.file_type_refused"),
        ("files.zip", zipped({"zeros": bytes(1_000_000)}), 415, "messaging.file_type_refused"),
        ("letter.docx", zipped({"zeros": bytes(1_000_000)}), 415, "messaging.file_type_refused"),
        ("note.ogg", ogg(901), 413, "messaging.file_too_large"),
        ("note.m4a", m4a(901), 413, "messaging.file_too_large"),
        ("note.mp3", mp3(901), 413, "messaging.file_too_large"),
        ("note.ogg", b"OggS" + bytes(100), 415, "messaging.file_type_refused"),
        ("bomb.docx", BOMB, 415, "messaging.file_type_refused"),
        ("letter.docx", docx() + b"%PDF-1.7", 415, "messaging.file_type_refused"),
        ("letter.docx", docx({"word/vbaProject.bin": b""}), 415, "messaging.file_type_refused"),
        ("eicar.pdf", EICAR, 415, "messaging.file_type_refused"),
        ("empty.pdf", b"", 415, "messaging.file_type_refused"),
        ("plan", PDF, 400, "bad_input"),
        (".pdf", PDF, 400, "bad_input"),
        ("", PDF, 400, "bad_input"),
        ("../plan.pdf", PDF, 400, "bad_input"),
        ("..\\plan.pdf", PDF, 400, "bad_input"),
        ("pl\u202ean.pdf", PDF, 400, "bad_input"),
        ("pl\nan.pdf", PDF, 400, "bad_input"),
        ("x" * 252 + ".pdf", PDF, 400, "bad_input"),
        ("large.pdf", b"%PDF-1.7\n" + bytes(10_485_760), 413, "messaging.file_too_large"),
    ],
)  # fmt: skip
async def test_what_is_not_taken_leaves_nothing(
    service: Service, hirer: Principal, conversation_id: str, name: str, content: bytes, status: int, code: str
) -> None:
    before = (await kept(service))[1]
    reply = await upload(service, conversation_id, hirer, name, content)
    assert (reply.status, reply.data["code"]) == (status, code)
    assert await kept(service, conversation_id=conversation_id) == (0, before)


async def test_a_file_may_be_streamed_and_nothing_else(
    service: Service, hirer: Principal, conversation_id: str
) -> None:
    """The gateway cannot sign what it passes on piece by piece."""

    async def streamed(path: str, content: bytes) -> Reply:
        headers = signing.sign(
            caller="gateway", callee="messaging", method="POST", target=path, digest=signing.UNSIGNED_BODY,
            principal=hirer, keys={"messaging": [KEY]},
        )  # fmt: skip
        return await request(service.app, "POST", path, headers | {"x-filename": "a.pdf"}, content)

    path = f"/api/v1/conversations/{conversation_id}"
    view = (await streamed(f"{path}/attachments", PDF)).data
    assert (await service.call("GET", f"/api/v1/attachments/{view['id']}", by=hirer)).body == PDF
    assert (await streamed(f"{path}/messages", b'{"clientId":"a","text":"b"}')).status == 401


async def test_a_name_that_is_not_utf8_is_bad_input(service: Service, hirer: Principal, conversation_id: str) -> None:
    path = f"/api/v1/conversations/{conversation_id}/attachments"
    reply = await service.call("POST", path, raw=PDF, by=hirer, headers={"X-Filename": "%ff.pdf"})
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "X-Filename")


async def test_a_body_larger_than_any_file_is_refused_at_the_door(
    service: Service, hirer: Principal, conversation_id: str, settings: MessagingSettings
) -> None:
    reply = await upload(service, conversation_id, hirer, "a.pdf", bytes(settings.max_body_bytes + 1))
    assert (reply.status, reply.data["code"]) == (413, "payload_too_large")


async def test_a_file_is_sent_once_by_its_uploader_in_its_conversation(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    other = await service.call(
        "POST", "/api/v1/conversations", {"kind": "direct", "participantIds": [stranger.user_id]}, by=hirer
    )
    attachment_id = (await upload(service, conversation_id, hirer, "a.png", png())).data["id"]

    async def send(conversation: str, by: Principal) -> Reply:
        body = {"clientId": new_id(), "text": "see", "attachmentIds": [attachment_id]}
        return await service.call("POST", f"/api/v1/conversations/{conversation}/messages", body, by=by)

    for refused in (await send(conversation_id, worker), await send(other.data["id"], hirer)):
        assert (refused.status, refused.data["code"]) == (400, "messaging.attachments_not_usable")
    assert (await send(conversation_id, hirer)).status == 201
    again = await send(conversation_id, hirer)
    assert (again.status, again.data["errors"][0]["field"]) == (400, "attachmentIds")
    assert await service.context.mongo.collection("messages").count_documents({"conversation_id": conversation_id}) == 1


async def test_files_that_were_never_sent_are_thrown_away(
    service: Service, hirer: Principal, conversation_id: str
) -> None:
    sent = (await upload(service, conversation_id, hirer, "a.png", png())).data["id"]
    unsent = (await upload(service, conversation_id, hirer, "b.png", png())).data["id"]
    await say(service, conversation_id, "", hirer, attachmentIds=[sent])
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"upload:{unsent}"})
    assert (timer["actor"], timer["args"]) == ("messaging.discard_upload", [unsent])
    assert abs(timer["due"] - clock.now() - timedelta(hours=24)) < timedelta(minutes=1)

    for _ in range(2):  # running twice changes nothing
        await rules.discard_upload(service.context, sent)
        await rules.discard_upload(service.context, unsent)

    assert (await service.call("GET", f"/api/v1/attachments/{sent}", by=hirer)).body == png()
    assert (await service.call("GET", f"/api/v1/attachments/{unsent}", by=hirer)).status == 404
    assert not await service.context.blobs.exists(unsent)


def photo(**more: Any) -> bytes:
    """A photo that says where it was taken, and lies on its side."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera of Accra"
    Image.new("RGB", (600, 400), "green").save(out, exif=exif, comment="at home", **more)
    return out.getvalue()


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "jpeg"), ("a.webp", "webp"), ("a.png", "png"), ("a.gif", "gif")])
async def test_a_picture_keeps_its_pixels_only(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str, name: str, kind: str
) -> None:
    content = photo(format=kind) + b"PK\x05\x06 a second file behind the first"
    view = (await upload(service, conversation_id, hirer, name, content)).data
    path = f"/api/v1/attachments/{view['id']}"
    kept = (await service.call("GET", path, by=hirer)).body
    assert len(kept) == view["size"]
    assert view["thumbnail"] is True
    for trace in (b"Accra", b"at home", b"second file", b"Exif"):
        assert trace not in kept
    with Image.open(io.BytesIO(kept)) as image:
        assert (image.format, image.size) == (kind.upper(), (600, 400) if kind == "gif" else (400, 600))

    # The small picture has the same readers.
    assert (await service.call("GET", f"{path}/thumbnail", by=worker)).status == 404
    await say(service, conversation_id, "", hirer, attachmentIds=[view["id"]])
    small = await service.call("GET", f"{path}/thumbnail", by=worker)
    assert (small.status, small.headers["content-type"]) == (200, "image/webp")
    with Image.open(io.BytesIO(small.body)) as image:
        assert (image.format, max(image.size)) == ("WEBP", 320)


async def test_a_document_has_no_small_picture(service: Service, hirer: Principal, conversation_id: str) -> None:
    view = (await upload(service, conversation_id, hirer, "a.pdf", PDF)).data
    reply = await service.call("GET", f"/api/v1/attachments/{view['id']}/thumbnail", by=hirer)
    assert (reply.status, reply.data["code"]) == (404, "messaging.attachment_not_found")


def bomb() -> bytes:
    """A picture of a few kilobytes that would take 300 MB."""
    out = io.BytesIO()
    Image.new("1", (50_000, 50_000)).save(out, "png")
    return out.getvalue()


@pytest.mark.parametrize("content", [photo(format="png")[:-100], bomb()], ids=["half an upload", "a bomb"])
async def test_a_picture_that_is_none_leaves_nothing(
    service: Service, hirer: Principal, conversation_id: str, content: bytes
) -> None:
    before = (await kept(service))[1]
    reply = await upload(service, conversation_id, hirer, "a.png", content)
    assert (reply.status, reply.data["code"]) == (415, "messaging.file_type_refused")
    assert await kept(service, conversation_id=conversation_id) == (0, before)


async def used(service: Service, who: Principal) -> int:
    row = await service.context.mongo.collection("file_usage").find_one({"_id": who.user_id})
    return 0 if row is None else int(row["size"])


async def test_a_person_has_so_many_bytes(service: Service, hirer: Principal, conversation_id: str) -> None:
    settings = service.context.settings
    service.replace(settings=settings.model_copy(update={"attachment_quota_bytes": 2 * len(PDF)}))
    try:
        replies = await asyncio.gather(*(upload(service, conversation_id, hirer, "a.pdf", PDF) for _ in range(4)))
        assert sorted(one.status for one in replies) == [201, 201, 413, 413]
        assert {one.data["code"] for one in replies if one.status == 413} == {"messaging.quota_reached"}
        assert await used(service, hirer) == 2 * len(PDF)
        assert (await kept(service, conversation_id=conversation_id))[0] == 2
        gone = next(one.data["id"] for one in replies if one.status == 201)
        for _ in range(2):  # running twice gives back once
            await rules.discard_upload(service.context, gone)
        assert await used(service, hirer) == len(PDF)
        assert (await upload(service, conversation_id, hirer, "a.pdf", PDF)).status == 201
        assert (await upload(service, conversation_id, hirer, "a.pdf", PDF[:10])).status == 413
    finally:
        service.replace(settings=settings)


async def test_what_was_taken_back_is_given_back(service: Service, hirer: Principal, conversation_id: str) -> None:
    view = (await upload(service, conversation_id, hirer, "a.png", png())).data
    message = await say(service, conversation_id, "", hirer, attachmentIds=[view["id"]])
    path = f"/api/v1/conversations/{conversation_id}/messages/{message['id']}"
    assert (await service.call("DELETE", path, by=hirer)).status == 204
    assert await used(service, hirer) == view["size"]  # staff can read it for some time
    for _ in range(2):
        await rules.purge_message(service.context, message["id"])
    assert await used(service, hirer) == 0
    for blob_id in (view["id"], f"{view['id']}-thumbnail"):
        assert not await service.context.blobs.exists(blob_id)


@pytest.mark.parametrize(
    ("environment", "values", "is_good"),
    [
        ("production", {}, False),
        ("production", {"unscanned_files": True}, True),
        ("production", {"clamd_url": "tcp://clamd:3310"}, True),
        ("development", {}, True),
    ],
)
def test_production_scans_or_says_that_it_does_not(
    settings: MessagingSettings, environment: str, values: dict[str, Any], is_good: bool
) -> None:
    given = settings.model_dump(exclude={"clamd_url", "unscanned_files"}) | {"environment": environment} | values
    if is_good:
        MessagingSettings.model_validate(given)
        return
    with pytest.raises(ValidationError, match="production needs a scanner"):
        MessagingSettings.model_validate(given)


@pytest.mark.parametrize(("name", "content"), [("a.ogg", ogg(900)), ("a.m4a", m4a(900)), ("a.mp3", mp3(890))])
async def test_a_voice_note_of_a_quarter_of_an_hour_is_taken(
    service: Service, hirer: Principal, conversation_id: str, name: str, content: bytes
) -> None:
    reply = await upload(service, conversation_id, hirer, name, content)
    assert reply.status == 201, reply.data
    assert (await service.call("GET", f"/api/v1/attachments/{reply.data['id']}", by=hirer)).body == content


async def test_a_link_gives_a_file_for_five_minutes(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    file, other = [(await upload(service, conversation_id, hirer, "a.pdf", PDF)).data for _ in range(2)]
    path = f"/api/v1/attachments/{file['id']}"
    for who in (worker, stranger):  # it is not sent yet
        refused = await service.call("POST", f"{path}/links", by=who)
        assert (refused.status, refused.data["code"]) == (404, "messaging.attachment_not_found")
    message = await say(service, conversation_id, "", hirer, attachmentIds=[file["id"]])
    made = await service.call("POST", f"{path}/links", by=worker)
    assert made.status == 201
    target = made.data["url"].removeprefix("https://api.kelmah.example")
    assert target.startswith(f"{path}/file?token=")
    assert worker.user_id not in target
    found = await service.call("GET", target)  # by nobody
    assert (found.status, found.body, found.headers["content-disposition"][:10]) == (200, PDF, "attachment")
    assert found.headers["cache-control"] == "private, no-store"

    elsewhere = target.replace(file["id"], other["id"], 1)
    for bad in (elsewhere, f"{path}/file", f"{path}/file?token=k1.AAAA", target[:-1]):
        refused = await service.call("GET", bad)
        assert (refused.status, refused.data["code"]) == (400, "messaging.link_not_good")
    clock.set_shift(timedelta(minutes=5))
    try:
        refused = await service.call("GET", target)
    finally:
        clock.reset()
    assert (refused.status, refused.data["code"]) == (400, "messaging.link_not_good")

    assert (await service.call("GET", target)).status == 200
    gone = await service.call("DELETE", f"/api/v1/conversations/{conversation_id}/messages/{message['id']}", by=hirer)
    assert gone.status in (200, 204)
    assert (await service.call("GET", target)).status == 404
