"""Card payments in development: localstripe, a local server that speaks Stripe's API and moves no money."""

import importlib.util
import sys

import aiohttp

from kelmah.cli.backends.base import Backend, BackendUnavailableError, Home, check_given, retry_ports
from kelmah.cli.processes import Spec, Supervisor, free_port, tcp_answers

# Any key that starts with sk_ is accepted; this one says what it is.
API_KEY = "sk_test_localstripe"


async def start(supervisor: Supervisor, home: Home, *, url: str | None = None) -> Backend:
    """Use the API at `url`, or start a local stand-in.

    Raises:
        BackendUnreachableError: the given server does not answer.
        BackendUnavailableError: the package `localstripe` is missing.
        StartError: the stand-in did not start.
    """
    if url is not None:
        return await check_given("stripe", url, _find_fault)
    if importlib.util.find_spec("localstripe") is None:
        raise BackendUnavailableError("stripe", "localstripe is missing", hint="Install the extra `embedded`.")
    return await retry_ports(lambda: _start(supervisor, home))


async def _start(supervisor: Supervisor, home: Home) -> Backend:
    port = free_port()
    data_dir = home.data("stripe")
    process = await supervisor.start(
        Spec(
            name="stripe",
            command=(
                *(sys.executable, "-W", "ignore", "-m", "kelmah.cli.backends.localstripe_server"),
                *("--port", str(port), "--state", str(data_dir / "objects.pickle")),
            ),
            log_file=home.log("stripe"),
            ready=lambda: tcp_answers(port),
            ports=(port,),
            tier=0,
        )
    )
    return Backend(
        name="stripe",
        url=f"http://127.0.0.1:{port}",
        source="packaged",
        process=process,
        log_file=home.log("stripe"),
        data_dir=data_dir,
    )


async def register_webhook(url: str, *, name: str, target: str, secret: str, events: list[str]) -> None:
    """Have the stand-in post events, signed with `secret`, to `target`; it forgets this when it stops.

    Registering a name again replaces its registration. It delivers once, about a second after the event, and
    does not try again.

    Raises:
        aiohttp.ClientError: the stand-in cannot be reached or refuses.
    """
    timeout = aiohttp.ClientTimeout(total=10)
    body = {"url": target, "secret": secret, "events": events}
    async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session:
        await session.post(f"{url}/_config/webhooks/{name}", json=body)


async def _find_fault(url: str) -> str:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=8)) as session, session.get(url):
        # Any answer will do: without a key even the real one refuses.
        return ""
