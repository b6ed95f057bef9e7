"""`kelmah keys rotate`: signing keys of auth, and the keys of sealed fields of every service."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from kelmah import services
from kelmah.cli import auth, operator
from kelmah.kit.errors import KelmahError
from kelmah.kit.resealing import Sealed, reseal
from kelmah.services.auth import service as auth_rules
from kelmah.services.auth.service.resealing import SEALED as OF_AUTH
from kelmah.services.messaging.service.resealing import SEALED as OF_MESSAGING
from kelmah.services.payment.service.resealing import SEALED as OF_PAYMENT
from kelmah.services.review.service.resealing import SEALED as OF_REVIEW
from kelmah.services.user.service.resealing import SEALED as OF_USER

#: Service → its sealed fields, beside the keys of people that each has. Job has no others.
FIELDS: Mapping[str, Sequence[Sealed]] = {
    "auth": OF_AUTH,
    "user": OF_USER,
    "messaging": OF_MESSAGING,
    "job": (),
    "payment": OF_PAYMENT,
    "review": OF_REVIEW,
}


def rotate(*, what: Literal["signing", "fields"] = "signing", service: str | None = None) -> None:
    """Turn keys. Safe to run again, and while people are signed in.

    Args:
        what: signing lets the next signing key sign and publishes a new next one; fields encrypts what is stored with
            the newest of each service's KELMAH_…_FIELD_KEYS, after which the older ones may be taken away (messaging
            needs its own as long as there are files of that time).
        service: the one whose fields are encrypted, instead of all.
    """
    if service is not None and service not in services.NAMES:
        sys.exit(f"there is no service {service!r}: {', '.join(services.NAMES)}")
    console = Console()
    if what == "signing":
        operator.act("keys rotate", "auth", target=what)
        keys = auth.run(auth_rules.rotate_signing_keys)
        console.print(f"signing with {keys.keys[0].kid}; next {keys.keys[1].kid}; {len(keys.keys) - 2} retired")
        return
    operator.act("keys rotate", *([service] if service else services.NAMES), target=what)
    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            changed = asyncio.run(_fields(service, progress))
    except KelmahError as error:
        sys.exit(f"{error.message}.")
    console.print(f"{changed} documents encrypted anew")


async def _fields(service: str | None, progress: Progress) -> int:
    bars: dict[str, TaskID] = {}
    changed = 0
    async with operator.resources(service) as opened:
        for name, resources in opened.items():
            async for step in reseal(resources.mongo, resources.ring, FIELDS[name]):
                bar = f"{name} {step.collection}"
                if bar not in bars:
                    bars[bar] = progress.add_task(bar)
                progress.update(bars[bar], completed=step.done, total=step.total)
                changed += step.changed
    return changed
