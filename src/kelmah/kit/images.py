"""Recognises files by their first bytes, and decodes and re-encodes images so that only pixels survive."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal

import anyio
import anyio.to_thread
import filetype
from PIL import Image, ImageOps

from kelmah.kit.errors import KelmahError

SNIFF_BYTES = 8192
_READABLE = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY, _KEPT_QUALITY = 85, 92
# Decoding a large photo takes a second of CPU and 160 MB; more at once would starve the machine.
_LIMITER = anyio.CapacityLimiter(2)


class InvalidImage(KelmahError):
    """The bytes are not an image that can be read: another kind of file, or a damaged one."""

    status_code = 422
    code = "kit.invalid_image"
    title = "Not a readable image"


class ImageTooLarge(InvalidImage):
    """The image has more pixels than allowed."""

    code = "kit.image_too_large"
    title = "Image too large"


def sniff(head: bytes, allowed: Collection[str]) -> str | None:
    """Recognise a file by its content, never by its name or by what the client said.

    A known head says nothing of the rest: a file can be of two kinds at once, so serve it as a download with
    ``nosniff``, or re-encode it.

    Args:
        head: the first 8 KiB (`SNIFF_BYTES`).
        allowed: MIME types, such as ``{"image/jpeg", "application/pdf"}``.

    Returns:
        The MIME type if it is allowed, else None.
    """
    mime = filetype.guess_mime(head[:SNIFF_BYTES])
    return mime if mime in allowed else None


async def reencode_image(
    data: bytes,
    *,
    max_pixels: int = 40_000_000,
    max_side: int = 2048,
    format: Literal["webp", "jpeg"] = "webp",  # noqa: A002 - the common word for it
) -> bytes:
    """Decode a JPEG, PNG, WebP or GIF and encode its (first) picture anew, in a thread, two at a time.

    The orientation is applied; all else but the pixels is dropped: EXIF with its place and time, comments,
    colour profiles, anything appended. JPEG has no transparency, so what was transparent becomes white.

    Args:
        data: the whole file, in memory: the caller bounds its size.
        max_pixels: the most pixels it may declare; refused before they are decoded.
        max_side: the longer side of the result in pixels; larger images are scaled down.
        format: of the result.

    Raises:
        InvalidImage: not an image, another format, or damaged.
        ImageTooLarge: more pixels than allowed.
    """
    return await anyio.to_thread.run_sync(_reencode, data, max_pixels, max_side, format, limiter=_LIMITER)


async def clean_image(data: bytes, *, max_pixels: int = 40_000_000) -> bytes:
    """Encode a JPEG, PNG, WebP or GIF anew in its own format and size, in a thread, two at a time.

    The orientation is applied; EXIF with its place and time, comments, and what was appended are gone. A GIF keeps
    its pictures, the others their first.

    Args:
        data: the whole file, in memory: the caller bounds its size.
        max_pixels: the most pixels of all its pictures.

    Raises:
        InvalidImage: not an image, another format, or damaged.
        ImageTooLarge: more pixels than allowed.
    """
    return await anyio.to_thread.run_sync(_clean, data, max_pixels, limiter=_LIMITER)


def _clean(data: bytes, max_pixels: int) -> bytes:
    result = io.BytesIO()
    with _opened(data, max_pixels) as image:
        if image.format == "GIF":
            if image.width * image.height * getattr(image, "n_frames", 1) > max_pixels:
                raise ImageTooLarge(f"the pictures have more than {max_pixels} pixels", max_pixels=max_pixels)
            image.save(result, format="GIF", save_all=True, comment=b"")
            return result.getvalue()
        kind, picture = image.format, ImageOps.exif_transpose(image)
        picture.info = {name: value for name, value in picture.info.items() if name == "transparency"}
        picture.save(result, format=kind, quality=_KEPT_QUALITY)
    return result.getvalue()


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data), formats=_READABLE) as image:
            if image.width * image.height > max_pixels:
                raise ImageTooLarge(f"the image has more than {max_pixels} pixels", max_pixels=max_pixels)
            yield image
    except (ImageTooLarge, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge(f"the image has more than {max_pixels} pixels", max_pixels=max_pixels) from None
    except Exception as error:  # decoders raise what their broken input provokes
        raise InvalidImage("the file is not a readable image") from error


def _reencode(data: bytes, max_pixels: int, max_side: int, format: str) -> bytes:  # noqa: A002
    with _opened(data, max_pixels) as image:
        # A JPEG can be decoded at a fraction of its size, never smaller than asked for.
        image.draft("RGB", (max_side, max_side))
        picture = _plain(ImageOps.exif_transpose(image), keep_alpha=format == "webp")
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    # Encoders copy comments, XMP and profiles from here.
    picture.info.clear()
    result = io.BytesIO()
    picture.save(result, format=format.upper(), quality=_QUALITY)
    return result.getvalue()


def _plain(image: Image.Image, *, keep_alpha: bool) -> Image.Image:
    """Convert to RGB, or to RGBA where there is transparency to keep."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    if keep_alpha:
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")
