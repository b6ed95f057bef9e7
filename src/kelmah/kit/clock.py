"""The only place that reads the time, so that tests can move it by weeks."""

import time
from datetime import UTC, datetime, timedelta

_offset = timedelta(0)
_stopped_at: datetime | None = None


def now() -> datetime:
    """The current instant in UTC, cut to the millisecond, which is what MongoDB keeps."""
    instant = _stopped_at or datetime.now(UTC) + _offset
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def timestamp() -> float:
    """The current instant in seconds since 1970."""
    return _stopped_at.timestamp() if _stopped_at else time.time() + _offset.total_seconds()


#: Seconds on a clock that never steps back, for measuring durations.
monotonic = time.monotonic


def shift(by: timedelta) -> None:
    """Move this process's clock. For tests."""
    global _offset
    _offset += by


def set_shift(shift: timedelta) -> None:
    """Put this process's clock this far from the machine's. Apps that share a process say so once each, to one end."""
    global _offset
    _offset = shift


def stop(at: datetime) -> None:
    """Let this process's clock stand at an instant until it is put elsewhere. For made-up data that has a past."""
    global _stopped_at
    _stopped_at = at


def reset() -> None:
    """Undo every `shift` and `stop`."""
    global _offset, _stopped_at
    _offset, _stopped_at = timedelta(0), None
