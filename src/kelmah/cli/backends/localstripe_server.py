"""Runs localstripe on the loopback address alone, with its objects in a file of its own.

Its own command listens on every address and keeps its objects in one fixed file of the shared temporary
directory, which two platforms would overwrite for each other. It also ignores idempotency keys, which a
payment that is tried again relies on.
"""

import argparse
import json
import pickle
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from localstripe.resources import Store, store
from localstripe.server import app

KEYS_KEPT = 10_000

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


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    state: Path = arguments.state

    def save(objects: dict[str, object]) -> None:
        unfinished = state.with_suffix(".new")
        unfinished.write_bytes(pickle.dumps(dict(objects)))
        unfinished.replace(state)

    if state.exists():
        # Only this program writes the file, in a directory of the user's own.
        store.update(pickle.loads(state.read_bytes()))  # noqa: S301
    Store.dump_to_disk = save
    app.middlewares.insert(0, honour_idempotency_key)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
