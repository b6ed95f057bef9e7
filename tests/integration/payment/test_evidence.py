"""Files of a dispute: what is taken, who reads them, and that they lie encrypted."""

import asyncio
import io
from urllib.parse import quote

import pytest
from PIL import Image

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.kit.scanner import Clamd
from tests.fixtures.clamd import EICAR, clamd_server
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import API, Payments

PDF = b"%PDF-1.7\n" + b"an invoice for cement\n" * 1_000


def jpeg() -> bytes:
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (8, 8), "red").save(out, "jpeg", exif=exif)
    return out.getvalue()


async def bring(
    payments: Payments, dispute_id: str, content: bytes, *, by: Principal, name: str = "invoice.pdf"
) -> Reply:
    headers = {"X-Filename": quote(name), "content-type": "application/octet-stream"}
    path = f"{API}/disputes/{dispute_id}/evidence"
    return await payments.service.call("POST", path, raw=content, by=by, headers=headers)


async def test_both_sides_and_support_read_what_either_brings(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    reply = await bring(payments, dispute_id, PDF, by=worker, name="reçu n° 1.pdf")
    (evidence,) = reply.data["evidence"]
    assert reply.status == 201
    assert (evidence["by"], evidence["fileName"], evidence["mediaType"], evidence["size"]) == (
        worker.user_id,
        "reçu n° 1.pdf",
        "application/pdf",
        len(PDF),
    )
    path = f"/disputes/{dispute_id}/evidence/{evidence['id']}"
    shown = f"attachment; filename*=UTF-8''{quote('reçu n° 1.pdf', safe='')}"
    for one in (hirer, worker, person(Role.SUPPORT)):
        found = await payments.get(path, by=one)
        assert (found.status, found.body, found.headers["content-type"]) == (200, PDF, "application/pdf")
        assert found.headers["content-disposition"] == shown
    assert (await payments.get(path, by=person())).status == 404
    missing = await payments.get(path + "x", by=hirer)
    assert (missing.status, missing.data["code"]) == (404, "payment.evidence_not_found")
    row = await payments.context.mongo.collection("dispute_files").find_one({"_id": evidence["id"]})
    assert b"cement" not in row["data"]
    (event,) = await payments.events("dispute_evidence_added", disputeId=dispute_id)
    assert (event["evidenceId"], event["addedBy"]) == (evidence["id"], worker.user_id)
    await payments.context.mongo.collection("dispute_files").delete_one({"_id": evidence["id"]})
    assert (await payments.get(path, by=hirer)).status == 404


async def test_of_a_picture_only_the_pixels_are_kept(payments: Payments) -> None:
    hirer, _, dispute_id = await payments.disputed()
    assert b"taken at home" in jpeg()
    (evidence,) = (await bring(payments, dispute_id, jpeg(), by=hirer, name="wall.jpg")).data["evidence"]
    kept = (await payments.get(f"/disputes/{dispute_id}/evidence/{evidence['id']}", by=hirer)).body
    assert (evidence["size"], b"taken at home" in kept) == (len(kept), False)


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("a.exe", b"MZ" + bytes(100), 415, "payment.evidence_refused"),
        ("a.pdf", b"", 415, "payment.evidence_refused"),
        ("a.jpg", jpeg()[:100], 415, "payment.evidence_refused"),
        ("a.pdf", PDF + bytes(5_242_880), 413, "payment.evidence_too_large"),
        ("", PDF, 400, "bad_input"),
        ("../a.pdf", PDF, 400, "bad_input"),
    ],
)
async def test_what_is_not_taken_leaves_nothing(
    payments: Payments, name: str, content: bytes, status: int, code: str
) -> None:
    hirer, _, dispute_id = await payments.disputed()
    settings = payments.context.settings.model_copy(update={"evidence_max_bytes": 5_000_000})
    payments.service.replace(settings=settings)
    files = payments.context.mongo.collection("dispute_files")
    before = await files.count_documents({})
    content = content[:5_000_001]
    reply = await bring(payments, dispute_id, content, by=hirer, name=name)
    assert (reply.status, reply.data["code"]) == (status, code)
    assert (await bring(payments, dispute_id, PDF, by=person())).status == 404
    assert (await bring(payments, dispute_id, PDF, by=person(Role.SUPPORT))).status == 403
    assert (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data["evidence"] == []
    assert await files.count_documents({}) == before


async def test_a_picture_may_not_grow_beyond_the_limit(payments: Payments) -> None:
    hirer, _, dispute_id = await payments.disputed()
    out = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(out, "jpeg", quality=5)
    content = out.getvalue()
    settings = payments.context.settings.model_copy(update={"evidence_max_bytes": len(content)})
    payments.service.replace(settings=settings)
    reply = await bring(payments, dispute_id, content, by=hirer, name="noise.jpg")
    assert (reply.status, reply.data["code"]) == (413, "payment.evidence_too_large")


async def test_the_same_file_is_one_and_ten_are_enough(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    same = await asyncio.gather(*(bring(payments, dispute_id, PDF, by=hirer) for _ in range(3)))
    assert [(reply.status, len(reply.data["evidence"])) for reply in same] == [(201, 1)] * 3
    for number in range(9):
        assert (await bring(payments, dispute_id, PDF + bytes([number]), by=hirer)).status == 201
    full = await bring(payments, dispute_id, PDF + b"one more", by=hirer)
    assert (full.status, full.data["code"]) == (409, "payment.evidence_full")
    assert (await bring(payments, dispute_id, PDF, by=hirer)).status == 201
    assert len((await bring(payments, dispute_id, PDF, by=worker)).data["evidence"]) == 11
    await payments.rule(dispute_id, 500, 500)
    late = await bring(payments, dispute_id, PDF + b"late", by=worker)
    assert (late.status, late.data["code"]) == (409, "payment.dispute_step_closed")


async def test_a_file_is_scanned_before_it_is_taken(payments: Payments) -> None:
    hirer, _, dispute_id = await payments.disputed()
    async with clamd_server() as clamd:
        payments.service.replace(scanner=Clamd(clamd.url))
        infected = await bring(payments, dispute_id, PDF + EICAR, by=hirer)
        assert (infected.status, infected.data["code"]) == (403, "payment.evidence_infected")
        clamd.answer = b"INSTREAM size limit exceeded. ERROR"
        unsure = await bring(payments, dispute_id, PDF, by=hirer)
        assert (unsure.status, unsure.data["code"]) == (503, "kit.scan_failed")
        clamd.answer = None
        clean = await bring(payments, dispute_id, PDF, by=hirer)
    assert (clean.status, clamd.scanned[-1], len(clean.data["evidence"])) == (201, PDF, 1)
    payments.service.replace(scanner=Clamd("tcp://127.0.0.1:9"))
    assert (await bring(payments, dispute_id, PDF + b"x", by=hirer)).status == 503
    assert len((await payments.get(f"/disputes/{dispute_id}", by=hirer)).data["evidence"]) == 1
