"""Tells the container engine whether the process in this container works; the image has no curl.

healthcheck.py http 3001       /readyz on that port answers 200
healthcheck.py connected 5672  a connection to that port, the broker's, is open
"""

import sys
import urllib.request
from pathlib import Path

TIMEOUT_S = 4
ESTABLISHED = "01"


def is_ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=TIMEOUT_S) as answer:
        return bool(answer.status == 200)


def is_connected(port: int) -> bool:
    rows = [
        row.split() for table in ("/proc/net/tcp", "/proc/net/tcp6") for row in Path(table).read_text().splitlines()[1:]
    ]
    return any(remote.endswith(f":{port:04X}") and state == ESTABLISHED for _, _, remote, state, *_ in rows)


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    checks = {"http": is_ready, "connected": is_connected}
    sys.exit(0 if checks[kind](port) else 1)


if __name__ == "__main__":
    main()
