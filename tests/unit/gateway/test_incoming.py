"""What a client sent: paths, queries, headers, addresses and bodies."""

import asyncio
from typing import Any

import pytest

from kelmah.gateway import incoming
from kelmah.gateway.errors import HeadersTooLarge, MalformedHeader, MalformedTarget, SlowClient, TargetTooLong
from kelmah.gateway.incoming import Addresses, Body
from kelmah.kit import errors


def scope(path: str = "/", query: str = "", client: str = "192.0.2.1") -> Any:
    return {"raw_path": path.encode("latin-1"), "query_string": query.encode("latin-1"), "client": (client, 1)}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("/", "/"),
        ("/api/v1/jobs", "/api/v1/jobs"),
        ("/api/jobs", "/api/v1/jobs"),
        ("/api/v2/jobs", "/api/v1/v2/jobs"),
        ("/api/v1", "/api/v1/v1"),
        ("/api", "/api"),
        ("/apix/jobs", "/apix/jobs"),
        ("/api/v1/jobs/", "/api/v1/jobs/"),
        ("/api/v1/a~b!$&'()*+,;=:@-._", "/api/v1/a~b!$&'()*+,;=:@-._"),
        ("/api/v1/%41%20%C3%A9", "/api/v1/%41%20%C3%A9"),
        ("/api/v1/..a/.b/...", "/api/v1/..a/.b/..."),
        ("/.well-known/jwks.json?x", "/.well-known/jwks.json"),
    ],
)
def test_good_paths(sent: str, read: str) -> None:
    assert incoming.read_path(scope(sent)) == read.encode()


@pytest.mark.parametrize(
    "path",
    [
        "", "*", "api", "//", "//api/v1/jobs", "/api//v1/jobs", "/api/v1/jobs//", "/.", "/..", "/api/../internal/x",
        "/api/v1/./jobs", "/api/v1/..", "/api/v1/%2e%2e/internal", "/api/v1/%2E", "/api/v1/a%2fb", "/api/v1/a%2Fb",
        "/api/v1/a%5cb", "/api/v1/a\\b", "/api/v1/a%00", "/api/v1/%0a", "/api/v1/%1F", "/api/v1/%7f", "/api/v1/%",
        "/api/v1/%4", "/api/v1/%zz", "/api/v1/a b", "/api/v1/a\tb", "/api/v1/a\nb", "/api/v1/\xe9", "/api/v1/%ff",
        "/api/v1/%C3", '/api/v1/"', "/api/v1/<", "/api/v1/[x]", "/api/v1/{x}", "/api/v1/a|b", "/api/v1/a^b",
        "/api/v1/a`b", "/api/v1/a#b", "http://example.com/api/v1/jobs",
    ],
)  # fmt: skip
def test_paths_that_two_readers_may_take_for_two_things_are_refused(path: str) -> None:
    with pytest.raises(MalformedTarget):
        incoming.read_path(scope(path))


def test_a_target_may_be_8192_bytes_long() -> None:
    assert incoming.read_path(scope("/" + "a" * 8_000, "b" * 191)) == b"/" + b"a" * 8_000
    with pytest.raises(TargetTooLong):
        incoming.read_path(scope("/" + "a" * 8_000, "b" * 192))


def test_a_query_is_written_in_one_way() -> None:
    assert incoming.read_query(scope(query="a=1&b=%2F..%2F&c=/../?;d")) == b"a=1&b=%2F..%2F&c=/../?;d"
    assert incoming.read_query(scope(query="q='x'\"<>[]{}|\\^`#")) == b"q=%27x%27%22%3C%3E%5B%5D%7B%7D%7C%5C%5E%60%23"


@pytest.mark.parametrize("query", ["a b", "a\x00", "a\r\nb", "\xe9"])
def test_a_query_of_other_characters_is_refused(query: str) -> None:
    with pytest.raises(MalformedTarget):
        incoming.read_query(scope(query=query))


def test_headers_are_bounded() -> None:
    assert incoming.check_headers([(b"a", b"x" * 32_767)]) == {b"a": b"x" * 32_767}
    with pytest.raises(HeadersTooLarge):
        incoming.check_headers([(b"a", b"x" * 32_768)])
    many = [(b"a%d" % number, b"") for number in range(100)]
    assert len(incoming.check_headers(many)) == 100
    with pytest.raises(HeadersTooLarge):
        incoming.check_headers([*many, (b"b", b"")])


@pytest.mark.parametrize("value", [b"\x00", b"a\rb", b"a\nb", b"\x7f", "é".encode()])
def test_a_header_value_is_printable_ascii(value: bytes) -> None:
    with pytest.raises(MalformedHeader):
        incoming.check_headers([(b"x-a", value)])


@pytest.mark.parametrize("name", [b"authorization", b"content-length", b"host", b"idempotency-key"])
def test_some_headers_come_once(name: bytes) -> None:
    with pytest.raises(MalformedHeader):
        incoming.check_headers([(name, b"1"), (name, b"1")])


def test_only_the_clients_own_headers_are_passed_on() -> None:
    kept = [(b"accept", b"*/*"), (b"idempotency-key", b"k"), (b"stripe-signature", b"s"), (b"cookie", b"c")]
    kept.append((b"kelmah-device", b"its own name of itself"))
    dropped = [
        (name, b"x")
        for name in (
            b"authorization", b"connection", b"te", b"transfer-encoding", b"upgrade", b"content-length", b"host",
            b"kelmah-identity", b"kelmah-signature", b"kelmah-deadline-ms", b"kelmah_identity", b"x-user-id",
            b"x_user_id", b"x-internal-token", b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"x-real-ip",
            b"x-request-id", b"traceparent", b"proxy-authorization", b"x-mine", b"keep-alive",
        )
    ]  # fmt: skip
    assert incoming.passed_on([*dropped, *kept], b"keep-alive, X-Mine") == kept


def test_only_the_services_own_headers_are_sent_back() -> None:
    kept = [(b"content-type", b"a"), (b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"content-length", b"1")]
    dropped = [
        (b"connection", b"close, X-Hop, content-length"), (b"x-hop", b"1"), (b"transfer-encoding", b"chunked"),
        (b"date", b"x"), (b"server", b"x"), (b"kelmah-signature", b"x"), (b"access-control-allow-origin", b"*"),
        (b"keep-alive", b"x"), (b"x-request-id", b"x"),
    ]  # fmt: skip
    assert incoming.sent_back([*dropped, *kept]) == kept


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "192.0.2.1", b"198.51.100.9", "192.0.2.1"),
        (["10.0.0.0/8"], "192.0.2.1", b"198.51.100.9", "192.0.2.1"),
        (["10.0.0.0/8"], "10.0.0.1", None, "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", b"198.51.100.9", "198.51.100.9"),
        (["10.0.0.0/8"], "10.0.0.1", b"203.0.113.5, 198.51.100.9, 10.0.0.2", "198.51.100.9"),
        (["10.0.0.0/8"], "10.0.0.1", b"not an address", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", b"10.1.1.1", "10.1.1.1"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", b"2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_client_is_whom_the_nearest_untrusted_hop_names(
    trusted: list[str], peer: str, forwarded: bytes | None, client: str
) -> None:
    assert Addresses(trusted).client(scope(client=peer), forwarded) == client


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
    ],
)
def test_a_subscriber_is_one_address_or_a_64(address: str, key: str) -> None:
    assert incoming.address_key(address) == key


def sending(*messages: Any) -> Any:
    queue = list(messages)

    async def receive() -> Any:
        if not queue:
            await asyncio.Event().wait()  # nothing comes any more
        return queue.pop(0)

    return receive


def piece(content: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


async def test_a_body_is_read_up_to_its_limit() -> None:
    body = Body(
        sending(piece(b"ab", more=True), piece(b"", more=True), piece(b"cd", more=False)),
        limit_bytes=4, patience_s=5, declared=b"4",
    )  # fmt: skip
    assert await body.all() == b"abcd"
    assert body.is_read
    assert await body.next() == b""


async def test_a_body_that_grows_over_its_limit_is_refused() -> None:
    body = Body(sending(piece(b"ab", more=True), piece(b"cde", more=True)), limit_bytes=4, patience_s=5, declared=None)
    with pytest.raises(errors.PayloadTooLarge):
        await body.all()
    assert isinstance(body.error, errors.PayloadTooLarge)
    assert not body.is_read


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    with pytest.raises(errors.PayloadTooLarge):
        Body(sending(), limit_bytes=4, patience_s=5, declared=b"5")


@pytest.mark.parametrize("length", [b"x", b"-1", b"1" * 16, b"", b"1,1"])
async def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    with pytest.raises(MalformedHeader):
        Body(sending(), limit_bytes=4, patience_s=5, declared=length)


async def test_a_client_that_leaves_ends_the_body() -> None:
    body = Body(
        sending(piece(b"ab", more=True), {"type": "http.disconnect"}), limit_bytes=4, patience_s=5, declared=None
    )
    with pytest.raises(errors.BadInput):
        await body.all()


async def test_a_body_that_stops_coming_is_given_up() -> None:
    body = Body(sending(piece(b"ab", more=True)), limit_bytes=4, patience_s=0, declared=None)
    with pytest.raises(SlowClient):
        await body.all()
