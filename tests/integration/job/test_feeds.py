"""The private address of a calendar: whoever knows it reads the calendar, until it is replaced or ended."""

import pytest

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted
from kelmah.contracts.common import Role
from kelmah.services.job import service
from tests.fakes.user import FakeUserClient
from tests.fixtures.events import envelope
from tests.fixtures.service import person
from tests.integration.job.steps import Desk, hirer, worker
from tests.integration.job.test_terms import booked

FEED = "/calendar/feed"


async def test_a_feed_is_read_without_signing_in_and_is_the_calendar(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await booked(desk, anna, kofi)
    opened = await desk.call("POST", FEED, by=kofi)
    assert opened.status == 201
    address = opened.data["path"].removeprefix("/api/v1")
    reply = await desk.call("GET", address)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/calendar")
    assert reply.body == (await desk.call("GET", "/calendar.ics", by=kofi)).body
    assert f"UID:{contract['id']}-work@kelmah" in reply.body.decode()
    # The database holds no token, and a feed reads one calendar.
    token = address.partition("?token=")[2]
    assert len(token) == 43
    row = await desk.service.context.mongo.collection("calendar_feeds").find_one({"_id": kofi.user_id})
    assert token not in str(row)
    assert b"VEVENT" not in (await desk.call("GET", (await desk.ok("POST", FEED, by=hirer()))["path"][7:])).body


async def test_another_feed_ends_the_one_before_and_so_does_its_owner(desk: Desk) -> None:
    kofi = worker()
    first, second = [(await desk.ok("POST", FEED, by=kofi))["path"][7:] for _ in range(2)]
    assert [(await desk.call("GET", one)).status for one in (first, second)] == [404, 200]
    assert (await desk.call("DELETE", FEED, by=worker())).data["code"] == "job.feed_not_found"
    assert (await desk.call("GET", second)).status == 200
    assert (await desk.call("DELETE", FEED, by=kofi)).status == 204
    assert (await desk.call("GET", second)).data["code"] == "job.feed_not_found"
    assert (await desk.call("DELETE", FEED, by=kofi)).status == 404


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "%ff%fe", "%00", "$ne", "a" * 65])
async def test_what_is_no_token_opens_nothing(desk: Desk, token: str) -> None:
    reply = await desk.call("GET", f"{FEED}.ics?token={token}")
    assert reply.status == (400 if len(token) > 64 else 404)


async def test_who_may_open_a_feed(desk: Desk) -> None:
    assert (await desk.call("GET", f"{FEED}.ics")).data["errors"][0]["field"] == "token"
    for method in ("POST", "DELETE"):
        assert (await desk.call(method, FEED)).status == 401
        assert (await desk.call(method, FEED, by=person(Role.ADMIN))).status == 403


@pytest.mark.parametrize("event_type", [AccountDeactivated, AccountDeleted])
async def test_a_feed_ends_with_the_account(desk: Desk, event_type: type) -> None:
    kofi = worker()
    address = (await desk.ok("POST", FEED, by=kofi))["path"][7:]
    if event_type is AccountDeleted:
        gone = AccountDeleted(user_id=kofi.user_id)
        await service.on_account_deleted(desk.service.context, envelope(gone), gone)
    else:
        resting = AccountDeactivated(user_id=kofi.user_id, by=kofi.user_id)
        await service.on_account_deactivated(desk.service.context, envelope(resting), resting)
    assert (await desk.call("GET", address)).status == 404
