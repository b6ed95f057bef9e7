"""Looks into archives from strangers, so that none is a bomb, a second file in disguise, or closed to the scanner."""

import io
import zipfile
import zlib
from collections.abc import Collection

import anyio

from kelmah.kit.errors import KelmahError

#: Entries and unpacked bytes of an archive at most.
MAX_ENTRIES, MAX_UNPACKED_BYTES = 2_000, 104_857_600
#: The record at the end of an archive that has no comment.
_END_BYTES = 22
_ENCRYPTED = 0x1
_CHUNK = 1_048_576
#: One at a time: unpacking takes memory and the whole of a core.
_LIMITER = anyio.CapacityLimiter(1)


class InvalidArchive(KelmahError):
    """Not an archive that is taken."""

    status_code = 415
    code = "kit.invalid_archive"
    title = "Not a document that can be taken"


async def check_archive(data: bytes, *, needs: str, forbids: Collection[str] = ()) -> None:
    """Check a ZIP archive, in a thread: it begins and ends with the file, and unpacks to what it says it does.

    Args:
        data: the whole file, in memory: the caller bounds its size.
        needs: the name of an entry that must be there.
        forbids: how no entry's name may end, in lower case.

    Raises:
        InvalidArchive: something else, damaged, encrypted, with bytes around it, or too much once unpacked.
    """
    await anyio.to_thread.run_sync(_check, data, needs, tuple(forbids), limiter=_LIMITER)


def _check(data: bytes, needs: str, forbids: tuple[str, ...]) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [one.filename.lower() for one in entries]
            # Entries that share bytes say more in all than they hold; this is counted before anything is unpacked.
            if len(entries) > MAX_ENTRIES or sum(one.file_size for one in entries) > MAX_UNPACKED_BYTES:
                raise InvalidArchive("It is too large once unpacked.")
            if min((one.header_offset for one in entries), default=-1) != 0 or not _ends(data):
                raise InvalidArchive("It holds something beside the document.")
            if needs.lower() not in names or any(name.endswith(forbids) for name in names if forbids):
                raise InvalidArchive("It holds something else than its name says.")
            for one in entries:
                if one.flag_bits & _ENCRYPTED or one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise InvalidArchive("It is encrypted, or packed in a way that is not taken.")
                with archive.open(one) as packed:  # ends at the size that it says, and checks what came till there
                    while packed.read(_CHUNK):
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, OSError) as error:
        raise InvalidArchive("It is damaged.") from error


def _ends(data: bytes) -> bool:
    return data[-_END_BYTES:].startswith(b"PK\x05\x06")
