"""RabbitMQ: a given server, or a private one (installed, else Debian's packages unpacked into a cache)."""

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kelmah.cli.backends import debian
from kelmah.cli.backends.base import (
    Backend,
    BackendUnavailableError,
    Home,
    Source,
    check_given,
    retry_ports,
)
from kelmah.cli.processes import CommandError, Spec, Supervisor, free_port, tcp_answers

# Only what the broker loads; the full dependency list also brings log rotation, SNMP and FTP.
ERLANG_PACKAGES = tuple(
    f"erlang-{name}"
    for name in (
        *("asn1", "base", "crypto", "eldap", "inets", "mnesia", "os-mon", "parsetools", "public-key"),
        *("runtime-tools", "ssl", "syntax-tools", "tools", "xmerl"),
    )
)
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
NODE = "kelmah@localhost"
SERVER_SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)


class RabbitMQUnavailableError(BackendUnavailableError):
    """No RabbitMQ can be had here; Dramatiq's Redis broker can stand in for it in development."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the broker's start script and Erlang are, and the environment they need."""

    script: Path
    epmd: Path
    env: dict[str, str]
    source: Source


async def start(
    supervisor: Supervisor, home: Home, *, url: str | None = None, with_management: bool = False
) -> Backend:
    """Use the server at `url`, or start a private one.

    Args:
        supervisor: the owner of the processes.
        home: where data and logs go.
        url: an AMQP URL to use as it is.
        with_management: also serve the management API, on the port written to `management_port` beside the
            data; tests make virtual hosts with it.

    Raises:
        BackendUnreachableError: the given server does not answer.
        RabbitMQUnavailableError: none is installed and Debian's packages cannot be had.
        StartError: the private server did not start.
    """
    if url is not None:
        return await check_given("rabbitmq", url, _find_fault)
    installation = await _find(supervisor)
    return await retry_ports(lambda: _start(supervisor, home, installation, with_management))


async def _start(supervisor: Supervisor, home: Home, installation: Installation, with_management: bool) -> Backend:
    port, distribution_port, epmd_port, management_port = (free_port() for _ in range(4))
    data_dir = home.data("rabbitmq")
    _write_config(data_dir, port, management_port if with_management else None)
    # An own port mapper keeps the node names of two platforms apart, and is not left behind as a daemon.
    shared = {"ERL_EPMD_PORT": str(epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
    mapper = await supervisor.start(
        Spec(
            name="rabbitmq-epmd",
            command=(str(installation.epmd), "-port", str(epmd_port), "-address", "127.0.0.1"),
            log_file=home.log("rabbitmq-epmd"),
            env=shared,
            ready=lambda: tcp_answers(epmd_port),
            ports=(epmd_port,),
            tier=-1,
        )
    )
    try:
        process = await supervisor.start(
            Spec(
                name="rabbitmq",
                command=(str(installation.script),),
                log_file=home.log("rabbitmq"),
                cwd=data_dir,
                env={
                    **installation.env,
                    **shared,
                    "HOME": str(data_dir),
                    # Makes the script become the Erlang machine instead of waiting for it as its child.
                    "RUNNING_UNDER_SYSTEMD": "true",
                    "ERL_INETRC": str(data_dir / "inetrc"),
                    "RABBITMQ_CONF_ENV_FILE": os.devnull,
                    "RABBITMQ_CONFIG_FILE": str(data_dir / "rabbitmq.conf"),
                    "RABBITMQ_ADVANCED_CONFIG_FILE": str(data_dir / "advanced.config"),
                    "RABBITMQ_ENABLED_PLUGINS_FILE": str(data_dir / "enabled_plugins"),
                    "RABBITMQ_NODENAME": NODE,
                    "RABBITMQ_DIST_PORT": str(distribution_port),
                    "RABBITMQ_MNESIA_BASE": str(data_dir / "mnesia"),
                    "RABBITMQ_LOG_BASE": str(data_dir / "log"),
                    "RABBITMQ_PID_FILE": str(data_dir / "pid"),
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                        "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
                    ),
                },
                ready=lambda: _speaks_amqp("127.0.0.1", port),
                ready_timeout_s=120,
                ports=(port, distribution_port),
                tier=0,
                stop_grace_s=20,
                hint=f"A damaged data directory can be moved away: {data_dir}",
            )
        )
    except BaseException:
        await supervisor.stop(mapper)
        raise
    return Backend(
        name="rabbitmq",
        url=f"amqp://guest:guest@127.0.0.1:{port}/%2F",
        source=installation.source,
        process=process,
        log_file=home.log("rabbitmq"),
        data_dir=data_dir,
    )


def management_url(backend: Backend) -> str:
    """The management API of a server started with `with_management`."""
    if backend.data_dir is None:
        raise ValueError("a given server's management API is not known")
    port = (backend.data_dir / "management_port").read_text()
    return f"http://guest:guest@127.0.0.1:{port}"


def _write_config(data_dir: Path, port: int, management_port: int | None) -> None:
    lines = [
        f"listeners.tcp.1 = 127.0.0.1:{port}",
        "loopback_users.guest = true",
        "log.console = true",
        "log.console.level = info",
        "log.file = false",
    ]
    if management_port is not None:
        lines += [
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {management_port}",
            "management_agent.disable_metrics_collector = true",
        ]
        (data_dir / "management_port").write_text(str(management_port))
    (data_dir / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
    plugins = "" if management_port is None else "rabbitmq_management"
    # The node's host must have an address even where no file of hosts names one, as in a bare container.
    (data_dir / "inetrc").write_text('{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file, native]}.\n')
    (data_dir / "enabled_plugins").write_text(f"[{plugins}].\n")


async def _find(supervisor: Supervisor) -> Installation:
    installed = next((path for path in map(Path, SERVER_SCRIPTS) if path.exists()), None)
    # Debian's script on the PATH insists on the `rabbitmq` user; elsewhere the one there is the real one.
    on_path = shutil.which("rabbitmq-server")
    if installed is None and on_path and not debian.is_available():
        installed = Path(on_path)
    if installed is not None:
        epmd = shutil.which("epmd")
        if epmd:
            return Installation(installed, Path(epmd), {}, "installed")
    hint = "Set KELMAH_AMQP_URL to a RabbitMQ, or install one; without it Dramatiq's Redis broker is used."
    if not debian.is_available():
        raise RabbitMQUnavailableError("rabbitmq", "not installed, and this is no Debian or Ubuntu", hint=hint)
    supervisor.report("rabbitmq", "starting", detail="looking for its unpacked packages, else downloading them")
    try:
        root = await debian.fetch("rabbitmq", ("rabbitmq-server",), libraries_of=ERLANG_PACKAGES)
        return await asyncio.to_thread(_installation_in, root)
    except (CommandError, OSError) as error:
        raise RabbitMQUnavailableError("rabbitmq", f"Debian's packages: {error}", hint=hint) from error


def _installation_in(root: Path) -> Installation:
    """Make an unpacked tree runnable: Debian's `erl` scripts name the place where a package is installed."""
    erlang = root / "usr/lib/erlang"
    for script in (erlang / "bin/erl", *erlang.glob("erts-*/bin/erl")):
        text = script.read_text()
        moved = re.sub(r"ROOTDIR=/usr/lib/erlang\b", f"ROOTDIR='{erlang}'", text)
        if moved != text:
            replacement = script.with_name(f"{script.name}.{os.getpid()}")
            replacement.write_text(moved)
            replacement.chmod(0o755)
            replacement.replace(script)
    path = f"{erlang / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    return Installation(
        script=root / "usr/lib/rabbitmq/bin/rabbitmq-server",
        epmd=erlang / "bin/epmd",
        env={"PATH": path, "LD_LIBRARY_PATH": debian.library_path(root)},
        source="debian",
    )


async def _speaks_amqp(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(PROTOCOL_HEADER)
        await writer.drain()
        # The server's first frame is a method frame on channel 0: connection.start.
        return await reader.readexactly(3) == b"\x01\x00\x00"
    finally:
        writer.close()


async def _find_fault(url: str) -> str:
    # Imported here: aio-pika takes long to load, and a private server is looked at without it.
    import aio_pika

    connection = await aio_pika.connect(url, timeout=8)
    await connection.close()
    return "" if urlsplit(url).scheme in {"amqp", "amqps"} else "the URL is not amqp:// or amqps://"
