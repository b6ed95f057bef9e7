"""Notifications: one a person and event, in the app and by mail."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kelmah.contracts import auth, job, messaging, payment, review, user
from kelmah.contracts.common import Event, Money
from kelmah.contracts.events import Envelope, decode
from kelmah.kit.context import Principal
from kelmah.kit.errors import Unavailable
from kelmah.kit.events import from_document
from kelmah.services.messaging import service as rules
from tests.fakes.messaging import FakePlatform
from tests.fixtures.events import envelope
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Service, person
from tests.integration.messaging.conftest import say

API = "/api/v1/notifications"
AMOUNT = Money(amount=1_234_550, currency="GHS")
JOB = {"application_id": "a1", "job_id": "j1"}
MILESTONE = {"contract_id": "c1", "milestone_id": "m1"}
UNTIL = datetime(2026, 12, 1, tzinfo=UTC)
CONTRACT = {"contract_id": "c1", "job_id": "j1"}
ESCROW = MILESTONE | {"escrow_id": "e1"}


CASES: list[tuple[type[Event], dict[str, Any], dict[str, str]]] = [
    (auth.DataExportReady, {"user_id": "worker", "export_id": "x1"}, {"worker": "data_export_ready"}),
    (job.ApplicationReceived, JOB, {"hirer": "application_received"}),
    (
        job.ApplicationAccepted, JOB | {"contract_id": "c1"},
        {"worker": "application_accepted"},
    ),
    (job.ApplicationRejected, JOB, {"worker": "application_rejected"}),
    (
        job.ContractSigned,
        {"contract_id": "c1", "job_id": "j1", "signed_by": "hirer", "complete": False}, {"worker": "contract_signed"},
    ),
    (
        job.ContractSigned,
        {"contract_id": "c1", "job_id": "j1", "signed_by": "worker", "complete": False}, {"hirer": "contract_signed"},
    ),
    (
        job.ContractSigned,
        {"contract_id": "c1", "job_id": "j1", "signed_by": "worker", "complete": True},
        {"hirer": "contract_active", "worker": "contract_active"},
    ),
    (job.MilestoneSubmitted, MILESTONE, {"hirer": "milestone_submitted"}),
    (
        job.MilestoneChangesRequested, MILESTONE, {"worker": "changes_requested"},
    ),
    (
        job.MilestoneApproved, MILESTONE | {"amount": AMOUNT},
        {"worker": "milestone_approved"},
    ),
    (payment.EscrowFunded, ESCROW | {"amount": AMOUNT}, {"worker": "escrow_funded"}),
    (
        payment.EscrowReleased, ESCROW | {"amount": AMOUNT, "fee_amount": 5},
        {"hirer": "escrow_released", "worker": "escrow_released"},
    ),
    (
        payment.EscrowRefunded, ESCROW | {"amount": AMOUNT},
        {"hirer": "escrow_refunded", "worker": "escrow_refunded"},
    ),
    (
        payment.DisputeRaised, ESCROW | {"dispute_id": "d1", "raised_by": "worker"},
        {"hirer": "dispute_raised"},
    ),
    (
        payment.DisputeAnswered, ESCROW | {"dispute_id": "d1", "answered_by": "hirer"},
        {"worker": "dispute_answered"},
    ),
    (
        payment.DisputeEvidenceAdded, ESCROW | {"dispute_id": "d1", "evidence_id": "v1", "added_by": "worker"},
        {"hirer": "dispute_evidence_added"},
    ),
    (
        payment.DisputeOfferMade,
        ESCROW | {"dispute_id": "d1", "offer_id": "o1", "offered_by": "hirer", "worker_amount": 1, "hirer_amount": 2},
        {"worker": "dispute_offer_made"},
    ),
    (
        payment.DisputeEscalated, ESCROW | {"dispute_id": "d1"},
        {"hirer": "dispute_escalated", "worker": "dispute_escalated"},
    ),
    (
        payment.DisputeRuled,
        ESCROW | {
            "dispute_id": "d1", "worker_amount": 1, "hirer_amount": 2, "ruled_by": "s1", "appeal_until": UNTIL,
        },
        {"hirer": "dispute_ruled", "worker": "dispute_ruled"},
    ),
    (
        payment.DisputeAppealed, ESCROW | {"dispute_id": "d1", "appealed_by": "worker"},
        {"hirer": "dispute_appealed"},
    ),
    (
        payment.DisputeResolved, ESCROW | {"dispute_id": "d1", "worker_amount": 1, "hirer_amount": 2},
        {"hirer": "dispute_resolved", "worker": "dispute_resolved"},
    ),
    (
        payment.DisputeWithdrawn, ESCROW | {"dispute_id": "d1", "withdrawn_by": "worker"},
        {"hirer": "dispute_withdrawn"},
    ),
    (
        payment.DisputeWithdrawn, ESCROW | {"dispute_id": "d1", "withdrawn_by": "bank"},
        {"hirer": "dispute_withdrawn", "worker": "dispute_withdrawn"},
    ),
    (
        payment.PaymentProcessed,
        {"transaction_id": "t1", "purpose": "deposit", "amount": AMOUNT, "user_id": "hirer"},
        {"hirer": "deposit_processed"},
    ),
    (
        payment.PaymentProcessed,
        {"transaction_id": "t1", "purpose": "withdrawal", "amount": AMOUNT, "user_id": "worker"},
        {"worker": "withdrawal_processed"},
    ),
    (
        payment.WithdrawalFailed,
        {"withdrawal_id": "w1", "amount": AMOUNT, "user_id": "worker", "failure_code": "refused"},
        {"worker": "withdrawal_failed"},
    ),
    *(
        (
            payment.ChargebackChanged,
            {"chargeback_id": "cb1", "deposit_id": "t1", "amount": AMOUNT, "user_id": "hirer", "status": status},
            {"hirer": kind},
        )
        for status, kind in (("open", "chargeback_opened"), ("won", "chargeback_won"), ("lost", "chargeback_lost"))
    ),
    (
        review.ReviewRevealed,
        {"review_id": "r1", "contract_id": "c1", "reviewer_id": "hirer", "subject_id": "worker", "rating": 5},
        {"worker": "review_revealed"},
    ),
    (
        review.ReviewHeld,
        {"review_id": "r1", "contract_id": "c1", "reviewer_id": "hirer", "subject_id": "worker", "labels": ["insult"]},
        {"hirer": "review_held"},
    ),
    (
        review.ReviewModerated,
        {
            "review_id": "r1",
            "subject_id": "worker",
            "moderator_id": "mod",
            "decision": "removed",
            "reason": "An insult.",
            "reviewer_id": "hirer",
        },
        {"hirer": "review_decided", "worker": "review_decided"},
    ),
    (job.JobAlert, {"job_id": "j1", "because": "invitation"}, {"worker": "job_invitation"}),
    (job.JobAlert, {"job_id": "j1", "because": "saved_search"}, {"worker": "job_alert"}),
    (job.JobAlert, {"job_id": "j1", "because": "urgent"}, {"worker": "job_alert"}),
    (job.JobExpired, {"job_id": "j1"}, {"hirer": "job_expired"}),
    (job.InvitationDeclined, {"invitation_id": "i1", "job_id": "j1"}, {"hirer": "invitation_declined"}),
    (job.ApplicationShortlisted, JOB, {"worker": "application_shortlisted"}),
    (job.ApplicationWithdrawn, JOB, {"hirer": "application_withdrawn"}),
    (job.CounterOfferMade, JOB, {"worker": "counter_offer_made"}),
    (job.CounterOfferAnswered, JOB | {"taken": True}, {"hirer": "counter_offer_taken"}),
    (job.CounterOfferAnswered, JOB | {"taken": False}, {"hirer": "counter_offer_left"}),
    (
        job.ContractTermsChanged, CONTRACT | {"changed_by": "hirer", "terms_hash": "0"},
        {"worker": "contract_terms_changed"},
    ),
    (job.ContractOffered, CONTRACT, {"worker": "contract_offered"}),
    (job.ContractOfferAnswered, CONTRACT | {"taken": True}, {"hirer": "contract_offer_taken"}),
    (job.ContractOfferAnswered, CONTRACT | {"taken": False}, {"hirer": "contract_offer_declined"}),
    (
        job.BookingRefused, CONTRACT | {"code": "user.worker_booked"},
        {"hirer": "booking_refused", "worker": "booking_refused"},
    ),
    (job.ContractCancelled, CONTRACT | {"cancelled_by": "worker"}, {"hirer": "contract_cancelled"}),
    (job.ContractCompleted, CONTRACT, {"hirer": "contract_completed", "worker": "contract_completed"}),
    (
        job.AmendmentProposed, {"contract_id": "c1", "proposed_by": "worker", "terms_hash": "0"},
        {"hirer": "amendment_proposed"},
    ),
    (
        job.AmendmentClosed, {"contract_id": "c1", "closed_by": "hirer", "signed": True, "terms_hash": "0"},
        {"worker": "amendment_signed"},
    ),
    (
        job.AmendmentClosed, {"contract_id": "c1", "closed_by": "worker", "signed": False, "terms_hash": "0"},
        {"hirer": "amendment_dropped"},
    ),
    (job.ContractOfferExpired, CONTRACT, {"hirer": "contract_offer_expired", "worker": "contract_offer_expired"}),
    (job.MilestoneDue, MILESTONE | {"late": False}, {"hirer": "milestone_due", "worker": "milestone_due"}),
    (job.MilestoneDue, MILESTONE | {"late": True}, {"hirer": "milestone_late", "worker": "milestone_late"}),
    (
        user.CertificateExpiring, {"certificate_id": "z1", "user_id": "worker", "days_left": 30},
        {"worker": "certificate_expiring"},
    ),
    (
        user.CertificateDecided,
        {"certificate_id": "z1", "user_id": "worker", "moderator_id": "mod", "verification": "verified"},
        {"worker": "certificate_verified"},
    ),
    (
        user.CertificateDecided,
        {"certificate_id": "z1", "user_id": "worker", "moderator_id": "mod", "verification": "rejected"},
        {"worker": "certificate_rejected"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "told"), CASES)
async def test_each_event_tells_whom_it_matters_to_once(
    service: Service, hirer: Principal, worker: Principal,
    kind: type[Event], fields: dict[str, Any], told: dict[str, str],
) -> None:  # fmt: skip
    ids = {"hirer": hirer.user_id, "worker": worker.user_id}
    values = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in fields.items()}
    values |= {f"{side}_id": user_id for side, user_id in ids.items() if f"{side}_id" in kind.__struct_fields__}
    event = kind(**values)
    sent = envelope(event)

    await asyncio.gather(*[rules.notify(service.context, sent, event) for _ in range(3)])

    for side, who in (("hirer", hirer), ("worker", worker)):
        page = (await service.call("GET", API, by=who)).data
        assert [one["kind"] for one in page["items"]] == ([told[side]] if side in told else [])
        assert page["unreadCount"] == (side in told)
        for one in page["items"]:
            assert one["title"]
            assert "{" not in one["body"]
            assert ("GHS 12,345.50" in one["body"]) == ("amount" in fields and side in told)
            # What it is about, and nobody's id.
            assert set(one["data"]) <= {
                "applicationId", "jobId", "contractId", "milestoneId", "escrowId", "disputeId", "transactionId",
                "reviewId", "invitationId", "certificateId", "exportId", "withdrawalId", "chargebackId", "depositId",
            }  # fmt: skip
            assert one["data"]
            rows = service.context.mongo.collection("timers").find({"args": {"$regex": f"^{one['id']}"}})
            timers = {(row["actor"], *row["args"]) for row in await rows.to_list()}
            assert timers == {("messaging.send_delivery", f"{one['id']}:{channel}") for channel in ("email", "push")}


def test_every_notice_is_tried_here() -> None:
    assert {kind for kind, _, _ in CASES} == set(rules.NOTICES) - {auth.PasswordChanged}


async def funded(service: Service, worker: Principal) -> str:
    """Tell of an escrow; return the notification's id."""
    event = payment.EscrowFunded(**ESCROW, hirer_id="h", worker_id=worker.user_id, amount=AMOUNT)
    await rules.notify(service.context, envelope(event), event)
    return str((await service.call("GET", API, by=worker)).data["items"][0]["id"])


async def log(service: Service, notification_id: str, by: Principal) -> dict[str, tuple[str, str | None]]:
    """How it went out: state and reason by channel."""
    detail = (await service.call("GET", f"{API}/{notification_id}", by=by)).data
    return {one["channel"]: (one["state"], one["reason"]) for one in detail["deliveries"]}


async def test_texts_follow_the_readers_language(service: Service, worker: Principal) -> None:
    await funded(service, worker)
    french = await service.call("GET", API, by=worker, headers={"Accept-Language": "de-DE, fr-CI;q=0.9"})
    other = await service.call("GET", API, by=worker, headers={"Accept-Language": "tw"})
    assert french.data["items"][0]["body"].startswith("12\u202f345,50\u00a0GHS sont sous séquestre")
    assert other.data["items"][0]["body"] == "GHS 12,345.50 is held in escrow. You can start to work."


async def test_the_mail_goes_once(
    service: Service, worker: Principal, platform: FakePlatform, mailbox: Mailbox
) -> None:
    notification_id = await funded(service, worker)
    platform.is_away = True
    with pytest.raises(Unavailable):
        await rules.send_delivery(service.context, f"{notification_id}:email")
    platform.is_away = False

    for _ in range(2):
        await rules.send_delivery(service.context, f"{notification_id}:email")

    (mail,) = await mailbox.wait_for(f"{worker.user_id}@people.example")
    assert mail["Subject"] == "Money is held for you"
    assert mail["Message-ID"] == f"<{notification_id}@api.kelmah.example>"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    for part in (plain.get_content(), html.get_content()):
        assert "GHS 12,345.50 is held in escrow." in part
    assert await log(service, notification_id, worker) == {"email": ("sent", None), "push": ("due", None)}


async def test_the_mail_is_in_the_persons_language(service: Service, platform: FakePlatform, mailbox: Mailbox) -> None:
    who = person()
    platform.know(who, "Aya", locale="fr-CI")
    await rules.send_delivery(service.context, f"{await funded(service, who)}:email")
    (mail,) = await mailbox.wait_for(f"{who.user_id}@people.example")
    assert mail["Subject"] == "Fonds sous séquestre"


@pytest.mark.parametrize("known", [True, False])
async def test_no_mail_goes_to_an_unverified_or_unknown_address(
    service: Service, platform: FakePlatform, mailbox: Mailbox, known: bool
) -> None:
    who = person()
    if known:
        platform.know(who, "Ama", email_verified=False)
    notification_id = await funded(service, who)
    await rules.send_delivery(service.context, f"{notification_id}:email")
    told = {"email": ("skipped", "no_verified_address"), "push": ("due", None)}
    assert await log(service, notification_id, who) == (told if known else {})
    assert mailbox.messages() == []


async def test_reading_notifications(service: Service, worker: Principal, stranger: Principal) -> None:
    clock_ids = [await funded(service, worker) for _ in range(4)]
    first = clock_ids[0]

    async def read(by: Principal, **body: Any) -> Any:
        return await service.call("POST", f"{API}/read", body, by=by)

    assert (await read(stranger, ids=clock_ids)).data == {"unreadCount": 0}
    assert (await service.call("GET", API, by=worker)).data["unreadCount"] == 4
    bad: list[dict[str, Any]] = [{}, {"ids": [first], "upTo": first}, {"ids": []}, {"ids": ["x"] * 101}]
    for body in bad:
        reply = await read(worker, **body)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, "ids")
    foreign = await read(stranger, upTo=first)
    assert (foreign.status, foreign.data["errors"][0]["field"]) == (400, "upTo")

    assert (await read(worker, ids=[clock_ids[3]])).data == {"unreadCount": 3}
    assert (await read(worker, upTo=clock_ids[1])).data == {"unreadCount": 1}
    unread = (await service.call("GET", f"{API}?unread=true", by=worker)).data
    assert [one["id"] for one in unread["items"]] == [clock_ids[2]]
    page = (await service.call("GET", f"{API}?limit=3", by=worker)).data
    rest = (await service.call("GET", f"{API}?limit=3&cursor={page['nextCursor']}", by=worker)).data
    assert [one["id"] for one in page["items"] + rest["items"]] == clock_ids[::-1]


async def tell(service: Service, conversation_id: str) -> list[tuple[Envelope, messaging.MessageSent]]:
    """All message events of a conversation, as a worker gets them."""
    rows = service.context.mongo.collection("events").find({"subject": f"conversation:{conversation_id}"})
    found = [from_document(row) for row in await rows.sort("sequence", 1).to_list()]
    return [(one, event) for one in found if isinstance(event := decode(one), messaging.MessageSent)]


async def test_messages_collapse_while_unread(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    for text in "abc":
        await say(service, conversation_id, text, hirer)
    events = await tell(service, conversation_id)
    # Late, early, and each twice.
    for one, event in [*reversed(events), *events]:
        await rules.on_message_sent(service.context, one, event)
    (row,) = (await service.call("GET", API, by=worker)).data["items"]
    assert (row["kind"], row["count"], row["body"]) == (
        "message_received",
        3,
        "You have 3 new messages in a conversation.",
    )
    assert (await service.call("GET", API, by=hirer)).data["items"] == []

    await say(service, conversation_id, "d", hirer)
    (one, event) = (await tell(service, conversation_id))[-1]
    await rules.on_message_sent(service.context, one, event)
    (row,) = (await service.call("GET", API, by=worker)).data["items"]
    assert (row["count"], row["body"]) == (4, "You have 4 new messages in a conversation.")
    assert row["data"] == {"conversationId": conversation_id, "messageId": event.message_id}
    assert await log(service, row["id"], worker) == {"email": ("due", None), "push": ("due", None)}

    # Whoever has read the conversation has read the notification, also one that comes late.
    await service.call("POST", f"/api/v1/conversations/{conversation_id}/read", {"upTo": 4}, by=worker)
    assert (await service.call("GET", API, by=worker)).data["unreadCount"] == 0
    await say(service, conversation_id, "e", hirer)
    await service.call("POST", f"/api/v1/conversations/{conversation_id}/read", {"upTo": 5}, by=worker)
    (one, event) = (await tell(service, conversation_id))[-1]
    await rules.on_message_sent(service.context, one, event)
    page = (await service.call("GET", API, by=worker)).data
    assert (len(page["items"]), page["unreadCount"]) == (1, 0)


async def test_no_row_holds_a_name_or_an_address(service: Service, worker: Principal) -> None:
    await funded(service, worker)
    rows = await service.context.mongo.collection("notifications").find({"user_id": worker.user_id}).to_list()
    assert "people.example" not in str(rows)
    assert "Kofi" not in str(rows)


async def test_an_ended_session_can_be_told_twice(service: Service, worker: Principal) -> None:
    event = auth.SessionRevoked(user_id=worker.user_id, session_id=worker.session_id, reason="logout")
    for _ in range(2):
        await rules.on_session_revoked(service.context, envelope(event), event)
