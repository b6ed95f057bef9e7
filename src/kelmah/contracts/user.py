"""What the user service says: profiles, skills and discovery."""

from typing import ClassVar

from kelmah.contracts.common import Event, Location, Money, Response, Role


class ProfileUpdated(Event, frozen=True, kw_only=True):
    """A person changed the named parts of the profile."""

    TYPE: ClassVar[str] = "user.profile_updated.v1"
    user_id: str
    changed: list[str]


class StatusChanged(Event, frozen=True, kw_only=True):
    """A worker became available for work, busy, or paused."""

    TYPE: ClassVar[str] = "user.status_changed.v1"
    user_id: str
    status: str


# --- For other services (/internal) ---


class Person(Response, frozen=True, kw_only=True):
    """What other people see of a person next to a message, an application or a review."""

    user_id: str
    role: Role
    display_name: str


class WorkerFacts(Response, frozen=True, kw_only=True):
    """What matching needs to know of a worker. `rating_milli` is the Bayesian mean times 1,000."""

    user_id: str
    display_name: str
    skills: list[str]
    location: Location | None = None
    hourly_rate: Money | None = None
    is_available: bool = True
    rating_milli: int | None = None
    review_count: int = 0
