"""Every entity, in the order in which they are moved: what a thing refers to comes before it."""

from typing import Any

from kelmah.legacy.entities.contracts import CONTRACTS
from kelmah.legacy.entities.jobs import APPLICATIONS, JOBS
from kelmah.legacy.entities.messages import CONVERSATIONS, MESSAGES, NOTIFICATIONS
from kelmah.legacy.entities.money import ESCROWS, TRANSACTIONS, WALLETS
from kelmah.legacy.entities.people import PEOPLE
from kelmah.legacy.entities.profiles import PROFILES
from kelmah.legacy.entities.reviews import REVIEWS
from kelmah.legacy.entity import Entity

ENTITIES: tuple[Entity[Any], ...] = (
    PEOPLE,
    PROFILES,
    JOBS,
    APPLICATIONS,
    CONTRACTS,
    WALLETS,
    TRANSACTIONS,
    ESCROWS,
    CONVERSATIONS,
    MESSAGES,
    NOTIFICATIONS,
    REVIEWS,
)

#: Tables of which no row is moved, and why.
LEFT_TABLES = {
    "refresh_tokens": "sessions end with the move: everybody logs in once, with the old password",
    "skills": "words that `user_skills` is read with; Kelmah has a taxonomy of its own",
}
