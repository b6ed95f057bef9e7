"""The registry of actors, and what importing the room costs."""

import subprocess
import sys

import pytest

from kelmah.contracts.job import JobClosed, JobCreated
from kelmah.kit import errors
from kelmah.workers.execution import is_final
from kelmah.workers.registry import Registry, queue_of, service_of


async def hear(*_: object) -> None: ...


async def hear_other(*_: object) -> None: ...


def test_the_table_of_subscriptions_lists_actors_by_event_type() -> None:
    registry = Registry()
    registry.on_event("job.first", JobCreated, hear)
    registry.on_event("messaging.second", JobCreated, hear)
    registry.on_event("messaging.second", JobClosed, hear)
    registry.on_timer("job.expire", hear)
    found = {type_: [actor.name for actor in actors] for type_, actors in registry.subscriptions.items()}
    assert found == {
        "job.job_created.v1": ["job.first", "messaging.second"],
        "job.job_closed.v1": ["messaging.second"],
    }
    assert registry.queues == ["kelmah.job", "kelmah.messaging"]
    assert registry.actors["messaging.second"].service == "messaging"


def test_a_policy_is_kept() -> None:
    registry = Registry()
    registry.on_timer("job.expire", hear, max_retries=2)
    assert registry.actors["job.expire"].max_retries == 2


@pytest.mark.parametrize("name", ["expire", "nobody.expire", "job.", "job.two words", "job.a.b"])
def test_a_name_without_a_service_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is named"):
        Registry().on_timer(name, hear)


def test_a_name_is_taken_once() -> None:
    registry = Registry()
    registry.on_event("job.first", JobCreated, hear)
    with pytest.raises(ValueError, match="already"):
        registry.on_event("job.first", JobClosed, hear_other)
    with pytest.raises(ValueError, match="already"):
        registry.on_timer("job.first", hear)
    registry.on_timer("job.timer", hear)
    with pytest.raises(ValueError, match="already"):
        registry.on_event("job.timer", JobClosed, hear)


@pytest.mark.parametrize("queue", ["kelmah.job", "kelmah.job.DQ", "kelmah.job.XQ"])
def test_a_queue_belongs_to_a_service(queue: str) -> None:
    assert service_of(queue) == "job"
    assert queue_of("job") == "kelmah.job"
    assert service_of("elsewhere") == ""


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (errors.BadInput(), True),
        (errors.NotFound(), True),
        (errors.Conflict(), True),
        (errors.Conflict(retry_after_s=1), False),
        (errors.TooManyRequests(), False),
        (errors.Unavailable(), False),
        (errors.BadGateway(), False),
        (errors.KelmahError(), False),
    ],
)
def test_which_refusals_would_come_again(error: errors.KelmahError, final: bool) -> None:
    assert is_final(error) is final


def test_importing_the_room_needs_no_environment_and_sets_nothing_up() -> None:
    code = (
        "import kelmah.workers.registry, kelmah.workers.runtime, dramatiq.broker, sys;"
        "assert dramatiq.broker.global_broker is None;"
        "assert not kelmah.workers.registry.REGISTRY.actors"
    )
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_dramatiq_command_says_which_settings_are_missing() -> None:
    command = [sys.executable, "-m", "dramatiq", "kelmah.workers", "--processes", "1"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "set KELMAH_WORKERS_REDIS_URL or KELMAH_REDIS_URL" in done.stderr
