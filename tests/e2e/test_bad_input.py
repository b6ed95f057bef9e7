"""Whatever is sent to any operation that the gateway publishes: the answer is no 5xx, and a refusal is a problem."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from kelmah.cli.demo.client import Api
from kelmah.cli.platform import Platform
from tests.e2e.conftest import Finished
from tests.e2e.test_seed import seeded_people, sign_in

pytestmark = pytest.mark.slow

#: Requests that are under way at once.
CONCURRENT = 8
ODD_SEGMENTS = (
    "x",
    "0" * 32,
    "x" * 3_000,
    "%00",
    "%ff%fe",
    "..%2f..",
    "%24ne",
    "%F0%9F%92%A5",
    "-1",
    "a%20b",
    "%0d%0a",
)
ODD_QUERY = ("", "x" * 3_000, "-1", "9" * 40, "NaN", "1e999", "%00", "%ff", "%5B%5D", "true", "a,b", "180,90", "0,0,0")
ODD_VALUES: tuple[Any, ...] = (
    *(None, "", "x" * 20_000, "\0", "\ud800", "-1", "2026-13-45", -1, 0, 2**70, 1.5, 1e308, True, [], {}),
    *([None], [[]], ["x"] * 1_000, {"$gt": ""}, {"amount": -1}, {"amount": 2**70, "currency": "XXX"}),
)
TOO_LARGE = b'{"a":"' + b"x" * 2_000_000 + b'"}'
ODD_BODIES = (
    *(b"", b"null", b"[]", b"{}", b'"x"', b"1", b"{", b"[" * 30_000, b"\xff\xfe", b'{"a":1}' * 2, b'{"a":NaN}'),
    *(b'{"\\ud800": 1}', b'{"a": 1, "a": 2}', b"\xef\xbb\xbf{}", b"1" * 50_000, TOO_LARGE),
)
ODD_HEADERS: tuple[dict[str, str], ...] = (
    {"If-Match": "x" * 2_000},
    {"If-Match": '"99999999999999999999"'},
    {"Idempotency-Key": "x" * 300},
    {"Idempotency-Key": "\u00e9"},
    {"Accept-Language": ";;q=x,,,"},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/json; charset=latin-99"},
    {"Kelmah-Device": "\u00e9" * 500, "X-Filename": "%00%ff"},
    {"X-Forwarded-For": "not an address", "traceparent": "00-zz", "X-Request-Id": "x" * 500},
    {"Authorization": "Bearer a.b.c"},
)


class Shot(NamedTuple):
    """One odd request."""

    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]


@pytest.fixture
async def people(running_platform: Platform, seeded: Finished) -> AsyncIterator[list[Api]]:
    """Nobody, and a signed-in person of each role."""
    # A server that refuses a body unread closes the connection, so none is used twice.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), connector=connector) as session:
        anybody = Api(session, running_platform.gateway_url)
        yield [anybody, *[await sign_in(anybody, one.email) for one in seeded_people()]]


@pytest.mark.timeout(900)
async def test_no_input_provokes_a_server_error(people: list[Api]) -> None:
    async with people[0].session.get(f"{people[0].url}/openapi.json") as answer:
        document = await answer.json()
    # What may end the session comes last.
    shots = sorted(every_shot(document), key=lambda shot: "/auth/" in shot.target)
    assert len(shots) > 2_000
    # Hirers and workers get everything. Of the rest most is refused at the door, so each gets another share.
    anybody, *staff, hirer, worker = people
    shares = [(hirer, shots), (worker, shots), *((api, shots[start::4]) for start, api in enumerate([anybody, *staff]))]
    faults = [fault for api, share in shares for fault in await fire(api, share)]
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(sorted(faults)[:200])


async def fire(api: Api, shots: list[Shot]) -> list[str]:
    """Send them all; what was answered wrongly."""
    faults: list[str] = []
    waiting = iter(shots)

    async def shoot() -> None:
        for shot in waiting:
            fault = await fault_of(api, shot)
            if fault is not None:
                faults.append(f"{shot.method} {shot.target[:120]} {(shot.body or b'')[:120]!r} {shot.headers}: {fault}")

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENT):
            group.create_task(shoot())
    return faults


async def fault_of(api: Api, shot: Shot) -> str | None:
    usual = {"Content-Type": "application/json", "Idempotency-Key": f"k{hash(shot.target)}"}
    headers = usual | api.headers | shot.headers
    data = None if shot.body is None else io.BytesIO(shot.body)
    url = URL(f"{api.url}{shot.target}", encoded=True)
    try:
        async with api.session.request(shot.method, url, data=data, headers=headers, allow_redirects=False) as answer:
            text = await answer.read()
    except aiohttp.ClientError as error:
        # The refusal of what is too large may overtake its sending.
        return None if shot.body == TOO_LARGE else f"no answer: {error!r}"
    if answer.status < 400:
        return None
    try:
        problem = json.loads(text)
    except ValueError:
        return f"{answer.status} without a problem: {text[:200]!r}"
    is_problem = (
        answer.content_type == "application/problem+json"
        and problem.keys() >= {"type", "title", "status", "code", "requestId"}
        and problem["status"] == answer.status
    )
    if answer.status >= 500 or not is_problem:
        return f"{answer.status} {answer.content_type} {text[:300]!r}"
    return None


def every_shot(document: dict[str, Any]) -> Iterator[Shot]:
    """For each operation: odd paths, odd queries, odd headers, odd bodies, and good bodies with one odd value."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from shots_at(document, method.upper(), path, operation)


def shots_at(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Iterator[Shot]:
    parameters = operation.get("parameters", [])
    names = [one["name"] for one in parameters if one["in"] == "path"]
    plain = path
    for name in names:
        plain = plain.replace(f"{{{name}}}", "0" * 32)
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    good = example(document, schema) if schema else None
    body = None if schema is None else json.dumps(good).encode()
    for name in names:
        for segment in ODD_SEGMENTS:
            yield Shot(method, path.replace(f"{{{name}}}", segment).replace("{", "").replace("}", ""), body, {})
    queries = [quote(one["name"]) for one in parameters if one["in"] == "query"]
    for query in [*(f"{name}={text}" for name in queries for text in ODD_QUERY), "a=1&" * 2_000]:
        yield Shot(method, f"{plain}?{query}", body, {})
    for headers in ODD_HEADERS:
        yield Shot(method, plain, body, headers)
    for odd in [*ODD_BODIES, *odd_fields(good)] if method != "GET" else []:
        yield Shot(method, plain, odd, {"If-Match": '"1"'})


def odd_fields(good: Any) -> Iterator[bytes]:
    """A good body with each odd value in each of its fields, and in one that is unknown."""
    if isinstance(good, dict):
        for field in [*good, "unknown"]:
            for value in ODD_VALUES:
                yield json.dumps({**good, field: value}).encode()


def example(document: dict[str, Any], schema: dict[str, Any], depth: int = 0) -> Any:
    """Something that fits a schema, more or less; all properties are there."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for key in ("examples", "enum"):
        if schema.get(key):
            return next(iter(schema[key]))
    if "example" in schema:
        return schema["example"]
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return example(document, schema[key][0], depth)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object" and depth < 5:
        fields = schema.get("properties", {})
        return {name: example(document, one, depth + 1) for name, one in fields.items()}
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]
        return [example(document, one, depth + 1) for one in items]
    simple = {"integer": schema.get("minimum", 1), "number": 1.5, "boolean": True, "object": {}, "null": None}
    return simple.get(str(kind), "2026-01-02" if schema.get("format") == "date" else "a" * schema.get("minLength", 3))
