"""Calls between services: the same over HTTP and in memory; errors arrive as what they were."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
import uvicorn

from kelmah.contracts.common import Money, Page, Problem, Role
from kelmah.kit import errors
from kelmah.kit.breaker import CircuitOpen
from kelmah.kit.calls import (
    ATTEMPTS,
    Answer,
    ASGITransport,
    HTTPTransport,
    ServiceCaller,
    Transport,
    http_client,
    quoted,
    rebuild,
)
from kelmah.kit.context import Principal, current_principal, current_trace, set_deadline, trace_from
from kelmah.kit.ids import new_id
from tests.fixtures.service import KEY, Service, person
from tests.integration.kit.thing import NewThing, ThingView

GOOD = NewThing(name="abc", price=Money(amount=1))


def caller_over(transport: Transport, *, caller: str = "gateway") -> ServiceCaller:
    return ServiceCaller(caller=caller, callee="thing", transport=transport, keys={"thing": [KEY]})


@pytest.fixture(params=["memory", "http"])
async def transport(request: pytest.FixtureRequest, things: Service) -> AsyncIterator[Transport]:
    if request.param == "memory":
        yield ASGITransport(things.app)
        return
    server = uvicorn.Server(uvicorn.Config(things.app, port=0, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with http_client() as client:
        yield HTTPTransport(client, [f"http://127.0.0.1:{port}"])
    server.should_exit = True
    await running


async def test_an_answer_is_decoded(transport: Transport) -> None:
    page = await caller_over(transport).call("GET", "/api/v1/things", query={"limit": "1"}, returns=Page[ThingView])
    assert page == Page(items=[ThingView(id="1", owner_id="2")])


@pytest.mark.parametrize(
    ("by", "error", "code"),
    [
        (None, errors.Unauthenticated, "unauthenticated"),
        (person(Role.WORKER), errors.Forbidden, "forbidden"),
        (person(Role.HIRER), errors.IdempotencyKeyMissing, "idempotency_key_missing"),
    ],
)
async def test_an_error_arrives_as_its_own_class(
    transport: Transport, by: object, error: type[errors.KelmahError], code: str
) -> None:
    with pytest.raises(error) as caught:
        await caller_over(transport).call("POST", "/api/v1/things", body=GOOD, returns=ThingView, principal=by)  # type: ignore[arg-type]  # a table of people
    assert (type(caught.value), caught.value.code) == (error, code)


async def test_a_call_leaves_our_own_context_alone(transport: Transport) -> None:
    trace, somebody = trace_from("request-1", None, None), person()
    current_trace.set(trace)
    current_principal.set(somebody)
    await caller_over(transport).call("GET", "/api/v1/things", returns=Page[ThingView], principal=person())
    assert (current_trace.get(), current_principal.get()) == (trace, somebody)


@pytest.mark.parametrize("somebody", [person(Role.HIRER, address="192.0.2.7", device="Probe"), None])
async def test_what_a_call_changes_is_done_by_whom_we_serve(
    things: Service, transport: Transport, somebody: Principal | None
) -> None:
    job_id = new_id()
    token = current_principal.set(somebody)
    try:
        await caller_over(transport, caller="job").call("POST", f"/internal/things/{job_id}/note", returns=type(None))
    finally:
        current_principal.reset(token)
    row = await things.context.mongo.collection("events").find_one({"subject": f"job:{job_id}"})
    assert row is not None
    if somebody is None:
        assert (row["actor"], row["address"]) == ("system:job", None)
    else:
        assert row["actor"] == somebody.user_id
        assert await things.context.events.people.open(somebody.user_id, row["address"]) == "192.0.2.7"
        assert await things.context.events.people.open(somebody.user_id, row["device"]) == "Probe"


async def test_no_call_leaves_an_open_transaction(things: Service, transport: Transport) -> None:
    async def change() -> None:
        await caller_over(transport).call("GET", "/api/v1/things", returns=Page[ThingView])

    with pytest.raises(RuntimeError, match="out of the transaction"):
        await things.context.mongo.transact(change)


async def test_a_port_where_nobody_listens_is_unavailable() -> None:
    async with http_client() as client:
        transport = HTTPTransport(client, ["http://127.0.0.1:9"])
        with pytest.raises(errors.Unavailable):
            await caller_over(transport).call("GET", "/api/v1/things", returns=Page[ThingView])


class Scripted:
    """Answers from a list, and counts."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.calls = 0

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


OK = Answer(200, b'{"items":[],"nextCursor":null}')
DOWN = Answer(503, b"")


@pytest.mark.parametrize(
    ("method", "safe", "script", "calls", "ends_well"),
    [
        ("GET", None, [DOWN, DOWN, OK], ATTEMPTS, True),
        ("GET", None, [errors.Unavailable(), OK], 2, True),
        ("GET", None, [DOWN, DOWN, DOWN, OK], ATTEMPTS, False),
        ("GET", None, [Answer(500, b""), OK], 1, False),
        ("GET", None, [errors.GatewayTimeout(), OK], 1, False),
        ("POST", None, [DOWN, OK], 1, False),
        ("POST", True, [DOWN, OK], 2, True),
    ],
)
async def test_only_safe_calls_are_tried_again(
    method: str, safe: bool | None, script: list[Answer | Exception], calls: int, ends_well: bool
) -> None:
    scripted = Scripted(*script)
    call = caller_over(scripted).call(method, "/x", returns=Page[ThingView], safe=safe)
    if ends_well:
        assert await call == Page(items=[])
    else:
        with pytest.raises(errors.KelmahError):
            await call
    assert scripted.calls == calls


async def test_a_peer_that_fails_is_left_alone() -> None:
    scripted = Scripted(Answer(500, b""))
    caller = caller_over(scripted)
    for _ in range(20):
        with pytest.raises(errors.BadGateway):
            await caller.call("GET", "/x", returns=Page[ThingView])
    with pytest.raises(CircuitOpen):
        await caller.call("GET", "/x", returns=Page[ThingView])
    assert scripted.calls == 20


async def test_no_call_is_made_when_our_caller_no_longer_waits() -> None:
    scripted = Scripted(OK)
    set_deadline("0")
    try:
        with pytest.raises(errors.GatewayTimeout):
            await caller_over(scripted).call("GET", "/x", returns=Page[ThingView])
    finally:
        set_deadline(None)
    assert scripted.calls == 0


def test_an_unknown_code_falls_under_the_class_of_its_status() -> None:
    problem = Problem(type="t", title="Gone", status=409, code="other.gone", request_id="r", detail="It is gone.")
    error = rebuild(Answer(409, msgspec.json.encode(problem)))
    assert isinstance(error, errors.Conflict)
    assert (error.code, error.status_code, error.message) == ("other.gone", 409, "It is gone.")


def test_what_is_no_problem_document_is_a_bad_gateway() -> None:
    assert isinstance(rebuild(Answer(404, b"<html>")), errors.BadGateway)


def test_a_path_is_quoted_with_its_slashes() -> None:
    assert quoted("internal", "jobs", "../a b?") == "/internal/jobs/..%2Fa%20b%3F"
