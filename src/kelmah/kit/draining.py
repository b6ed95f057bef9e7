"""Whether this process is about to end: it is asked to, tells whoever sends it requests, and serves on meanwhile."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

#: The status that `/readyz` answers meanwhile.
DRAINING = "draining"

_is_draining = False
_listeners: list[Callable[[], object]] = []


def begin() -> None:
    """This process is to end soon. Fit for a signal handler."""
    global _is_draining
    if not _is_draining:
        _is_draining = True
        log.info("process.draining")
        for listener in _listeners:
            listener()


def is_draining() -> bool:
    """Whether it is."""
    return _is_draining


def listen(listener: Callable[[], object]) -> Callable[[], None]:
    """Have a function called when it begins; the answer takes that back."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def reset() -> None:
    """Undo `begin`. For tests."""
    global _is_draining
    _is_draining = False
