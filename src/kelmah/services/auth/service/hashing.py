"""Hashes and judges passwords in threads of their own, so that a flood of logins starves nothing else."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import argon2
import bcrypt
from argon2.exceptions import InvalidHashError, VerificationError

from kelmah.kit.context import remaining_s
from kelmah.kit.crypto import random_token
from kelmah.services.auth.errors import Busy
from kelmah.services.auth.settings import AuthSettings

ResultT = TypeVar("ResultT")
#: Seconds in line after which nobody waits for the answer any more.
LONGEST_WAIT_S = 10.0
#: How a hash of the old system starts, the bytes of a password that bcrypt looks at, and its usual cost.
_BCRYPT, _BCRYPT_BYTES, _USUAL_COST = "$2", 72, 10


class PasswordHasher:
    """Argon2id with its parameters inside each hash. Made by `open_hasher`."""

    def __init__(
        self,
        argon: argon2.PasswordHasher,
        threads: ThreadPoolExecutor,
        *,
        room: int,
        dummy: str,
        old_dummy: str | None = None,
    ) -> None:
        self._argon = argon
        self._threads = threads
        self._room = room
        self._present = 0
        self._dummy = dummy
        self._old_dummy = old_dummy

    async def hash(self, password: str) -> str:
        """Raises:
        Busy: too many are in line.
        """
        return await self.run(lambda: self._argon.hash(_bytes(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one. Without a stored one it takes as long, and is false.

        While there are hashes of the old system, each check takes one of either kind: nobody can tell by the time
        where a person is, nor whether there is one.

        Raises:
            Busy: too many are in line.
        """
        is_old = stored is not None and stored.startswith(_BCRYPT)
        current, old = (None, stored) if is_old else (stored, self._old_dummy)

        def check() -> bool:
            matches = _matches(self._argon, current or self._dummy, password)
            matches_old = old is not None and _matches_old(old, password)
            return matches_old if is_old else matches

        return await self.run(check) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""
        return stored.startswith(_BCRYPT) or self._argon.check_needs_rehash(stored)

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Do other slow work with a password in one of the threads.

        Raises:
            Busy: too many are in line.
        """
        if self._present >= self._room:
            raise Busy(retry_after_s=1)
        self._present += 1
        future = self._threads.submit(work)
        # Counted until the thread is done, even when the client went away before.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        try:
            async with asyncio.timeout(max(0.0, remaining_s(LONGEST_WAIT_S))):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Busy(retry_after_s=1) from None

    def _leave(self) -> None:
        self._present -= 1


@asynccontextmanager
async def open_hasher(settings: AuthSettings) -> AsyncIterator[PasswordHasher]:
    """A hasher with its threads; they end with it."""
    argon = argon2.PasswordHasher(
        time_cost=settings.hash_passes, memory_cost=settings.hash_memory_kib, parallelism=settings.hash_lanes
    )
    threads = ThreadPoolExecutor(settings.hash_threads, thread_name_prefix="argon2")
    try:
        dummy = await asyncio.wrap_future(threads.submit(argon.hash, random_token()))
        cost = settings.bcrypt_cost or (_USUAL_COST if settings.legacy_postgres_url and settings.legacy_bridge else 0)
        salt = bcrypt.gensalt(max(cost, 4)) if cost else None
        old_dummy = bcrypt.hashpw(random_token().encode(), salt).decode() if salt else None
        room = settings.hash_threads + settings.max_waiting_hashes
        yield PasswordHasher(argon, threads, room=room, dummy=dummy, old_dummy=old_dummy)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _bytes(password: str) -> bytes:
    # One person's keyboards spell é in one or two code points (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFC", password).encode()


def _matches(argon: argon2.PasswordHasher, stored: str, password: str) -> bool:
    try:
        return argon.verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _matches_old(stored: str, password: str) -> bool:
    """As the old system compared: the first 72 bytes of what was typed, as it was typed."""
    try:
        return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], stored.encode())
    except ValueError:
        return False
