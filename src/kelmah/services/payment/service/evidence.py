"""Files that the sides of a dispute bring: told by their content, bounded, encrypted, and read by both and by support."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import unquote

from kelmah.contracts.payment import DisputeEvidenceAdded, DisputeView, EvidenceView
from kelmah.kit import clock
from kelmah.kit.blobs import BlobNotFound
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.kit.images import SNIFF_BYTES, sniff
from kelmah.kit.text import clean_line
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import disputes as documents
from kelmah.services.payment.documents.disputes import Evidence
from kelmah.services.payment.errors import EvidenceNotFound, EvidenceRefused, EvidenceTooLarge
from kelmah.services.payment.service import disputes
from kelmah.services.payment.service.context import Context

MAX_NAME_CHARS = 255
TAKEN = frozenset({"image/jpeg", "image/png", "image/webp", "application/pdf"})


class Download(NamedTuple):
    """A file for its reader."""

    view: EvidenceView
    data: bytes


async def add_evidence(
    context: Context, dispute_id: str, *, raw_name: str, body: AsyncIterator[bytes], by: Principal
) -> DisputeView:
    """Bring a file; for either side. `raw_name` is its name, percent-encoded as UTF-8."""
    await disputes.find(dispute_id, by=by)
    name = _name(raw_name)
    data = await _read(body, context.settings.evidence_max_bytes)
    media_type = sniff(data[:SNIFF_BYTES], TAKEN)
    if media_type is None:
        raise EvidenceRefused
    evidence = Evidence(
        id=new_id(), by=by.user_id, file_name="", media_type=media_type, size=len(data), at=clock.now()
    )
    place = evidence.id.encode()
    evidence.file_name = context.ring.seal(name, context=place)

    async def change() -> DisputeView:
        dispute = await documents.add_evidence(dispute_id, evidence)
        if dispute is None:
            raise await disputes.why_closed(dispute_id, by)
        await disputes.tell(
            context, dispute, DisputeEvidenceAdded, evidence_id=evidence.id, added_by=by.user_id
        )
        return mapping.dispute_view(dispute, context.ring)

    async def sealed() -> AsyncIterator[bytes]:
        yield context.ring.encrypt(data, context=place)

    # First the bytes: a crash between leaves a file that nobody can name, never a name without a file.
    await context.blobs.put(evidence.id, sealed(), metadata={})
    try:
        return await context.mongo.transact(change)
    except BaseException:
        await context.blobs.delete(evidence.id)
        raise


async def read_evidence(context: Context, dispute_id: str, evidence_id: str, *, by: Principal) -> Download:
    """A file of a dispute that one is a side of; any for support."""
    dispute = await disputes.find(dispute_id, by=by)
    found = next((one for one in dispute.evidence if one.id == evidence_id), None)
    if found is None:
        raise EvidenceNotFound
    try:
        pieces = [piece async for piece in await context.blobs.get(evidence_id)]
    except BlobNotFound:
        raise EvidenceNotFound from None
    data = context.ring.decrypt(b"".join(pieces), context=evidence_id.encode())
    return Download(mapping.evidence_view(found, context.ring), data)


async def _read(body: AsyncIterator[bytes], max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in body:
        data += chunk
        if len(data) > max_bytes:
            raise EvidenceTooLarge(f"At most {max_bytes} bytes are taken.")
    return bytes(data)


def _name(raw_name: str) -> str:
    try:
        name = clean_line(unquote(raw_name, errors="strict"), MAX_NAME_CHARS)
    except ValueError as error:
        raise BadInput.of("X-Filename", str(error)) from None
    if not name or "/" in name or "\\" in name:
        raise BadInput.of("X-Filename", "a file's name is needed, without folders")
    return name
