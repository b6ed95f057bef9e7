"""Looks at reviews that are about to become public for signs that they are not what they seem.

A suspicion hides nothing: the review is public, is marked, counts, and waits for a moderator, who may exclude it.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta

from kelmah.contracts.review import Suspicion
from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.services.review import documents
from kelmah.services.review.documents import ReviewDocument

#: How far back rings are looked for, and the usual rate of reviews is counted.
LOOK_BACK = timedelta(days=90)
#: The most people a ring is followed through.
MAX_FOLLOWED = 200
#: Fewer letters than these are alike by chance: "Good work, thank you."
MIN_COPIED_LETTERS = 40
BURST_WINDOW = timedelta(days=1)
MIN_BURST = 5
#: A day with so many reviews is called a burst if it would happen by chance less often than this.
BURST_PROBABILITY = 1e-4
#: Suspicions that a moderator should look at. That a contract was tiny is, alone, no reason to.
TO_BE_LOOKED_AT = frozenset(Suspicion) - {Suspicion.TINY_CONTRACT}
_WORDS, _DEVICE = b"review.review.words", b"review.review.device"


def text_fingerprint(ring: KeyRing, text: str) -> str | None:
    """What equal texts have in common, whatever their case, spacing and signs; None for short ones."""
    letters = _letters(text)
    return ring.blind_index(letters, context=_WORDS) if len(letters) >= MIN_COPIED_LETTERS else None


def device_fingerprint(ring: KeyRing, by: Principal) -> str | None:
    """What reviews from one address and device have in common; None when these are not known."""
    if not by.address or not by.device:
        return None
    return ring.blind_index(f"{by.address}\n{by.device}", context=_DEVICE)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


async def suspicions_of(review: ReviewDocument, exchange: Sequence[ReviewDocument], now: datetime) -> list[Suspicion]:
    """Why a review may not be what it seems, in the order of `Suspicion`; a tiny contract was noted before.

    Args:
        review: one that is about to become public.
        exchange: it and, if there is one, its twin.
        now: when.
    """
    devices = [one.device_fingerprint for one in exchange]
    found = {
        Suspicion.SAME_DEVICE: len(devices) == 2 and devices[0] is not None and devices[0] == devices[1],
        Suspicion.RING: bool(await ring_of(review, now)),
        Suspicion.TINY_CONTRACT: Suspicion.TINY_CONTRACT in review.suspicions,
        Suspicion.COPIED_TEXT: await documents.is_copied(review),
        Suspicion.BURST: await _is_in_burst(review.subject_id, now),
    }
    return [suspicion for suspicion, is_there in found.items() if is_there]


async def ring_of(review: ReviewDocument, now: datetime) -> set[str]:
    """The other contracts of the ring that a review's contract closes; none where it closes none.

    The worker hired the hirer, or hired somebody who did. Two hirings in a circle are no market.
    """
    if review.reviewer_is_hirer:
        hirer, worker = review.reviewer_id, review.subject_id
    else:
        hirer, worker = review.subject_id, review.reviewer_id
    since = now - LOOK_BACK
    followed = await documents.hired_by(worker, since, MAX_FOLLOWED)
    if not followed:
        return set()
    back = await documents.hirings([worker, *followed], [hirer], since)
    between = {one for _, one in back} - {worker}
    there = await documents.hirings([worker], between, since) if between else []
    return {contract_id for contract_id, _ in [*back, *there]} - {review.contract_id}


async def _is_in_burst(subject_id: str, now: datetime) -> bool:
    times = await documents.recent_of(subject_id, now - LOOK_BACK)
    today = 1 + sum(at > now - BURST_WINDOW for at in times)
    before = len(times) - (today - 1)
    usual = max(before, 1) * (BURST_WINDOW / LOOK_BACK)
    return today >= MIN_BURST and poisson_tail(today, usual) < BURST_PROBABILITY


def poisson_tail(least: int, mean: float) -> float:
    """How probable `least` events or more are where `mean` are usual."""
    # Each term from the one before: the factorial of 171 does not fit into a float.
    term, below = math.exp(-mean), 0.0
    for count in range(least):
        below += term
        term *= mean / (count + 1)
    return max(0.0, 1.0 - below)
