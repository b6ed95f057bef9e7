"""The archive of all that is kept of a person: asked for, gathered, fetched once, thrown away."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from kelmah.clients.exports import ExportClient
from kelmah.contracts.common import Page
from kelmah.contracts.exports import PARTS
from kelmah.kit.errors import Unavailable
from kelmah.kit.ids import new_id
from kelmah.services.auth import service as rules
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import PASSWORD, Visitor, events_of, mailed_token, new_member, run_timers
from tests.integration.auth.test_mfa import call, fresh


class FakeExports(ExportClient):
    """A service that keeps three things of everybody in each part, in two pages; or does not answer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[str, str]] = []
        self.failures = 0

    async def get_page(self, *, user_id: str, part: str, cursor: str | None) -> Page[msgspec.Raw]:
        if self.failures:
            self.failures -= 1
            raise Unavailable
        self.asked.append((user_id, part))
        numbers = (1, 2) if cursor is None else (3,)
        items = [msgspec.Raw(msgspec.json.encode({"of": user_id, "in": self.name, "n": n})) for n in numbers]
        return Page(items=items, next_cursor="second" if cursor is None else None)


@pytest.fixture
async def others(auth: Service) -> AsyncIterator[dict[str, FakeExports]]:
    """The other services."""
    real, fakes = auth.context.exports, {name: FakeExports(name) for name in PARTS if name != "auth"}
    auth.replace(exports=fakes)
    yield fakes
    auth.replace(exports=real)
    await auth.context.mongo.collection("timers").delete_many({"actor": "auth.gather_export"})


async def ask(auth: Service, member: Visitor) -> Reply:
    return await call(auth, member, "me/exports", by=fresh(member))


async def listed(auth: Service, member: Visitor) -> list[dict[str, Any]]:
    reply = await auth.call("GET", "/api/v1/auth/me/exports", by=member.principal)
    found: list[dict[str, Any]] = reply.data["items"]
    return found


async def link(auth: Service, member: Visitor, export_id: str) -> Reply:
    return await call(auth, member, f"me/exports/{export_id}/link", by=fresh(member))


async def fetch(auth: Service, url: str) -> Reply:
    """As a browser that follows the link: nobody is signed in."""
    parts = urlsplit(url)
    return await auth.call("GET", f"{parts.path}?{parts.query}")


def opened(body: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


async def ready(auth: Service, member: Visitor) -> str:
    """Somebody's archive, gathered."""
    export_id = (await ask(auth, member)).data["id"]
    await run_timers(auth)
    assert [one["status"] for one in await listed(auth, member)] == ["ready"]
    return str(export_id)


async def test_a_person_gets_everything_in_one_zip(
    auth: Service, member: Visitor, mailbox: Mailbox, others: dict[str, FakeExports]
) -> None:
    asked = await ask(auth, member)
    assert (asked.status, asked.data["status"], asked.data["expiresAt"]) == (202, "gathering", None)
    assert (await link(auth, member, asked.data["id"])).data["code"] == "auth.export_not_ready"
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["subject"] == "Somebody asked for a copy of your Kelmah data"
    [one] = await listed(auth, member)
    assert (one["id"], one["status"]) == (asked.data["id"], "ready")

    made = await link(auth, member, one["id"])
    assert made.status == 200
    got = await fetch(auth, made.data["url"])
    assert (got.status, got.headers["content-type"], got.headers["cache-control"]) == (
        200, "application/zip", "private, no-store",
    )  # fmt: skip
    files, user_id = opened(got.body), member.principal.user_id
    assert set(files) == {f"{name}/{part}.json" for name, parts in PARTS.items() for part in parts} | {"index.json"}
    [account] = files["auth/account.json"]
    assert (account["account"]["email"], len(account["sessions"])) == (member.email, 1)
    assert files["job/contracts.json"] == [{"of": user_id, "in": "job", "n": n} for n in (1, 2, 3)]
    assert files["index.json"]["userId"] == user_id
    assert all(part["complete"] for part in files["index.json"]["parts"])
    told = await events_of(auth, f"user:{user_id}")
    assert [one for one in told if "export" in one] == [
        "auth.data_export_requested.v1", "auth.data_export_ready.v1", "auth.data_export_fetched.v1",
    ]  # fmt: skip


async def test_what_is_kept_of_the_archive_is_sealed(
    auth: Service, member: Visitor, others: dict[str, FakeExports]
) -> None:
    export_id = await ready(auth, member)
    sealed = b"".join([chunk async for chunk in await auth.context.blobs.get(export_id)])
    assert len(sealed) > 1000
    assert b"PK" not in sealed[:64]
    assert b"account.json" not in sealed


async def test_asking_twice_or_at_once_makes_one(
    auth: Service, member: Visitor, others: dict[str, FakeExports]
) -> None:
    replies = await asyncio.gather(*[ask(auth, member) for _ in range(4)])
    assert {reply.status for reply in replies} == {202}
    (export_id,) = {reply.data["id"] for reply in replies}
    await asyncio.gather(*[rules.gather_export(auth.context, member.principal.user_id, export_id) for _ in range(3)])
    await run_timers(auth)
    again = await ask(auth, member)
    assert (again.data["id"], again.data["status"]) == (export_id, "ready")
    told = await events_of(auth, f"user:{member.principal.user_id}")
    assert [one for one in told if "export" in one] == [
        "auth.data_export_requested.v1", "auth.data_export_ready.v1",
    ]  # fmt: skip
    assert (await fetch(auth, (await link(auth, member, export_id)).data["url"])).status == 200


async def test_it_takes_a_fresh_proof_and_is_nobody_elses(
    auth: Service, member: Visitor, others: dict[str, FakeExports]
) -> None:
    refused = await call(auth, member, "me/exports")
    assert (refused.status, refused.data["code"]) == (403, "step_up_required")
    assert await listed(auth, member) == []
    export_id, stranger = await ready(auth, member), await new_member(auth)
    assert (await call(auth, member, f"me/exports/{export_id}/link")).data["code"] == "step_up_required"
    assert (await link(auth, stranger, export_id)).status == 404
    assert await listed(auth, stranger) == []
    assert (await auth.call("POST", "/api/v1/auth/me/exports")).status == 401
    assert {asked for name in others for asked, _ in others[name].asked} == {member.principal.user_id}


async def test_a_link_serves_once_soon_and_within_its_session(
    auth: Service, member: Visitor, others: dict[str, FakeExports], moved_clock: Any
) -> None:
    export_id = await ready(auth, member)
    url = (await link(auth, member, export_id)).data["url"]
    replies = await asyncio.gather(*[fetch(auth, url) for _ in range(3)])
    assert sorted(reply.status for reply in replies) == [200, 400, 400]
    for made_up in ("x" * 43, "", "%00", "a" * 4000):
        reply = await auth.call("GET", f"/api/v1/auth/exports/archive?ticket={made_up}")
        assert (reply.status, reply.data["code"]) == (400, "auth.token_refused")
    assert (await auth.call("GET", "/api/v1/auth/exports/archive")).data["errors"][0]["field"] == "ticket"

    url = (await link(auth, member, export_id)).data["url"]
    assert (await auth.call("DELETE", "/api/v1/auth/sessions", by=member.principal)).status == 204
    assert (await fetch(auth, url)).data["code"] == "auth.token_refused"


async def test_it_is_thrown_away_in_time_and_can_be_asked_for_again(
    auth: Service, member: Visitor, others: dict[str, FakeExports], moved_clock: Any
) -> None:
    export_id = await ready(auth, member)
    moved_clock(timedelta(seconds=auth.context.settings.export_kept_s + 1))
    assert await listed(auth, member) == []
    assert (await link(auth, member, export_id)).status == 404
    await run_timers(auth)
    assert not await auth.context.blobs.exists(export_id)
    assert (await member.login(password=PASSWORD)).status == 200
    assert (await ask(auth, member)).data["id"] != export_id


async def test_it_goes_with_the_account(auth: Service, member: Visitor, others: dict[str, FakeExports]) -> None:
    export_id, user_id = await ready(auth, member), member.principal.user_id
    assert await auth.context.blobs.exists(export_id)
    assert (await auth.call("DELETE", "/api/v1/auth/me", by=fresh(member))).status == 204
    await run_timers(auth)
    assert not await auth.context.blobs.exists(export_id)
    assert await auth.context.mongo.collection("exports").count_documents({"_id": user_id}) == 0


async def test_it_goes_when_the_owner_says_this_was_not_me(
    auth: Service, mailbox: Mailbox, others: dict[str, FakeExports]
) -> None:
    member = await new_member(auth, device=True)
    member.headers |= {"kelmah-device": new_id()}
    await member.login()
    token = await mailed_token(auth, mailbox, member.email)
    export_id = await ready(auth, member)
    url = (await link(auth, member, export_id)).data["url"]
    assert (await member.post("not-me", {"token": token})).status == 204
    assert (await fetch(auth, url)).data["code"] == "auth.token_refused"
    await run_timers(auth)
    assert not await auth.context.blobs.exists(export_id)


async def test_an_account_that_goes_while_it_is_gathered_leaves_nothing(
    auth: Service, member: Visitor, others: dict[str, FakeExports]
) -> None:
    export_id, user_id = (await ask(auth, member)).data["id"], member.principal.user_id
    principal = fresh(member)
    asked = others["review"].get_page

    async def meanwhile(**what: Any) -> Page[msgspec.Raw]:
        await auth.call("DELETE", "/api/v1/auth/me", by=principal)
        return await asked(**what)

    others["review"].get_page = meanwhile  # type: ignore[method-assign]
    await rules.gather_export(auth.context, user_id, export_id)
    assert not await auth.context.blobs.exists(export_id)
    assert "auth.data_export_ready.v1" not in await events_of(auth, f"user:{user_id}")
    await rules.gather_export(auth.context, user_id, export_id)  # said once more, as a queue may
    assert not await auth.context.blobs.exists(export_id)


async def test_a_service_that_does_not_answer_is_asked_again(
    auth: Service, member: Visitor, others: dict[str, FakeExports]
) -> None:
    export_id, user_id = (await ask(auth, member)).data["id"], member.principal.user_id
    others["payment"].failures = 1
    with pytest.raises(Unavailable):
        await rules.gather_export(auth.context, user_id, export_id)
    assert not await auth.context.blobs.exists(export_id)  # whole or not at all
    assert [one["status"] for one in await listed(auth, member)] == ["gathering"]
    await rules.gather_export(auth.context, user_id, export_id)
    assert [one["status"] for one in await listed(auth, member)] == ["ready"]


async def test_what_is_too_much_is_left_out_and_said(
    auth: Service, member: Visitor, others: dict[str, FakeExports]
) -> None:
    kept = auth.context.settings
    auth.replace(settings=kept.model_copy(update={"export_max_bytes": 2_000}))
    try:
        export_id = await ready(auth, member)
    finally:
        auth.replace(settings=kept)
    files = opened((await fetch(auth, (await link(auth, member, export_id)).data["url"])).body)
    parts = files["index.json"]["parts"]
    assert sum(len(msgspec.json.encode(item)) for part in parts for item in files[part["file"]]) <= 2_000
    assert [part["complete"] for part in parts].index(False) > 0
    assert [len(files[part["file"]]) for part in parts] == [part["items"] for part in parts]
