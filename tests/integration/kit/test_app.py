"""What every app does with any request: its door, its errors, its headers, its health."""

import json
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import signing
from kelmah.kit.observe import SECURITY_HEADERS
from tests.fixtures.service import KEY, Service, person, request
from tests.integration.kit.thing import ThingDocument

GOOD: dict[str, Any] = {"name": "abc", "price": {"amount": 1}}
KEYED = {"Idempotency-Key": "only-once"}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({**GOOD, "name": "a"}, [("name", "Expected `str` of length >= 2")]),
        ({**GOOD, "price": {"amount": 0}}, [("price.amount", "Expected `int` >= 1")]),
        ({**GOOD, "price": {"amount": 1.5}}, [("price.amount", "Expected `int`, got `float`")]),
        ({**GOOD, "price": {"amount": "1"}}, [("price.amount", "Expected `int`, got `str`")]),
        ({**GOOD, "price": {"amount": True}}, [("price.amount", "Expected `int`, got `bool`")]),
        ({**GOOD, "price": {"amount": 2**53}}, [("price.amount", "Expected `int` <= 9007199254740991")]),
        ({**GOOD, "more": 1}, [("more", "Object contains unknown field `more`")]),
        ({"name": "abc"}, [("price", "Object missing required field `price`")]),
        ([], [("", "Expected `object`, got `array`")]),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    things: Service, body: Any, errors: list[tuple[str, str]]
) -> None:
    before = await ThingDocument.count()
    reply = await things.call("POST", "/api/v1/things", body, by=person(), headers=KEYED)
    assert (reply.status, reply.data["code"]) == (400, "bad_input")
    assert reply.headers["content-type"] == "application/problem+json"
    assert [(error["field"], error["message"]) for error in reply.data["errors"]] == errors
    assert await ThingDocument.count() == before


@pytest.mark.parametrize("raw", [b'{"name": ', b"", b"\xff", b'{"name": "\xff"}', b"[" * 1500, b'{"name": "\\ud800"}'])
async def test_broken_json_is_bad_input(things: Service, raw: bytes) -> None:
    reply = await things.call("POST", "/api/v1/things", raw=raw, by=person(), headers=KEYED)
    assert (reply.status, reply.data["code"]) == (400, "bad_input")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("DELETE", "/api/v1/things", 405, "method_not_allowed"),
        ("GET", "/api/v1/things?limit=x", 400, "bad_input"),
    ],
)
async def test_every_error_is_a_problem(things: Service, method: str, path: str, status: int, code: str) -> None:
    reply = await things.call(method, path, by=person())
    assert (reply.status, reply.data["code"], reply.data["status"]) == (status, code, status)
    assert reply.data["type"] == f"urn:kelmah:error:{code}"
    assert reply.data["requestId"] == reply.headers["x-request-id"]
    assert reply.headers.get("allow") == ("GET, OPTIONS, POST" if status == 405 else None)


async def test_an_unexpected_fault_tells_nothing(things: Service) -> None:
    reply = await things.call("POST", "/api/v1/things/fault", by=person())
    assert (reply.status, reply.data["code"]) == (500, "internal")
    assert b"secret" not in reply.body


async def test_every_answer_carries_the_security_headers(things: Service) -> None:
    for reply in (
        await things.call("GET", "/api/v1/things"),
        await things.call("GET", "/api/v1/nothing"),
        await request(things.app, "GET", "/api/v1/things", {}, b""),
    ):
        for name, value in SECURITY_HEADERS:
            assert reply.headers[name.decode()] == value.decode()
        assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("by", "caller", "status"),
    [
        (None, "gateway", 401),
        (person(Role.WORKER), "gateway", 403),
        (person(Role.HIRER), "user", 403),
        (person(Role.HIRER), "gateway", 201),
    ],
)
async def test_who_may_create(things: Service, by: Any, caller: str, status: int) -> None:
    before = await ThingDocument.count()
    reply = await things.call("POST", "/api/v1/things", GOOD, by=by, caller=caller, headers=KEYED)
    assert reply.status == status
    assert await ThingDocument.count() == before + (status == 201)


async def test_internal_operations_are_for_the_named_services(things: Service) -> None:
    assert (await things.call("GET", "/internal/things", caller="user")).status == 200
    assert (await things.call("GET", "/internal/things", caller="gateway", by=person(Role.ADMIN))).status == 403


async def test_an_unsigned_call_is_refused(things: Service) -> None:
    reply = await request(things.app, "GET", "/api/v1/things", {"x-user-id": "u1"}, b"")
    assert (reply.status, reply.data["code"]) == (401, "signature_refused")


async def test_a_signature_serves_one_write(things: Service) -> None:
    body = json.dumps(GOOD).encode()
    signed = signing.sign(
        caller="gateway",
        callee="thing",
        method="POST",
        target="/api/v1/things",
        digest=signing.body_digest(body),
        principal=person(),
        keys={"thing": [KEY]},
    )
    headers = {"content-type": "application/json", **signed}
    first = await request(things.app, "POST", "/api/v1/things", {**headers, "idempotency-key": "a"}, body)
    second = await request(things.app, "POST", "/api/v1/things", {**headers, "idempotency-key": "b"}, body)
    assert (first.status, second.status, second.data["code"]) == (201, 401, "signature_refused")


@pytest.mark.parametrize(("size", "status"), [(2048, 400), (2049, 413)])
async def test_a_body_is_bounded(things: Service, size: int, status: int) -> None:
    reply = await things.call("POST", "/api/v1/things", raw=b" " * size, by=person(), headers=KEYED)
    assert reply.status == status


async def test_health_and_metrics_need_no_signature(things: Service) -> None:
    ready = await request(things.app, "GET", "/readyz", {}, b"")
    assert (ready.status, ready.data) == (200, {"status": "ok", "checks": {"mongo": "ok", "redis": "ok"}})
    assert (await request(things.app, "GET", "/livez", {}, b"")).status == 200
    metrics = await request(things.app, "GET", "/metrics", {}, b"")
    assert b'kelmah_requests_total{method="GET",operation="ListThings",status="200"}' in metrics.body
