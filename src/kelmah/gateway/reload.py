"""Takes a changed route file into use without a restart: checked whole, swapped at once, or refused with a reason."""

import asyncio
from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path

import structlog

from kelmah.gateway import routes
from kelmah.gateway.routes import RouteError, RouteTable

log = structlog.get_logger(__name__)

#: Seconds between two looks at the file.
LOOK_S = 1.0


async def follow(file: Path | Traversable, use: Callable[[RouteTable], None], *, text: str) -> None:
    """Look at the file for as long as the gateway runs.

    Args:
        file: the route file.
        use: takes a good table; raises ValueError where the table does not fit this gateway.
        text: what of the file is in use already.
    """
    seen = text
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            found = await asyncio.to_thread(file.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if seen:
                log.error("routes.unreadable", error=type(error).__name__)  # the class says it all
            seen = ""
            continue
        if found == seen:
            continue
        seen = found
        try:
            use(routes.parse(found))
        except (RouteError, ValueError) as error:
            log.error("routes.refused", reason=str(error))  # the reason names the lines
        else:
            log.info("routes.reloaded")
