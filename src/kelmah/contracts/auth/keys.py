"""API keys: programs that act for a person, within scopes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Id, Request, Response, Role

MAX_KEY_DAYS = 365
MAX_OVERLAP_HOURS = 168


class Scope(StrEnum):
    """What a key may do. The gateway's route table lists the operations of each; all others take no key at all."""

    PROFILE_READ = "profile:read"
    PROFILE_WRITE = "profile:write"
    SEARCH_READ = "search:read"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    CONTRACTS_READ = "contracts:read"
    CONTRACTS_WRITE = "contracts:write"
    PAYMENTS_READ = "payments:read"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    REVIEWS_READ = "reviews:read"
    REVIEWS_WRITE = "reviews:write"


KeyName = Annotated[str, Meta(min_length=1, max_length=80, examples=["Payroll export"])]


class CreateApiKeyRequest(Request, frozen=True, kw_only=True):
    name: KeyName
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    expires_in_days: Annotated[int, Meta(ge=1, le=MAX_KEY_DAYS)] = 90


class RotateApiKeyRequest(Request, frozen=True, kw_only=True):
    """`overlapHours`: for how long the old key still works, so that no program has to stop."""

    overlap_hours: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_HOURS)] = 0


class ApiKeyView(Response, frozen=True, kw_only=True):
    """A key without its secret. `prefix` is how the key begins. `lastUsedAt` may be a minute late."""

    id: str
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class NewApiKey(ApiKeyView, frozen=True, kw_only=True):
    """A key with its secret, which is shown this one time."""

    key: str


class ApiKeyCheck(Request, frozen=True, kw_only=True):
    """Whether there is a key of this id with this SHA-256. The gateway keeps the key itself to itself."""

    key_id: Id
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class ApiKeyHolder(Response, frozen=True, kw_only=True):
    """For whom a key acts, and how far; `expiresAt` in epoch seconds."""

    key_id: str
    user_id: str
    role: Role
    scopes: frozenset[Scope]
    expires_at: int
