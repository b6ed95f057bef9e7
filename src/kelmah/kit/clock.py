"""The only place that reads the time, so that tests can move it by weeks."""

import time
from datetime import UTC, datetime, timedelta

_offset = timedelta(0)


def now() -> datetime:
    """The current instant in UTC, cut to the millisecond, which is what MongoDB keeps."""
    instant = datetime.now(UTC) + _offset
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def monotonic() -> float:
    """Seconds on a clock that never steps back, for measuring durations."""
    return time.monotonic()


def shift(by: timedelta) -> None:
    """Move this process's clock. For tests, and for `KELMAH_CLOCK_SHIFT_S` outside production."""
    global _offset
    _offset += by


def reset() -> None:
    """Undo every `shift`."""
    global _offset
    _offset = timedelta(0)
