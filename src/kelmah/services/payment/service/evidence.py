"""Files that the sides of a dispute bring: told by their content, bounded, scanned before they are taken, encrypted."""

import hashlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import structlog

from kelmah.contracts.payment import DisputeEvidenceAdded, DisputeView, EvidenceView
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import KelmahError
from kelmah.kit.files import file_name
from kelmah.kit.ids import new_id
from kelmah.kit.images import SNIFF_BYTES, InvalidImage, clean_image, sniff
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import disputes as documents
from kelmah.services.payment.documents.disputes import Evidence
from kelmah.services.payment.errors import (
    EvidenceFull,
    EvidenceInfected,
    EvidenceNotFound,
    EvidenceRefused,
    EvidenceTooLarge,
)
from kelmah.services.payment.service import disputes
from kelmah.services.payment.service.context import Context

log = structlog.get_logger(__name__)
TAKEN = frozenset({"image/jpeg", "image/png", "image/webp", "application/pdf"})


class Download(NamedTuple):
    """A file for its reader."""

    view: EvidenceView
    data: bytes


async def add_evidence(
    context: Context, dispute_id: str, *, raw_name: str, body: AsyncIterator[bytes], by: Principal
) -> DisputeView:
    """Bring a file; for either side, and the same file once.

    Args:
        raw_name: the file's name, percent-encoded as UTF-8.

    Raises:
        DisputeNotFound, DisputeStepClosed: not a dispute of the caller's, or a ruling stands.
        EvidenceRefused, EvidenceTooLarge, EvidenceInfected, EvidenceFull: the file is not taken.
        ScanFailed: nobody knows yet whether it is clean.
    """
    await disputes.find(dispute_id, by=by)
    name = file_name(raw_name)
    data = await _read(body, context.settings.evidence_max_bytes)
    digest = hashlib.sha256(data).hexdigest()
    media_type, data = await _looked_through(context, data)
    evidence_id = new_id()
    place = evidence_id.encode()
    evidence = Evidence(
        id=evidence_id,
        by=by.user_id,
        digest=digest,
        file_name=context.ring.seal(name, context=place),
        media_type=media_type,
        size=len(data),
        at=clock.now(),
    )

    async def change() -> DisputeView:
        dispute = await documents.add_evidence(dispute_id, evidence, context.ring.encrypt(data, context=place))
        if dispute is None:
            dispute = await disputes.find(dispute_id, by=by)
            if not any((one.by, one.digest) == (by.user_id, digest) for one in dispute.evidence):
                raise _why_refused(dispute, by)
        else:
            await disputes.tell(context, dispute, DisputeEvidenceAdded, evidence_id=evidence_id, added_by=by.user_id)
        return mapping.dispute_view(dispute, context.ring)

    return await context.mongo.transact(change)


async def read_evidence(context: Context, dispute_id: str, evidence_id: str, *, by: Principal) -> Download:
    """A file of a dispute that one is a side of; any for support."""
    dispute = await disputes.find(dispute_id, by=by)
    found = next((one for one in dispute.evidence if one.id == evidence_id), None)
    data = await documents.read_file(evidence_id) if found else None
    if found is None or data is None:
        raise EvidenceNotFound
    return Download(
        mapping.evidence_view(found, context.ring), context.ring.decrypt(data, context=evidence_id.encode())
    )


async def _read(body: AsyncIterator[bytes], max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in body:
        data += chunk
        if len(data) > max_bytes:
            raise EvidenceTooLarge(f"At most {max_bytes} bytes are taken.")
    return bytes(data)


async def _looked_through(context: Context, data: bytes) -> tuple[str, bytes]:
    """What kind of file it is, and what is kept of it: of a picture its pixels, not where and when it was taken."""
    media_type = sniff(data[:SNIFF_BYTES], TAKEN)
    if media_type is None:
        raise EvidenceRefused
    found = await context.scanner.find(_once(data)) if context.scanner else None
    if found is not None:
        log.warning("payment.evidence.infected", malware=found)
        raise EvidenceInfected
    if media_type.startswith("image/"):
        try:
            data = await clean_image(data)
        except InvalidImage as error:
            raise EvidenceRefused(error.message) from None
        if len(data) > context.settings.evidence_max_bytes:
            raise EvidenceTooLarge(f"At most {context.settings.evidence_max_bytes} bytes are taken.")
    return media_type, data


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _why_refused(dispute: documents.DisputeDocument, by: Principal) -> KelmahError:
    brought = sum(one.by == by.user_id for one in dispute.evidence)
    is_full = dispute.status in documents.UNDECIDED and brought >= documents.MAX_FILES
    return EvidenceFull() if is_full else disputes.why_closed(dispute)
