"""How many messages a worker takes ahead, and that RabbitMQ does not take one back that is only waiting its turn."""

import pytest

from kelmah.workers import broker
from kelmah.workers.broker import RABBIT_PATIENCE_MS, RabbitBroker
from kelmah.workers.registry import TIME_LIMIT_MS, load_actors


class NoPark:
    def __call__(self, message: object) -> bool:
        return False

    def unreadable(self, body: bytes, queue: str) -> bool:
        return False


@pytest.mark.parametrize(
    ("queue", "asked", "taken"),
    [("kelmah.job", 32, 16), ("kelmah.job", 2, 1), ("kelmah.job", 1, 1), ("kelmah.job.DQ", 16_000, 1_000)],
)
def test_a_worker_takes_ahead_what_its_threads_can_do(
    monkeypatch: pytest.MonkeyPatch, queue: str, asked: int, taken: int
) -> None:
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr(broker, "_RabbitConsumer", lambda *given: made.append(given))
    ours = RabbitBroker("amqp://guest:guest@127.0.0.1:9/", middleware=[], park=NoPark(), quorum=False)
    monkeypatch.setattr(ours, "declare_queue", lambda *_, **__: None)
    ours.consume(queue, asked, 500)
    assert [given[1:] for given in made] == [(queue, taken, 500)]


def test_no_message_is_taken_back_while_it_waits_or_runs() -> None:
    registry = load_actors()
    waits = len(registry.queues) * TIME_LIMIT_MS
    assert max(waits + actor.time_limit_ms for actor in registry.actors.values()) < RABBIT_PATIENCE_MS
    assert max(actor.max_backoff_ms for actor in registry.actors.values()) * 1.5 < RABBIT_PATIENCE_MS
