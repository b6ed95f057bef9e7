"""Starts, watches and stops child processes, so that none outlives the command that started it."""

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

LOG_LIMIT_BYTES = 16 * 1024 * 1024
LOG_CHECK_INTERVAL_S = 10.0
PROBE_TIMEOUT_S = 5.0
TAIL_LINES = 20

State = Literal["starting", "waiting", "ready", "failed", "exited", "stopping", "stopped"]

# Runs in a fresh interpreter and becomes the command. `preexec_fn` would do the same inside a fork of this
# process, which is unsafe once threads run. 1 is PR_SET_PDEATHSIG: the kernel sends the signal when the
# supervisor dies, even by SIGKILL; the second look at the parent closes the gap before the call.
_LAUNCHER = """
import ctypes, os, sys
parent, sig, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, sig, 0, 0, 0)
if os.getppid() != parent:
    sys.exit("the process that started this one is gone")
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"cannot run {command[0]}: {error.strerror}")
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PORT_TAKEN = re.compile(r"address already in use|eaddrinuse|address in use", re.IGNORECASE)


class ProcessError(Exception):
    """A child process did not do what it was started for."""


class StartError(ProcessError):
    """A process did not become ready; carries its log's last lines and what to do about it."""

    def __init__(self, name: str, reason: str, *, log_tail: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.log_tail = tuple(log_tail)
        self.hint = hint


class PortTakenError(StartError):
    """A process could not listen because another program holds its port."""


class CommandError(ProcessError):
    """A short command failed; the message ends with the last lines of its output."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step in the life of a process, told to the supervisor's listener."""

    name: str
    state: State
    elapsed_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run, how to know that it is ready, and how to stop it.

    `env` is added to the inherited environment (or is all of it when `inherit_env` is off). `ports` are those
    it will listen on, looked at so that a taken one can be named. A higher `tier` is stopped before a lower.
    """

    name: str
    command: tuple[str, ...]
    log_file: Path
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    inherit_env: bool = True
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_timeout_s: float = 30.0
    ports: tuple[int, ...] = ()
    tier: int = 1
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 10.0
    hint: str = ""


class Process:
    """A started process."""

    def __init__(self, spec: Spec, child: asyncio.subprocess.Process) -> None:
        self.spec = spec
        self.pid = child.pid
        self.started_at = time.monotonic()
        self.exit = asyncio.ensure_future(child.wait())
        self.is_stopping = False

    @property
    def returncode(self) -> int | None:
        return self.exit.result() if self.exit.done() and not self.exit.cancelled() else None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    async def stop(self) -> None:
        """Ask it to end, wait for its grace period, then kill what is left of its process group."""
        self.is_stopping = True
        if not self.exit.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, self.spec.stop_signal)
            await asyncio.wait([self.exit], timeout=self.spec.stop_grace_s)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.exit


class Supervisor:
    """Owns child processes; leaving its `async with` block stops them all.

    `on_progress` hears every change of state. `pass_fds` stay open in every child: a lock held on one of them
    is held until the last child is gone.
    """

    def __init__(self, *, on_progress: Callable[[Progress], None] | None = None, pass_fds: Sequence[int] = ()) -> None:
        self._on_progress = on_progress or (lambda _progress: None)
        self._pass_fds = tuple(pass_fds)
        self._processes: list[Process] = []
        self._log_keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._log_keeper = asyncio.create_task(self._bound_logs())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()
        if self._log_keeper is not None:
            self._log_keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._log_keeper

    @property
    def processes(self) -> tuple[Process, ...]:
        return tuple(self._processes)

    async def start(self, spec: Spec) -> Process:
        """Start a process and wait until it is ready.

        Raises:
            PortTakenError: one of `spec.ports` is held by another program.
            StartError: it ended, or was not ready in `spec.ready_timeout_s` seconds; it has been stopped.
        """
        for port in spec.ports:
            if is_port_taken(port):
                raise PortTakenError(spec.name, f"port {port} is taken by another program", hint=spec.hint)
        self.report(spec.name, "starting")
        process = await self._spawn(spec)
        try:
            await self._wait_ready(process)
        except BaseException as error:
            if isinstance(error, StartError):
                self.report(spec.name, "failed", process.elapsed_s, error.reason)
            await process.stop()
            self._forget(process)
            raise
        self.report(spec.name, "ready", process.elapsed_s)
        return process

    async def stop(self, process: Process) -> None:
        """Stop one process and forget it."""
        self.report(process.spec.name, "stopping")
        await process.stop()
        self._forget(process)
        self.report(process.spec.name, "stopped", detail=f"exit code {process.returncode}")

    async def stop_all(self) -> None:
        """Stop everything, highest tier first, the processes of one tier together."""
        while self._processes:
            tier = max(process.spec.tier for process in self._processes)
            await asyncio.gather(*(self.stop(p) for p in self.processes if p.spec.tier == tier))

    async def first_exit(self) -> Process:
        """Wait until a process ends without having been asked to, and return it."""
        while True:
            watched = {process.exit: process for process in self._processes if not process.is_stopping}
            if not watched:
                await asyncio.sleep(0.1)
                continue
            # The timeout lets processes started meanwhile join the watch.
            done, _ = await asyncio.wait(watched, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                process = watched[future]
                if not process.is_stopping:
                    self.report(process.spec.name, "exited", process.elapsed_s, f"exit code {process.returncode}")
                    return process

    def report(self, name: str, state: State, elapsed_s: float = 0.0, detail: str = "") -> None:
        """Tell the listener about a step that is not a process, such as a download."""
        self._on_progress(Progress(name, state, elapsed_s, detail))

    def _forget(self, process: Process) -> None:
        # A start that fails and the end of the supervisor may both have stopped it.
        if process in self._processes:
            self._processes.remove(process)

    async def _spawn(self, spec: Spec) -> Process:
        spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        if spec.log_file.exists():
            spec.log_file.replace(spec.log_file.with_name(spec.log_file.name + ".1"))
        environment = {**(os.environ if spec.inherit_env else {}), **spec.env}
        with spec.log_file.open("ab") as log:
            child = await _launch(
                spec.command,
                cwd=spec.cwd,
                env=environment,
                death_signal=spec.stop_signal,
                stdout=log.fileno(),
                pass_fds=self._pass_fds,
            )
        process = Process(spec, child)
        self._processes.append(process)
        return process

    async def _wait_ready(self, process: Process) -> None:
        spec = process.spec
        self.report(spec.name, "waiting", process.elapsed_s)
        pause_s = 0.02
        while process.elapsed_s < spec.ready_timeout_s:
            if process.exit.done():
                raise _start_error(spec, f"ended with exit code {process.returncode} before it was ready")
            # The second look at the process: another program may have answered in its place.
            if (spec.ready is None or await _probe(spec.ready)) and not process.exit.done():
                return
            await asyncio.wait([process.exit], timeout=pause_s)
            pause_s = min(pause_s * 1.5, 0.25)
        raise _start_error(spec, f"was not ready after {spec.ready_timeout_s:.0f} s")

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_INTERVAL_S)
            for process in self.processes:
                bound_log(process.spec.log_file)


def bound_log(path: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Move a log's text to `<name>.1` once it is over the limit; its writer, which appends, goes on."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > limit_bytes:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            os.truncate(path, 0)


def log_tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log file, without colours; empty when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 64 * 1024))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return _COLOUR.sub("", text).splitlines()[-lines:]


def is_port_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Whether binding a TCP port would fail."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that is free now. Another program may take it before it is used: be ready to try again."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


async def tcp_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on a port."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()
    return True


async def run_command(
    *command: str, timeout_s: float, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a short command to its end and return its output (stdout and stderr together).

    Raises:
        CommandError: it could not be run, failed, or took longer than `timeout_s` seconds.
    """
    child = await _launch(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        death_signal=signal.SIGKILL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await child.communicate()
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
        if isinstance(error, TimeoutError):
            raise CommandError(f"{command[0]} took longer than {timeout_s:.0f} s") from error
        raise
    text = output.decode(errors="replace")
    if child.returncode:
        tail = "\n".join(text.splitlines()[-TAIL_LINES:])
        raise CommandError(f"{command[0]} failed with exit code {child.returncode}:\n{tail}")
    return text


async def _launch(
    command: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str],
    death_signal: signal.Signals,
    stdout: int,
    pass_fds: Sequence[int] = (),
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(int(death_signal))),
        *command,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=pass_fds,
        # A session of its own: Ctrl-C in the terminal reaches only the supervisor, which stops in order.
        start_new_session=True,
    )


async def _probe(ready: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await ready()
    except (OSError, EOFError):
        return False


def _start_error(spec: Spec, reason: str) -> StartError:
    tail = log_tail(spec.log_file)
    if any(_PORT_TAKEN.search(line) for line in tail):
        ports = ", ".join(map(str, spec.ports))
        reason = f"a port is taken by another program (one of {ports})"
        return PortTakenError(spec.name, reason, log_tail=tail, hint=spec.hint)
    return StartError(spec.name, reason, log_tail=tail, hint=spec.hint)
