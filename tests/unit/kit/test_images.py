import io
import random
import struct
import threading
import zlib

import anyio
import pytest
from PIL import Image, PngImagePlugin

from kelmah.kit import images
from kelmah.kit.images import ImageTooLarge, InvalidImage, reencode_image, sniff

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    result = io.BytesIO()
    image.save(result, kind, **options)
    return result.getvalue()


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...]) -> bool:
    pixel = image.getpixel(at)
    assert isinstance(pixel, tuple)
    return all(abs(have - want) < 40 for have, want in zip(pixel, colour, strict=True))


def _png_that_declares(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize(("target", "expected"), [("webp", "WEBP"), ("jpeg", "JPEG")])
async def test_each_format_becomes_the_one_asked_for(source: str, target: str, expected: str) -> None:
    picture = Image.new("RGB", (64, 32), RED)
    result = _opened(await reencode_image(_file(picture, source), format=target))  # type: ignore[arg-type]
    assert (result.format, result.mode, result.size) == (expected, "RGB", (64, 32))
    assert _near(result, (30, 15), RED)


async def test_place_time_comments_and_profiles_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (5.0, 36.0, 0.0)
    jpeg = _file(
        Image.new("RGB", (64, 64), RED),
        "JPEG",
        exif=exif,
        comment=b"SECRETCOMMENT",
        xmp=b"<x:xmpmeta>SECRETXMP</x:xmpmeta>",
        icc_profile=b"SECRETPROFILE" * 20,
    )
    for secret in (b"SECRETMAKER", b"SECRETCOMMENT", b"SECRETXMP", b"SECRETPROFILE"):
        assert secret in jpeg
    tailed = jpeg + b"<script>SECRETTAIL</script>"
    for result in (await reencode_image(tailed), await reencode_image(tailed, format="jpeg")):
        assert b"SECRET" not in result
        assert dict(_opened(result).getexif()) == {}
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(_opened(result).info)


async def test_text_chunks_are_dropped() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET")
    result = await reencode_image(_file(Image.new("RGB", (8, 8)), "PNG", pnginfo=text))
    assert b"SECRET" not in result


@pytest.mark.parametrize("target", ["webp", "jpeg"])
async def test_the_orientation_is_applied(target: str) -> None:
    picture = Image.new("RGB", (80, 40), RED)
    picture.paste(BLUE, (0, 0, 40, 40))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise: the left half is on top
    result = _opened(await reencode_image(_file(picture, "JPEG", exif=exif), format=target))  # type: ignore[arg-type]
    assert result.size == (40, 80)
    assert _near(result, (20, 10), BLUE)
    assert _near(result, (20, 70), RED)


async def test_large_images_are_scaled_and_small_ones_are_not_blown_up() -> None:
    big = _file(Image.new("RGB", (1200, 300), RED), "JPEG")
    assert _opened(await reencode_image(big, max_side=256)).size == (256, 64)
    assert _opened(await reencode_image(big)).size == (1200, 300)


async def test_transparency_is_kept_or_becomes_white() -> None:
    clear = _file(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), "PNG")
    kept = _opened(await reencode_image(clear))
    assert (kept.mode, kept.getpixel((8, 8))[3]) == ("RGBA", 0)  # type: ignore[index]
    assert _near(_opened(await reencode_image(clear, format="jpeg")), (8, 8), (255, 255, 255))


async def test_palettes_grey_and_cmyk_become_colours() -> None:
    palette = Image.new("RGB", (16, 16), BLUE).quantize(4)
    assert _near(_opened(await reencode_image(_file(palette, "GIF"))), (8, 8), BLUE)
    cmyk = _file(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG")
    assert _near(_opened(await reencode_image(cmyk)), (8, 8), RED)
    grey = _file(Image.new("I;16", (16, 16), 128 * 256), "PNG")
    assert _near(_opened(await reencode_image(grey)), (8, 8), (128, 128, 128))


async def test_an_animation_becomes_its_first_picture() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    gif = _file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    result = _opened(await reencode_image(gif))
    assert getattr(result, "n_frames", 1) == 1
    assert _near(result, (8, 8), RED)


async def test_the_pixel_limit_is_exact_and_holds_before_decoding() -> None:
    square = _file(Image.new("RGB", (10, 10), RED), "PNG")
    assert _opened(await reencode_image(square, max_pixels=100)).size == (10, 10)
    with pytest.raises(ImageTooLarge) as refused:
        await reencode_image(square, max_pixels=99)
    assert isinstance(refused.value, InvalidImage)
    for side in (7_000, 12_000, 65_000):
        with pytest.raises(ImageTooLarge):
            await reencode_image(_png_that_declares(side, side))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        _file(Image.new("RGB", (8, 8)), "BMP"),
        _file(Image.new("RGB", (8, 8)), "TIFF"),
        _png_that_declares(64, 64),
        _png_that_declares(0, 5),
    ],
)
async def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage) as refused:
        await reencode_image(data)
    assert type(refused.value) is InvalidImage


async def test_damaged_images_are_refused_or_read_but_never_crash() -> None:
    dice = random.Random(7)
    whole = [_file(Image.effect_noise((48, 48), 80).convert("RGB"), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    outcomes = set()
    for data in whole:
        for _ in range(60):
            damaged = bytearray(data)
            for _ in range(dice.randint(1, 12)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            try:
                result = await reencode_image(bytes(damaged[: dice.randint(len(data) // 2, len(data))]))
                outcomes.add(_opened(result).format)
            except InvalidImage:
                outcomes.add("refused")
    assert outcomes == {"WEBP", "refused"}


async def test_two_at_a_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = threading.Barrier(2, timeout=10)  # breaks unless two run at once
    lock = threading.Lock()
    running: list[int] = [0]
    most: list[int] = [0]

    def work(*_: object) -> bytes:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        pair.wait()
        with lock:
            running[0] -= 1
        return b""

    monkeypatch.setattr(images, "_reencode", work)
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(reencode_image, b"")
    assert (running, most) == ([0], [2])


HEADS = {
    "image/jpeg": _file(Image.new("RGB", (8, 8)), "JPEG"),
    "image/png": _file(Image.new("RGB", (8, 8)), "PNG"),
    "image/webp": _file(Image.new("RGB", (8, 8)), "WEBP"),
    "image/gif": _file(Image.new("RGB", (8, 8)), "GIF"),
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
}


@pytest.mark.parametrize("mime", HEADS)
def test_known_kinds_are_recognised_if_allowed(mime: str) -> None:
    assert sniff(HEADS[mime], HEADS) == mime
    assert sniff(HEADS[mime], set(HEADS) - {mime}) is None


@pytest.mark.parametrize(
    "head", [b"", b"\xff", b"<html><script>", b"<svg>", b"#!/bin/sh", b"MZ\x90\x00", b"PK\x03\x04"]
)
def test_other_kinds_are_not(head: bytes) -> None:
    assert sniff(head, HEADS) is None
