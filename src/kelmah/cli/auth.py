"""`kelmah users` and `kelmah auth`: what the machine room does for the auth service."""

import asyncio
import getpass
import os
import statistics
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import argon2
from rich.console import Console

from kelmah.cli import operator
from kelmah.cli.development import found_environment
from kelmah.contracts.common import STAFF, Role
from kelmah.kit import clock
from kelmah.kit.errors import KelmahError
from kelmah.kit.settings import SettingsError, load
from kelmah.services.auth import service
from kelmah.services.auth.app import open_context
from kelmah.services.auth.service import Context
from kelmah.services.auth.settings import AuthSettings

ResultT = TypeVar("ResultT")
#: OWASP's weakest accepted work, in KiB times passes, and its usual one.
_LEAST_MEMORY_KIB, _LEAST_WORK_KIB = 7_168, 38_912
_TRIES = 5
_MOST_MEMORY_KIB = 262_144


def run(work: Callable[[Context], Awaitable[ResultT]]) -> ResultT:
    """Do something with the auth service's context, or end with what is wrong."""

    async def within() -> ResultT:
        async with open_context(load(AuthSettings, found_environment())) as context:
            return await work(context)

    try:
        return asyncio.run(within())
    except SettingsError as error:
        sys.exit(str(error))
    except KelmahError as error:
        fields = "".join(f"\n  {one.field}: {one.message}" for one in error.errors or [])
        wait = f" Come back in {error.retry_after_s:.0f} s." if error.retry_after_s else ""
        sys.exit(f"{error.message}.{wait}{fields}")


def create_user(
    email: str, /, *, role: Role, first_name: str, last_name: str, password_variable: str | None = None
) -> None:
    """Make an account of any role with a proven address: how the first administrator comes to be.

    Args:
        email: the address.
        role: worker, hirer, moderator, support or admin.
        first_name: one line.
        last_name: one line.
        password_variable: the environment variable with the password; asked for at the terminal if not given.
    """
    if password_variable is None:
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Once more: "):
            sys.exit("The two are not the same.")
    else:
        password = os.environ.get(password_variable, "")

    operator.act("users create", "auth", target=role.value)

    async def make(context: Context) -> str:
        view = await service.create_staff(
            context, email=email, password=password, first_name=first_name, last_name=last_name, role=role
        )
        return view.id

    console = Console()
    console.print(f"made {role.value} {run(make)}")
    if role in STAFF:
        console.print("A second factor comes first: log in, then POST /api/v1/auth/mfa/setup (docs/identity.md).")


def calibrate(*, budget_ms: float = 100.0, lanes: int = 1) -> None:
    """Find the heaviest Argon2id that this machine does within a time, and print the settings for it.

    Args:
        budget_ms: milliseconds that one password may take.
        lanes: as KELMAH_AUTH_HASH_LANES.
    """
    console = Console()
    memory_kib, best = _LEAST_MEMORY_KIB, None
    while memory_kib <= _MOST_MEMORY_KIB:
        passes = max(1, -(-_LEAST_WORK_KIB // memory_kib))
        took_ms = hash_ms(memory_kib, passes, lanes)
        console.print(f"{memory_kib:>7} KiB, {passes} passes: {took_ms:.0f} ms")
        if took_ms > budget_ms:
            break
        best = memory_kib, passes
        memory_kib = int(memory_kib * 1.5)
    if best is None:
        sys.exit(f"Nothing that is strong enough takes less than {budget_ms:.0f} ms here.")
    console.print(
        f"KELMAH_AUTH_HASH_MEMORY_KIB={best[0]}\nKELMAH_AUTH_HASH_PASSES={best[1]}\nKELMAH_AUTH_HASH_LANES={lanes}"
    )


def hash_ms(memory_kib: int, passes: int, lanes: int) -> float:
    """The median time of one password."""
    hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
    times = []
    for _ in range(_TRIES):
        started = clock.monotonic()
        hasher.hash("a password of middling length")
        times.append((clock.monotonic() - started) * 1000)
    return statistics.median(times)
