"""Opens what the services' functions work with, in the worker's process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from litestar.types import ASGIApp

from kelmah import services
from kelmah.kit import clock
from kelmah.kit.settings import load


@asynccontextmanager
async def open_contexts(environ: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
    """Open every service's context, by name.

    Where no address of a service is set, the services call each other in memory: each then runs as an app of its own
    here, and its context is the app's.

    Raises:
        SettingsError: the environment does not fit one of them.
    """
    loaded = {name: services.load(name) for name in services.NAMES}
    settings = {name: load(service.settings, environ) for name, service in loaded.items()}
    async with AsyncExitStack() as stack:
        contexts: dict[str, Any] = {}
        if any(one.service_urls for one in settings.values()):
            for name, service in loaded.items():
                clock.set_shift(timedelta(seconds=settings[name].clock_shift_s))
                contexts[name] = await stack.enter_async_context(service.open_context(settings[name]))
        else:
            apps: dict[str, ASGIApp] = {}
            made = {name: service.create_app(settings[name], apps=apps) for name, service in loaded.items()}
            apps.update(made)
            for name, app in made.items():
                await stack.enter_async_context(app.lifespan())
                contexts[name] = app.state.context
        yield contexts
