"""Child processes start, fail, are stopped, and never outlive their supervisor."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from kelmah.cli.backends import HomeBusyError, base, open_home
from kelmah.cli.processes import (
    CommandError,
    PortTakenError,
    Progress,
    Spec,
    StartError,
    Supervisor,
    bound_log,
    free_port,
    run_command,
    tcp_answers,
)

LISTEN = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""
# Starts a grandchild that ignores SIGTERM as it does itself, and says who it is.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(child, file=open(sys.argv[1], "w"), flush=True)
time.sleep(600)
"""
LAST_WORDS = """
import pathlib, signal, sys, time
def leave(*_):
    with open(sys.argv[1], "a") as book:
        book.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
pathlib.Path(sys.argv[1] + sys.argv[2]).touch()
time.sleep(600)
"""
SUPERVISE = """
import asyncio, sys
from pathlib import Path
from kelmah.cli.processes import Spec, Supervisor
async def main():
    async with Supervisor() as supervisor:
        process = await supervisor.start(
            Spec(name="sleeper", command=("sleep", "600"), log_file=Path(sys.argv[1]))
        )
        print(process.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while is_alive(pid):  # noqa: ASYNC110 # not our child, so nothing can be awaited
            await asyncio.sleep(0.02)


async def exists(path: Path) -> bool:
    return os.access(path, os.F_OK)


async def test_start_waits_until_the_probe_succeeds_and_tells_each_step(tmp_path: Path) -> None:
    port = free_port()
    steps: list[Progress] = []
    async with Supervisor(on_progress=steps.append) as supervisor:
        spec = Spec(
            name="listener",
            command=(sys.executable, "-c", LISTEN, str(port)),
            log_file=tmp_path / "log",
            ready=lambda: tcp_answers(port),
            ports=(port,),
        )
        process = await supervisor.start(spec)
        assert await tcp_answers(port)
        assert supervisor.processes == (process,)
    assert not is_alive(process.pid)
    assert [step.state for step in steps] == ["starting", "waiting", "ready", "stopping", "stopped"]
    assert process.returncode == -signal.SIGTERM


async def test_a_process_that_ends_early_fails_with_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; print('\\x1b[31mcannot\\x1b[0m read the map'); sys.exit(3)"
    steps: list[Progress] = []

    async def never() -> bool:
        return False

    async with Supervisor(on_progress=steps.append) as supervisor:
        spec = Spec(
            name="walker",
            command=(sys.executable, "-c", code),
            log_file=tmp_path / "log",
            ready=never,
            hint="buy a map",
        )
        with pytest.raises(StartError) as caught:
            await supervisor.start(spec)
        assert supervisor.processes == ()
    assert str(caught.value) == "walker: ended with exit code 3 before it was ready"
    assert caught.value.log_tail == ("cannot read the map",)
    assert caught.value.hint == "buy a map"
    assert [step.state for step in steps] == ["starting", "waiting", "failed"]


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor() as supervisor:
        spec = Spec(name="ghost", command=("no-such-command",), log_file=tmp_path / "log", ready=never)
        with pytest.raises(StartError) as caught:
            await supervisor.start(spec)
    assert caught.value.log_tail == ("cannot run no-such-command: No such file or directory",)


async def test_a_process_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    pids: list[int] = []

    async with Supervisor() as supervisor:

        async def never() -> bool:
            pids.extend(process.pid for process in supervisor.processes)
            return False

        spec = Spec(
            name="sleeper",
            command=("sleep", "600"),
            log_file=tmp_path / "log",
            ready=never,
            ready_timeout_s=0.2,
        )
        with pytest.raises(StartError, match=r"^sleeper: was not ready after 0 s$"):
            await supervisor.start(spec)
        assert supervisor.processes == ()
    assert not is_alive(pids[0])


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        async with Supervisor() as supervisor:
            spec = Spec(name="late", command=("sleep", "600"), log_file=tmp_path / "log", ports=(port,))
            with pytest.raises(PortTakenError, match=rf"^late: port {port} is taken by another program$"):
                await supervisor.start(spec)
            assert supervisor.processes == ()


async def test_a_port_lost_to_a_faster_program_is_told_from_the_log(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        async with Supervisor() as supervisor:
            spec = Spec(
                name="late",
                command=(sys.executable, "-c", LISTEN, str(port)),
                log_file=tmp_path / "log",
                ready=lambda: exists(tmp_path / "never"),
            )
            with pytest.raises(PortTakenError) as caught:
                await supervisor.start(spec)
    assert "Address already in use" in caught.value.log_tail[-1]


async def test_stop_goes_from_the_highest_tier_to_the_lowest(tmp_path: Path) -> None:
    book = tmp_path / "book"
    async with Supervisor() as supervisor:
        for tier, name in enumerate(("database", "service", "gateway")):
            spec = Spec(
                name=name,
                command=(sys.executable, "-c", LAST_WORDS, str(book), name),
                log_file=tmp_path / name,
                ready=lambda name=name: exists(tmp_path / f"book{name}"),  # type: ignore[misc]  # a lambda's default
                tier=tier,
            )
            await supervisor.start(spec)
    assert book.read_text().split() == ["gateway", "service", "database"]


async def test_what_ignores_the_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    children = tmp_path / "child"
    async with Supervisor() as supervisor:
        spec = Spec(
            name="stubborn",
            command=(sys.executable, "-c", STUBBORN, str(children)),
            log_file=tmp_path / "log",
            ready=lambda: exists(children),
            stop_grace_s=0.2,
        )
        process = await supervisor.start(spec)
        async with asyncio.timeout(5):
            while not children.read_text().strip():  # noqa: ASYNC110 # a file tells nobody of its change
                await asyncio.sleep(0.01)
    assert process.returncode == -signal.SIGKILL
    await gone(int(children.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_child_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISE, str(tmp_path / "log")), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    pid = int(await supervisor.stdout.readline())
    assert is_alive(pid)
    supervisor.kill()
    await supervisor.wait()
    await gone(pid)


async def test_an_unexpected_end_is_noticed(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        await supervisor.start(Spec(name="steady", command=("sleep", "600"), log_file=tmp_path / "steady"))
        mortal = await supervisor.start(Spec(name="mortal", command=("sleep", "600"), log_file=tmp_path / "mortal"))
        os.kill(mortal.pid, signal.SIGKILL)
        assert await supervisor.first_exit() is mortal
        assert mortal.returncode == -signal.SIGKILL


async def test_the_log_of_the_start_before_is_kept_and_only_that(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "echo.log"
    async with Supervisor() as supervisor:
        for word in ("one", "two", "three"):
            process = await supervisor.start(Spec(name="echo", command=("echo", word), log_file=log))
            await asyncio.shield(process.exit)
    assert log.read_text() == "three\n"
    assert (tmp_path / "logs" / "echo.log.1").read_text() == "two\n"


def test_a_log_over_its_limit_is_moved_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)
        bound_log(log, limit_bytes=11)
        assert log.stat().st_size == 11
        writer.write(b"x")
        bound_log(log, limit_bytes=11)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "log.1").read_bytes() == b"x" * 12


async def test_run_command_returns_output_or_says_what_went_wrong() -> None:
    assert await run_command("echo", "akwaaba", timeout_s=10) == "akwaaba\n"
    with pytest.raises(CommandError, match=r"^sh failed with exit code 4:\nno room$"):
        await run_command("sh", "-c", "echo no room >&2; exit 4", timeout_s=10)
    with pytest.raises(CommandError, match=r"^sleep took longer than 0 s$"):
        await run_command("sleep", "600", timeout_s=0.1)


async def test_a_home_belongs_to_one_platform_until_its_last_child_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LOCK_TIMEOUT_S", 0.3)
    async with Supervisor() as outer:
        async with open_home(tmp_path) as home, Supervisor(pass_fds=(home.lock_fd,)) as inner:
            process = await inner.start(Spec(name="heir", command=("sleep", "600"), log_file=home.log("heir")))
            # As if the supervisor had been killed: it forgets its child.
            inner._processes.remove(process)
            outer._processes.append(process)
        with pytest.raises(HomeBusyError, match="another platform is running in"):
            async with open_home(tmp_path):
                pytest.fail("the lock was free")
        await outer.stop(process)
        async with open_home(tmp_path) as again:
            assert again.path == tmp_path


async def test_a_temporary_home_is_removed() -> None:
    async with open_home(None) as home:
        (home.data("mongo") / "file").touch()
        assert home.path.exists()
    assert not home.path.exists()


async def test_a_temporary_home_that_was_left_behind_is_removed_and_a_live_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned, fresh, foreign = (tmp_path / name for name in ("kelmah-dead", "kelmah-fresh", "other-dead"))
    for folder in (abandoned, fresh, foreign):
        folder.mkdir()
        (folder / "lock").touch()
    async with open_home(None) as live:
        for folder in (abandoned, foreign, live.path):
            os.utime(folder / "lock", (0, 0))
        async with open_home(None) as other:
            assert set(os.listdir(tmp_path)) == {*(fresh.name, foreign.name, live.path.name, other.path.name)}
