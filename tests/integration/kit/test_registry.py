"""Where instances are: entered in Redis, named by DNS, or listed."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence

import dns.asyncresolver
import dns.message
import dns.rrset
import pytest
from redis.asyncio import Redis

from kelmah.kit import discovery, draining, registry
from kelmah.kit import redis as redisdb
from kelmah.kit.discovery import Discovery, is_address
from kelmah.kit.registry import Endpoint, Registry

ONE, OTHER = Endpoint("http://127.0.0.1:1", 2, "north", "7"), Endpoint("http://127.0.0.1:2")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = redisdb.connect(redis_url, prefix="kelmah-test")
    yield client
    await client.aclose()


@pytest.fixture
def entered(redis: Redis, redis_prefix: str) -> Registry:
    return Registry(redis, prefix=f"{redis_prefix}{uuid.uuid4().hex}")


@pytest.fixture(autouse=True)
def not_draining() -> Iterator[None]:
    yield
    draining.reset()


async def test_instances_enter_and_leave(entered: Registry) -> None:
    assert await entered.find("job") == []
    await entered.enter("job", OTHER)
    await entered.enter("job", ONE)
    await entered.enter("job", ONE)
    await entered.enter("user", OTHER)
    assert await entered.find("job") == [ONE, OTHER]
    await entered.strike_out("job", ONE)
    assert await entered.find("job") == [OTHER]


async def test_one_that_says_nothing_more_is_forgotten(entered: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LIVES_S", 0.2)
    await entered.enter("job", ONE)
    await asyncio.sleep(0.1)
    await entered.enter("job", OTHER)
    await asyncio.sleep(0.15)
    assert await entered.find("job") == [OTHER]


async def test_an_instance_stays_until_it_drains(entered: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LIVES_S", 3)
    monkeypatch.setattr(registry, "BEAT_S", 0.05)
    staying = asyncio.create_task(entered.stay("job", ONE))
    await asyncio.sleep(0.3)
    assert await entered.find("job") == [ONE]
    draining.begin()
    async with asyncio.timeout(5):
        await staying
    assert await entered.find("job") == []


async def test_an_instance_that_is_cancelled_leaves(entered: Registry) -> None:
    staying = asyncio.create_task(entered.stay("job", ONE))
    await asyncio.sleep(0.2)
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    assert await entered.find("job") == []


async def test_who_looks_is_told_of_changes_and_keeps_the_last_that_was_known(entered: Registry) -> None:
    told: list[Sequence[Endpoint]] = []
    found = Discovery("job", ["http://127.0.0.1:9/", "registry:"], registry=entered)
    found.listen(told.append)
    listed = Endpoint("http://127.0.0.1:9")
    assert (found.endpoints, found.is_fixed) == ([listed], False)
    await entered.enter("job", ONE)
    for _ in range(2):
        await found.look()
    assert told == [[ONE, listed]]
    await entered.strike_out("job", ONE)  # Redis lost its data, or all are gone: nothing is won by believing it
    await found.look()
    assert found.endpoints == [ONE, listed]
    await entered.enter("job", OTHER)
    await found.look()
    assert (found.endpoints, len(told)) == ([OTHER, listed], 2)


class NameServer(asyncio.DatagramProtocol):
    """Answers from a table of zone lines."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self.records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # it is one

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        question = query.question[0]
        lines = self.records.get(f"{question.name} {question.rdtype.name}", [])
        if lines:
            answer.answer.append(dns.rrset.from_text(question.name, 1, "IN", question.rdtype, *lines))
        self._transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def names() -> AsyncIterator[tuple[dict[str, list[str]], dns.asyncresolver.Resolver]]:
    records: dict[str, list[str]] = {}
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(records), local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    yield records, resolver
    transport.close()


async def test_a_name_has_one_instance_an_address(
    entered: Registry, names: tuple[dict[str, list[str]], dns.asyncresolver.Resolver]
) -> None:
    records, resolver = names
    records["job.internal. A"] = ["10.0.0.2", "10.0.0.1"]
    records["job.internal. AAAA"] = ["fd00::1"]
    found = Discovery("job", ["dns+http://job.internal:3004"], registry=entered, resolver=resolver)
    assert found.endpoints == []
    await found.look()
    assert [one.url for one in found.endpoints] == [
        "http://10.0.0.1:3004", "http://10.0.0.2:3004", "http://[fd00::1]:3004",
    ]  # fmt: skip
    records.clear()  # nobody is known any more, so the last stay
    await found.look()
    assert len(found.endpoints) == 3


async def test_records_of_services_have_ports_and_weights_and_the_first_priority_counts(
    entered: Registry, names: tuple[dict[str, list[str]], dns.asyncresolver.Resolver]
) -> None:
    records, resolver = names
    records["_job._tcp.internal. SRV"] = ["1 5 3004 a.internal.", "1 0 3005 b.internal.", "2 9 3006 c.internal."]
    found = Discovery("job", ["srv+http://_job._tcp.internal"], registry=entered, resolver=resolver)
    await found.look()
    assert found.endpoints == [Endpoint("http://a.internal:3004", 5), Endpoint("http://b.internal:3005", 1)]


async def test_a_name_server_that_is_away_changes_nothing(entered: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "DNS_S", 0.2)
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], 1
    found = Discovery("job", ["dns+http://job.internal:1", "http://127.0.0.1:9"], registry=entered, resolver=resolver)
    await found.look()
    assert found.endpoints == [Endpoint("http://127.0.0.1:9")]


@pytest.mark.parametrize("text", ["http://h:1", "https://h", "dns+http://h:1", "srv+http://_a._tcp.h", "registry:"])
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["", "h:1", "ftp://h", "http://", "dns+https://h", "registry", "registry:x"])
def test_what_is_no_address(text: str) -> None:
    assert not is_address(text)
