"""Pictures of finished works."""

import asyncio
import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from kelmah.contracts.common import Role
from kelmah.kit.blobs import BlobStore
from kelmah.kit.context import Principal
from kelmah.services.user.service import images
from tests.fixtures.service import Reply
from tests.integration.user.conftest import Town


def jpeg(width: int = 800, height: int = 600, **more: Any) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(made, "JPEG", **more)
    return made.getvalue()


def photo() -> bytes:
    """A picture that says where and with what it was taken."""
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    exif.get_ifd(0x8825)[2] = (5.0, 36.0, 0.0)
    return jpeg(exif=exif, comment=b"SECRETCOMMENT")


def png(width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of a declared size, with these chunks between its head and its end."""
    header = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    made = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def bomb() -> bytes:
    """A tiny PNG that declares 20,000 x 20,000 pixels."""
    return png(20_000, (b"IDAT", zlib.compress(b"")))


def packed(kind: bytes, before: bytes) -> bytes:
    """A small PNG with a chunk that unpacks to 50 MB."""
    pixels = zlib.compress(8 * bytes(1 + 3 * 8))
    return png(8, (kind, before + zlib.compress(bytes(50_000_000))), (b"IDAT", pixels))


async def item(town: Town, by: Principal, title: str = "A roof") -> str:
    reply = await town.call("POST", "/users/me/portfolio", {"title": title}, by=by)
    assert reply.status == 201
    return str(reply.data["id"])


async def upload(town: Town, item_id: str, data: bytes, by: Principal | None) -> Reply:
    headers = {"content-type": "application/octet-stream"}
    return await town.service.call(
        "POST", f"/api/v1/users/me/portfolio/{item_id}/images", raw=data, by=by, headers=headers
    )


async def shown(town: Town, by: Principal, image_id: str, query: str = "") -> Reply:
    return await town.call("GET", f"/workers/{by.user_id}/images/{image_id}{query}")


async def blobs_kept(town: Town, *image_ids: str) -> int:
    store: BlobStore = town.context.blobs
    return sum([await store.exists(one + end) for one in image_ids for end in ("", "-thumbnail")])


async def timers(town: Town, by: Principal) -> list[dict[str, Any]]:
    found = await town.context.mongo.collection("timers").find({"args": by.user_id}).to_list()
    return [timer for timer in found if timer["actor"] == "user.discard_image"]


async def test_a_picture_is_shown_in_two_sizes_without_what_it_gives_away(town: Town) -> None:
    ama = town.somebody()
    roof = await item(town, ama)
    reply = await upload(town, roof, photo(), ama)
    assert reply.status == 201, reply.data
    full, small = [await shown(town, ama, reply.data["id"], query) for query in ("", "?size=thumbnail")]
    assert (full.status, full.headers["content-type"], len(full.body)) == (200, "image/webp", reply.data["size"])
    assert full.headers["x-content-type-options"] == "nosniff"
    assert [Image.open(io.BytesIO(one.body)).size for one in (full, small)] == [(800, 600), (400, 300)]
    assert b"SECRET" in photo()
    assert b"SECRET" not in full.body + small.body
    assert b"Exif" not in full.body + small.body
    for path, by in ((f"/workers/{ama.user_id}", None), ("/users/me/portfolio", ama)):
        data = (await town.call("GET", path, by=by)).data
        assert (data["items"] if by else data["portfolio"])[0]["images"] == [reply.data]
    assert await timers(town, ama) == []


async def test_a_replaced_work_keeps_its_pictures_and_a_removed_one_loses_them(town: Town) -> None:
    ama = town.somebody()
    roof = await item(town, ama)
    one, two = [(await upload(town, roof, jpeg(), ama)).data["id"] for _ in range(2)]
    renamed = await town.call("PUT", f"/users/me/portfolio/{roof}", {"title": "Another"}, by=ama)
    assert [image["id"] for image in renamed.data["images"]] == [one, two]
    path = f"/users/me/portfolio/{roof}/images/{one}"
    assert [(await town.call("DELETE", path, by=ama)).status for _ in range(2)] == [204, 404]
    assert (await shown(town, ama, one)).status == 404
    assert (await town.call("DELETE", f"/users/me/portfolio/{roof}", by=ama)).status == 204
    assert (await shown(town, ama, two)).status == 404
    due = await timers(town, ama)
    assert {timer["args"][1] for timer in due} == {one, two}
    assert await blobs_kept(town, one, two) == 4
    for timer in due * 2:
        await images.discard_image(town.context, *timer["args"])
    assert await blobs_kept(town, one, two) == 0


async def test_an_upload_that_breaks_off_leaves_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    ama = town.somebody()
    roof = await item(town, ama)

    async def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("kelmah.services.user.service.profiles.edit", crash)
        assert (await upload(town, roof, jpeg(), ama)).status == 500
    [timer] = await timers(town, ama)
    assert await blobs_kept(town, timer["args"][1]) == 2
    await images.discard_image(town.context, *timer["args"])
    assert await blobs_kept(town, timer["args"][1]) == 0
    assert (await town.call("GET", "/users/me/portfolio", by=ama)).data["items"][0]["images"] == []


async def test_the_timer_of_a_shown_picture_does_nothing(town: Town) -> None:
    ama = town.somebody()
    image = (await upload(town, await item(town, ama), jpeg(), ama)).data["id"]
    await images.discard_image(town.context, ama.user_id, image)
    assert (await shown(town, ama, image)).status == 200


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 415, "user.image_type_refused"),
        (b"%PDF-1.7\n", 415, "user.image_type_refused"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", 415, "user.image_type_refused"),
        (b"PK\x03\x04" + bytes(40), 415, "user.image_type_refused"),
        (jpeg()[:400], 422, "kit.invalid_image"),
        (b"\xff\xd8\xff\xe0<script>alert(1)</script>", 422, "kit.invalid_image"),
        (bomb(), 422, "kit.image_too_large"),
        (packed(b"zTXt", b"a\0\0"), 422, "kit.invalid_image"),
        (packed(b"iCCP", b"a\0\0"), 422, "kit.invalid_image"),
        (jpeg().ljust(10_485_761), 413, "user.image_too_heavy"),
    ],
    ids=["empty", "pdf", "svg", "zip", "cut", "polyglot", "bomb", "text bomb", "profile bomb", "heavy"],
)
async def test_what_is_no_picture_is_refused(town: Town, data: bytes, status: int, code: str) -> None:
    ama = town.somebody()
    roof = await item(town, ama)
    reply = await upload(town, roof, data, ama)
    assert (reply.status, reply.data["code"]) == (status, code)
    assert (await town.call("GET", "/users/me/portfolio", by=ama)).data["items"][0]["images"] == []
    assert await timers(town, ama) == []


async def test_what_follows_a_picture_in_its_file_is_dropped(town: Town) -> None:
    ama = town.somebody()
    reply = await upload(town, await item(town, ama), jpeg() + b"PK\x03\x04EVIL", ama)
    assert reply.status == 201
    assert b"EVIL" not in (await shown(town, ama, reply.data["id"])).body


async def test_only_ten_pictures_fit_however_many_come_at_once(town: Town) -> None:
    ama = town.somebody()
    roof = await item(town, ama)
    replies = await asyncio.gather(*(upload(town, roof, jpeg(20, 20), ama) for _ in range(13)))
    assert sorted(reply.status for reply in replies) == [201] * 10 + [409] * 3
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"user.too_many_images"}
    assert len((await town.stored(ama))["portfolio"][0]["images"]) == 10


async def test_strangers_neither_add_nor_remove(town: Town) -> None:
    ama, kofi, hirer = town.somebody(), town.somebody(), town.somebody(Role.HIRER)
    roof = await item(town, ama)
    image = (await upload(town, roof, jpeg(), ama)).data["id"]
    assert [(await upload(town, roof, jpeg(), by)).status for by in (kofi, hirer, None)] == [404, 403, 401]
    path = f"/users/me/portfolio/{roof}/images/{image}"
    assert [(await town.call("DELETE", path, by=by)).status for by in (kofi, hirer, None)] == [404, 403, 401]
    assert (await shown(town, ama, image)).status == 200
    assert (await shown(town, kofi, image)).status == 404
    assert (await shown(town, ama, image, "?size=huge")).status == 400
