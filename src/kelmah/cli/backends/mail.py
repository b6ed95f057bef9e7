"""Mail in development: a real SMTP server that keeps what it is sent in a Maildir and delivers nothing."""

import importlib.util
import sys

from kelmah.cli.backends.base import Backend, BackendUnavailableError, Home, check_given, retry_ports
from kelmah.cli.processes import Spec, Supervisor, free_port, tcp_answers

MESSAGE_LIMIT_BYTES = 10 * 1024 * 1024


async def start(supervisor: Supervisor, home: Home, *, url: str | None = None) -> Backend:
    """Use the SMTP server at `url`, or start a private one whose Maildir is `data_dir / "maildir"`.

    Raises:
        BackendUnreachableError: the given server does not answer.
        BackendUnavailableError: the package `aiosmtpd` is missing.
        StartError: the private server did not start.
    """
    if url is not None:
        return await check_given("mail", url, _find_fault)
    if importlib.util.find_spec("aiosmtpd") is None:
        raise BackendUnavailableError("mail", "aiosmtpd is missing", hint="Install the extra `embedded`.")
    return await retry_ports(lambda: _start(supervisor, home))


async def _start(supervisor: Supervisor, home: Home) -> Backend:
    port = free_port()
    data_dir = home.data("mail")
    process = await supervisor.start(
        Spec(
            name="mail",
            command=(
                *(sys.executable, "-W", "ignore", "-m", "aiosmtpd", "--nosetuid"),
                *("--listen", f"127.0.0.1:{port}", "--size", str(MESSAGE_LIMIT_BYTES)),
                *("--class", "aiosmtpd.handlers.Mailbox", str(data_dir / "maildir")),
            ),
            log_file=home.log("mail"),
            ready=lambda: tcp_answers(port),
            ports=(port,),
            tier=0,
        )
    )
    return Backend(
        name="mail",
        url=f"smtp://127.0.0.1:{port}",
        source="packaged",
        process=process,
        log_file=home.log("mail"),
        data_dir=data_dir,
    )


async def _find_fault(url: str) -> str:
    # Imported here since a private server is looked at without it.
    from urllib.parse import urlsplit

    import aiosmtplib

    parts = urlsplit(url)
    use_tls = parts.scheme == "smtps"
    client = aiosmtplib.SMTP(hostname=parts.hostname, port=parts.port, use_tls=use_tls, timeout=8)
    async with client:
        await client.noop()
    return ""
