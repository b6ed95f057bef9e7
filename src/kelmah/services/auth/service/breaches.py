"""Looks passwords up in a file of the hashes of leaked ones, as haveibeenpwned.com gives it, without reading it whole.

One SHA-1 a line in hexadecimal, sorted, perhaps with `:count` behind it.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: More than any line has: 40 digits, a colon, a count and a line's end.
_LINE_BYTES = 64
_LINE = re.compile(rb"[0-9A-Fa-f]{40}(:[0-9]{1,12})?\r?\n?")


class Breaches:
    """An open list. Made by `open_breaches`; may be asked from several threads at once."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._size = os.fstat(file).st_size

    def has(self, password: str) -> bool:
        """Whether the password is among the leaked ones."""
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        low, high = 0, self._size  # both where a line begins
        while low < high:
            start, line = self._line_around((low + high) // 2)
            found = line[: len(wanted)].upper()
            if found == wanted:
                return True
            if found < wanted:
                low = start + len(line)
            else:
                high = start
        return False

    def _line_around(self, position: int) -> tuple[int, bytes]:
        """The line that this byte is part of, and where it begins."""
        before = max(0, position - _LINE_BYTES)
        block = os.pread(self._file, 2 * _LINE_BYTES + 1, before)
        start = block.rfind(b"\n", 0, position - before) + 1
        end = block.find(b"\n", start)
        return before + start, block[start : end + 1] if end >= 0 else block[start:]


@contextmanager
def open_breaches(path: Path | None) -> Iterator[Breaches | None]:
    """The list in this file; None where there is no file.

    Raises:
        ValueError: its first line is no such line.
        OSError: it cannot be read.
    """
    if path is None:
        yield None
        return
    file = os.open(path, os.O_RDONLY)
    try:
        if not _LINE.match(os.pread(file, _LINE_BYTES, 0)):
            raise ValueError(f"{path} is no list of SHA-1 hashes, one a line")
        yield Breaches(file)
    finally:
        os.close(file)
