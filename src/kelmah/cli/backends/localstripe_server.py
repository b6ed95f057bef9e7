"""Runs localstripe on the loopback address alone, with its objects in a file of its own.

Its own command listens on every address and keeps its objects in one fixed file of the shared temporary
directory, which two platforms would overwrite for each other.
"""

import argparse
import pickle
from pathlib import Path

from aiohttp import web
from localstripe.resources import Store, store
from localstripe.server import app


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
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
