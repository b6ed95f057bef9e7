"""Starts the servers that tests need and prints where they are, for many test runs to share.

    python -m tests.backends > test-env.sh    (in one terminal; Ctrl-C stops them)
    source test-env.sh                        (in the others)

Only servers that take seconds to start are shared. Redis, mail and the Stripe stand-in start in milliseconds
and have no namespace that a run could take for itself, so each run starts its own.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from kelmah.cli.backends import Home, mongo, open_home, postgres, rabbitmq
from kelmah.cli.processes import Progress, StartError, Supervisor


async def start_shared(supervisor: Supervisor, home: Home) -> Mapping[str, str]:
    """Start MongoDB, RabbitMQ with its management API, and PostgreSQL; return the variables to export."""
    database, broker, legacy = await asyncio.gather(
        mongo.start(supervisor, home),
        rabbitmq.start(supervisor, home, with_management=True),
        postgres.start(supervisor, home),
    )
    return {
        "KELMAH_TEST_MONGO_URL": database.url,
        "KELMAH_TEST_AMQP_URL": broker.url,
        "KELMAH_TEST_AMQP_ADMIN_URL": rabbitmq.management_url(broker),
        "KELMAH_TEST_POSTGRES_URL": legacy.url,
    }


async def _serve(path: Path | None) -> int:
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    async with (
        open_home(path) as home,
        Supervisor(on_progress=_tell, pass_fds=(home.lock_fd,)) as supervisor,
    ):
        try:
            variables = await start_shared(supervisor, home)
        except StartError as error:
            print(error, *error.log_tail, error.hint, sep="\n", file=sys.stderr)
            return 1
        for name, value in variables.items():
            print(f"export {name}='{value}'", flush=True)
        ended = asyncio.create_task(supervisor.first_exit())
        stopped = asyncio.create_task(done.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        stopped.cancel()
        return 0 if done.is_set() else 1


def _tell(progress: Progress) -> None:
    print(f"{progress.name}: {progress.state} {progress.detail}".rstrip(), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Servers for tests, shared by many runs.")
    parser.add_argument("--data", type=Path, help="keep data here; a temporary directory unless given")
    sys.exit(asyncio.run(_serve(parser.parse_args().data)))


if __name__ == "__main__":
    main()
