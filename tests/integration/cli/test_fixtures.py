"""The servers that the fixtures hand out are real and this run's own."""

from email.message import EmailMessage

import aio_pika
import aiosmtplib
import psycopg
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from tests.fixtures.mailbox import Mailbox


async def test_mongo_runs_transactions(mongo_url: str, mongo_prefix: str) -> None:
    async with AsyncMongoClient[dict[str, object]](mongo_url, serverMonitoringMode="poll") as client:
        rows = client[f"{mongo_prefix}fixtures"]["rows"]
        async with client.start_session() as session:
            async with await session.start_transaction():
                await rows.insert_one({"_id": 1}, session=session)
                await rows.insert_one({"_id": 2}, session=session)
            async with await session.start_transaction():
                await rows.insert_one({"_id": 3}, session=session)
                await session.abort_transaction()
        assert [row["_id"] async for row in rows.find().sort("_id")] == [1, 2]


async def test_redis_runs_scripts(redis_url: str, redis_prefix: str) -> None:
    async with Redis.from_url(redis_url) as client:
        key = f"{redis_prefix}counter"
        assert await client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, key, "5") == 5
        assert await client.get(key) == b"5"


@pytest.mark.rabbitmq
async def test_rabbitmq_confirms_and_delivers(amqp_url: str, run_id: str) -> None:
    assert amqp_url.endswith(f"/{run_id}")
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue("fixtures", durable=True)
        await channel.default_exchange.publish(aio_pika.Message(b"hello"), routing_key="fixtures")
        message = await queue.get()
        assert message is not None
        assert message.body == b"hello"
        await message.ack()


async def test_postgres_has_an_own_database(postgres_url: str, run_id: str) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        cursor = await connection.execute("SELECT current_database()")
        assert await cursor.fetchone() == (run_id,)


async def test_mail_arrives_in_the_mailbox(mailbox: Mailbox) -> None:
    assert mailbox.messages() == []
    server = mailbox.url.removeprefix("smtp://")
    host, _, port = server.partition(":")
    for subject in ("first", "second"):
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "kelmah@example.com", "ama@example.com", subject
        message.set_content("Akwaaba")
        await aiosmtplib.send(message, hostname=host, port=int(port), start_tls=False)
    received = await mailbox.wait_for("ama@example.com", count=2)
    assert [message["Subject"] for message in received] == ["first", "second"]
    assert received[0].get_content() == "Akwaaba\n"
    assert mailbox.messages("kofi@example.com") == []
