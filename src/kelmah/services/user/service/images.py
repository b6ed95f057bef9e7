"""Pictures of finished works: only pixels are kept, in two sizes."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from enum import StrEnum

from kelmah.contracts.user import PortfolioImage, ProfilePart
from kelmah.kit import clock
from kelmah.kit.blobs import BlobNotFound
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound
from kelmah.kit.ids import new_id
from kelmah.kit.images import reencode_image, sniff
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import ImageEntry, PortfolioEntry, ProfileDocument
from kelmah.services.user.errors import ImageTooHeavy, ImageTypeRefused, TooManyImages
from kelmah.services.user.service import profiles
from kelmah.services.user.service.context import Context

TAKEN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
MEDIA_TYPE = "image/webp"
MAX_OF_ITEM = 10
MAX_OF_PERSON = 100
#: An upload that is not part of a profile by then broke off, and is thrown away.
UPLOAD_WITHIN = timedelta(hours=1)


class ImageSize(StrEnum):
    """Which copy of a picture."""

    FULL = "full"
    THUMBNAIL = "thumbnail"


#: The longer side in pixels.
_SIDES = {ImageSize.FULL: 2048, ImageSize.THUMBNAIL: 400}


async def add(context: Context, item_id: str, body: AsyncIterator[bytes], *, by: Principal) -> PortfolioImage:
    """Add a picture to a finished work. What it says besides its pixels (place, time, camera) is dropped.

    Raises:
        NotFound: the work is not one of the caller's.
        ImageTypeRefused: not a picture that is taken, by its content.
        ImageTooHeavy: too many bytes.
        TooManyImages: the work or the person has no room.
        kit.images.InvalidImage: damaged, or too many pixels.
    """
    _item_with_room(await profiles.get(context, by.user_id), item_id)
    data = await _read(body, context.settings.image_max_bytes)
    if sniff(data, TAKEN) is None:
        raise ImageTypeRefused
    copies = {
        size: await reencode_image(data, max_pixels=context.settings.image_max_pixels, max_side=side)
        for size, side in _SIDES.items()
    }
    image = ImageEntry(id=new_id(), size=len(copies[ImageSize.FULL]))
    # Set before the first byte is kept, so that nothing stays behind wherever this breaks off.
    await _discard(context, by.user_id, image.id, after=UPLOAD_WITHIN)
    for size, copy in copies.items():
        await context.blobs.put(blob_id(image.id, size), _once(copy), metadata={})

    def change(profile: ProfileDocument) -> list[str]:
        _item_with_room(profile, item_id).images.append(image)
        return ["portfolio"]

    async def then(profile: ProfileDocument) -> None:
        await context.timers.cancel(_timer(image.id))

    await profiles.edit(context, by.user_id, change, then=then)
    return PortfolioImage(id=image.id, size=image.size)


async def remove(context: Context, item_id: str, image_id: str, *, by: Principal) -> None:
    """Take a picture out of a finished work; its bytes go soon after."""

    def change(profile: ProfileDocument) -> list[str]:
        item = _item(profile, item_id)
        kept = [image for image in item.images if image.id != image_id]
        if len(kept) == len(item.images):
            raise NotFound
        item.images = kept
        return ["portfolio"]

    async def then(profile: ProfileDocument) -> None:
        await discard(context, profile.id, [image_id])

    await profiles.edit(context, by.user_id, change, then=then)


async def open_image(
    context: Context, user_id: str, image_id: str, size: ImageSize, *, viewer: Principal | None
) -> AsyncIterator[bytes]:
    """The bytes of a picture that a profile shows the viewer.

    Raises:
        NotFound: the profile does not show it.
    """
    profile = await documents.find(user_id)
    if profile is None or not any(image.id == image_id for item in profile.portfolio for image in item.images):
        raise NotFound
    if user_id != getattr(viewer, "user_id", None) and ProfilePart.PORTFOLIO not in await profiles.shown_parts(
        profile, viewer
    ):
        raise NotFound
    try:
        return await context.blobs.get(blob_id(image_id, size))
    except BlobNotFound:
        raise NotFound from None


async def discard(context: Context, user_id: str, image_ids: Sequence[str]) -> None:
    """In the open transaction, have the bytes of removed pictures thrown away after it commits."""
    for image_id in image_ids:
        await _discard(context, user_id, image_id)


async def discard_image(context: Context, user_id: str, image_id: str) -> None:
    """Throw away the bytes of a picture that no profile shows. A timer's target; running twice changes nothing."""
    if await documents.has_image(user_id, image_id):
        return
    for size in ImageSize:
        await context.blobs.delete(blob_id(image_id, size))


def blob_id(image_id: str, size: ImageSize) -> str:
    return image_id if size is ImageSize.FULL else f"{image_id}-{size.value}"


async def _discard(context: Context, user_id: str, image_id: str, *, after: timedelta = timedelta()) -> None:
    due = clock.now() + after
    await context.timers.set(_timer(image_id), "user.discard_image", [user_id, image_id], due=due)


def _timer(image_id: str) -> str:
    return f"image:{image_id}"


def _item(profile: ProfileDocument, item_id: str) -> PortfolioEntry:
    for item in profile.portfolio:
        if item.id == item_id:
            return item
    raise NotFound


def _item_with_room(profile: ProfileDocument, item_id: str) -> PortfolioEntry:
    item = _item(profile, item_id)
    if len(item.images) >= MAX_OF_ITEM:
        raise TooManyImages(f"At most {MAX_OF_ITEM} pictures are kept of a work.")
    if sum(len(one.images) for one in profile.portfolio) >= MAX_OF_PERSON:
        raise TooManyImages(f"At most {MAX_OF_PERSON} pictures are kept of a person.")
    return item


async def _read(body: AsyncIterator[bytes], max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in body:
        data += chunk
        if len(data) > max_bytes:
            raise ImageTooHeavy(f"At most {max_bytes} bytes are taken.")
    return bytes(data)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
