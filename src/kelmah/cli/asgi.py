"""The apps as servers load them: each built from this process's environment."""

import gc
import os
import signal
from contextlib import AsyncExitStack

from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send

from kelmah import services
from kelmah.kit import draining, logging
from kelmah.kit.settings import Settings, load


def settings_class(name: str) -> type[Settings]:
    """The settings class of one process."""
    if name == "gateway":
        from kelmah.gateway.settings import GatewaySettings

        return GatewaySettings
    if name == "workers":
        from kelmah.workers.settings import WorkersSettings

        return WorkersSettings
    return services.load(name).settings


def settings_of(name: str) -> Settings:
    """The settings of one app, from the environment.

    Raises:
        SettingsError: they do not fit.
    """
    return load(settings_class(name), os.environ)


def _build(name: str, apps: dict[str, ASGIApp] | None = None) -> Litestar:
    settings = settings_of(name)
    signal.signal(signal.SIGUSR1, lambda *_: draining.begin())
    logging.configure(name, level=settings.log_level, human=settings.log_human)
    if name == "gateway":
        from kelmah.gateway.app import create_app

        return create_app(settings, apps=apps)  # type: ignore[arg-type]  # `settings_of` made the gateway's own
    return services.load(name).create_app(settings, apps=apps)


def settle() -> None:
    """Leave what was made at the start out of every collection, and collect less often: requests make few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _settled(name: str) -> Litestar:
    app = _build(name)
    settle()
    return app


def gateway() -> Litestar:
    return _settled("gateway")


def auth() -> Litestar:
    return _settled("auth")


def user() -> Litestar:
    return _settled("user")


def messaging() -> Litestar:
    return _settled("messaging")


def job() -> Litestar:
    return _settled("job")


def payment() -> Litestar:
    return _settled("payment")


def review() -> Litestar:
    return _settled("review")


def one_process() -> ASGIApp:
    """The gateway with the six services behind it in memory."""
    apps: dict[str, ASGIApp] = {}
    inside = {name: _build(name, apps) for name in services.NAMES}
    apps.update(inside)
    front = _build("gateway", apps)
    settle()

    async def everything(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":  # type: ignore[comparison-overlap]  # servers send it, Litestar's type omits it
            await front(scope, receive, send)
            return
        async with AsyncExitStack() as stack:
            for app in inside.values():
                await stack.enter_async_context(app.lifespan())
            await front(scope, receive, send)

    return everything
