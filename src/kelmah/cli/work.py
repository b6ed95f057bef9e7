"""`kelmah work`: shorthand for the `dramatiq` command with our workers."""

import os
import sys


def work(*, processes: int = 1, threads: int = 16) -> None:
    """Run the workers: actors, the relay of events and the timers, until told to stop.

    Args:
        processes: worker processes.
        threads: actors that run at once in each.
    """
    command = [sys.executable, "-m", "dramatiq", "kelmah.workers"]
    os.execv(  # noqa: S606  # becomes dramatiq, so that signals reach it
        sys.executable, [*command, "--processes", str(processes), "--threads", str(threads), "--skip-logging"]
    )
