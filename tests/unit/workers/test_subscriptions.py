"""Every event type has a consumer, or stands here as one that has none."""

from kelmah import services
from kelmah.cli import asyncapi
from kelmah.contracts.events import EVENT_TYPES
from kelmah.workers.registry import load_actors

#: Facts for the audit, for consumers outside, or for rooms that are not built yet.
UNHEARD = {
    "auth.api_key_created.v1",
    "auth.api_key_revoked.v1",
    "auth.api_key_used.v1",
    "auth.data_export_fetched.v1",
    "auth.data_export_requested.v1",
    "auth.email_changed.v1",
    "auth.email_verified.v1",
    "auth.identity_linked.v1",
    "auth.identity_unlinked.v1",
    "auth.logged_in.v1",
    "auth.login_refused.v1",
    "auth.mfa_disabled.v1",
    "auth.mfa_enabled.v1",
    "auth.passkey_added.v1",
    "auth.passkey_removed.v1",
    "auth.registration_refused.v1",
    "job.job_closed.v1",
    "job.job_created.v1",
    "job.job_deleted.v1",
    "job.job_paused.v1",
    "job.job_updated.v1",
    "job.past_job_viewed.v1",
    "messaging.conversation_reported.v1",
    "messaging.file_shared.v1",
    "messaging.message_flagged.v1",
    "messaging.report_decided.v1",
    "messaging.status_updated.v1",
    "messaging.support_closed.v1",
    "messaging.support_joined.v1",
    "messaging.support_left.v1",
    "payment.exception_resolved.v1",
    "payment.past_money_viewed.v1",
    "payment.referrer_named.v1",
    "review.review_appealed.v1",
    "review.review_submitted.v1",
    "user.booking_released.v1",
    "user.certificate_check_requested.v1",
    "user.profile_updated.v1",
    "user.status_changed.v1",
    "user.worker_booked.v1",
    *(f"{name}.operator_acted.v1" for name in services.NAMES),
}
#: The twelve that the seed document names.
SEED = {
    "job.job_created.v1",
    "job.application_received.v1",
    "job.contract_signed.v1",
    "payment.payment_processed.v1",
    "payment.dispute_raised.v1",
    "payment.escrow_released.v1",
    "messaging.message_sent.v1",
    "messaging.file_shared.v1",
    "messaging.status_updated.v1",
    "user.profile_updated.v1",
    "auth.user_registered.v1",
    "user.status_changed.v1",
}


def test_every_event_type_has_a_consumer_or_is_known_to_have_none() -> None:
    heard = set(load_actors().subscriptions)
    assert heard <= EVENT_TYPES.keys()
    assert EVENT_TYPES.keys() - heard == UNHEARD


def test_the_events_of_the_seed_exist() -> None:
    assert len(SEED) == 12
    assert EVENT_TYPES.keys() >= SEED


def test_the_asyncapi_document_names_producers_and_consumers() -> None:
    document = asyncapi.document()
    assert set(document["channels"]) == set(EVENT_TYPES)
    released = {
        name: one["action"] for name, one in document["operations"].items() if name.endswith(".escrow_released.v1")
    }
    assert released == {
        "payment/tell/payment.escrow_released.v1": "send",
        "job.note_escrow_released/hear/payment.escrow_released.v1": "receive",
        "messaging.notify/hear/payment.escrow_released.v1": "receive",
        "user.count_event/hear/payment.escrow_released.v1": "receive",
    }
    for message in document["components"]["messages"].values():
        assert (
            message["payload"]["allOf"][1]["properties"]["data"]["$ref"].rpartition("/")[2]
            in document["components"]["schemas"]
        )
