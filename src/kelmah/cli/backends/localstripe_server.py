"""Runs localstripe on the loopback address alone, with its objects in a file of its own.

Its own command listens on every address and keeps its objects in one fixed file of the shared temporary
directory, which two platforms would overwrite for each other. It also ignores idempotency keys, which a
payment that is tried again relies on.
"""

import argparse
import asyncio
import json
import pickle
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web
from localstripe.resources import Store, store
from localstripe.server import app

KEYS_KEPT = 10_000
SAVE_INTERVAL_S = 1.0

_replies: OrderedDict[str, tuple[str, bytes, int, bytes]] = OrderedDict()


@web.middleware
async def honour_idempotency_key(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a repeated POST as the first one was answered (docs.stripe.com/api/idempotent_requests)."""
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return await handler(request)
    body = await request.read()
    known = _replies.get(key)
    if known is None:
        response = await handler(request)
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            _replies[key] = (request.path, body, response.status, response.body)
            if len(_replies) > KEYS_KEPT:
                _replies.popitem(last=False)
        return response
    path, first_body, status, reply = known
    if (path, first_body) != (request.path, body):
        message = "Keys for idempotent requests can only be used with the same parameters as at first."
        error = {"error": {"type": "idempotency_error", "message": message}}
        return web.Response(status=400, text=json.dumps(error), content_type="application/json")
    headers = {"Idempotent-Replayed": "true"}
    return web.Response(status=status, body=reply, content_type="application/json", headers=headers)


class Saver:
    """Keeps the objects in a file: all of them at once, so every second at most and not for every change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed: dict[str, object] | None = None

    def note(self, objects: dict[str, object]) -> None:
        """Something changed."""
        self._changed = objects

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Save while the server runs, and once more at its end."""
        saving = asyncio.create_task(self._save_every(SAVE_INTERVAL_S))
        yield
        saving.cancel()
        self._save()

    async def _save_every(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._save()

    def _save(self) -> None:
        if self._changed is not None:
            unfinished = self._path.with_suffix(".new")
            unfinished.write_bytes(pickle.dumps(dict(self._changed)))
            unfinished.replace(self._path)
            self._changed = None


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    state: Path = arguments.state

    if state.exists():
        # Only this program writes the file, in a directory of the user's own.
        store.update(pickle.loads(state.read_bytes()))  # noqa: S301
    saver = Saver(state)
    Store.dump_to_disk = lambda objects: saver.note(objects)  # a function, so that it gets the store itself
    app.cleanup_ctx.append(saver.run)
    app.middlewares.insert(0, honour_idempotency_key)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
