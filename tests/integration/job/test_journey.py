"""A job from its first draft to the paid contract."""

import hashlib

from tests.fakes.payment import FakePaymentClient
from tests.integration.job.steps import Desk, hirer, milestone, worker


async def test_a_job_is_written_found_won_signed_funded_done_and_paid(desk: Desk, payment: FakePaymentClient) -> None:
    anna, kofi, other = hirer(), worker(), worker()
    job = await desk.draft(anna, title="Mend the roof of the zebra house")
    assert job["status"] == "draft"
    job = await desk.ok("POST", f"/jobs/{job['id']}/publish", by=anna)
    assert job["status"] == "open"
    found = await desk.ok("GET", "/jobs?q=zebra%20roof")
    assert [one["id"] for one in found["items"]] == [job["id"]]

    losing = await desk.application(job["id"], other)
    offer = {
        "milestones": [
            {"title": "Frame", "amount": 20_000},
            {"title": "Tiles", "amount": {"amount": 25_000, "currency": "GHS"}},
        ]
    }
    winning = await desk.application(job["id"], kofi, **offer)
    assert [one["amount"] for one in winning["milestones"]] == [
        {"amount": 20_000, "currency": "GHS"},
        {"amount": 25_000, "currency": "GHS"},
    ]
    accepted = await desk.ok("POST", f"/applications/{winning['id']}/accept", by=anna)
    contract = accepted["contract"]
    assert (accepted["id"], accepted["status"], accepted["contractId"]) == (winning["id"], "accepted", contract["id"])
    assert contract["status"] == "awaiting_signatures"
    assert contract["value"] == {"amount": 45_000, "currency": "GHS"}
    assert hashlib.sha256(contract["terms"].encode()).hexdigest() == contract["termsHash"]
    assert (await desk.ok("GET", f"/applications/{losing['id']}", by=other))["status"] == "rejected"
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["status"] == "in_progress"
    assert (await desk.ok("GET", "/jobs?q=zebra%20roof"))["items"] == []

    one = await desk.ok("POST", f"/contracts/{contract['id']}/sign", {"termsHash": contract["termsHash"]}, by=anna)
    assert (one["status"], len(one["signatures"])) == ("awaiting_signatures", 1)
    both = await desk.ok("POST", f"/contracts/{contract['id']}/sign", by=kofi)
    assert (both["status"], len(both["signatures"])) == ("active", 2)

    for part in both["milestones"]:
        assert (await desk.money(contract["id"], part["id"], "funded")).status == 204
        handed_in = await desk.ok("POST", milestone(contract["id"], part["id"], "submit"), by=kofi)
        assert handed_in["status"] == "submitted"
        paid = await desk.ok("POST", milestone(contract["id"], part["id"], "approve"), by=anna)
        assert paid["status"] == "released"
    assert payment.released == [(contract["id"], part["id"]) for part in both["milestones"]]

    done = await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi)
    assert done["status"] == "completed"
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["status"] == "completed"
    assert await desk.events(f"contract:{contract['id']}") == [
        "contract_signed", "contract_signed", "milestone_submitted", "milestone_approved", "milestone_submitted",
        "milestone_approved", "contract_completed",
    ]  # fmt: skip
    assert await desk.events(f"job:{job['id']}") == ["job_created", "job_published"]
    assert await desk.events(f"application:{losing['id']}") == ["application_received", "application_rejected"]
    assert await desk.timers(contract["id"]) == []
