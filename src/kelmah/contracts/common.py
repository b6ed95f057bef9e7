"""Base classes and values that every contract is made of."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Meta

#: 2**53 - 1, the largest integer that every JSON client reads back exactly.
MAX_SAFE_INTEGER = 9_007_199_254_740_991
#: ISO 4217 minor units: currencies that do not have two decimals. Every other code has two.
MINOR_UNIT_EXPONENTS = {"JPY": 0, "XOF": 0, "XAF": 0, "UGX": 0, "RWF": 0, "KWD": 3, "TND": 3}
DEFAULT_CURRENCY = "GHS"
DEFAULT_TIME_ZONE = "Africa/Accra"

#: What rates and budgets may be in unless the settings say otherwise.
CURRENCIES = ("GHS", "NGN", "KES", "ZAR", "XOF", "USD", "EUR", "GBP")
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="ISO 4217 code in capitals.", examples=["GHS"])]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]


class Contract(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A value that crosses a process border. Names are camelCase on the wire."""


class Request(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends. Unknown fields are refused, so that a typing error is never ignored."""


class Response(Contract, frozen=True, kw_only=True):
    """What a client receives. Readers tolerate unknown fields, so that fields can be added."""


class Event(Contract, frozen=True, kw_only=True):
    """A fact in the past tense. `TYPE` is `<service>.<event>.v<N>`; fields are ids and few facts.

    Fields are only ever added, with defaults; any other change is a new class with the next version.
    Personal data does not belong here: consumers ask the owning service for it.
    """

    TYPE: ClassVar[str]


class Money(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An amount in minor units (pesewas for GHS) with its ISO 4217 currency."""

    amount: Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER, description="Minor units.", examples=[15000])]
    currency: Currency = DEFAULT_CURRENCY


class Balance(Response, frozen=True, kw_only=True):
    """Money that may be zero: what an account holds."""

    amount: Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)]
    currency: Currency


class Role(StrEnum):
    """Who a person is to the platform. `docs/glossary.md` says what each may do."""

    WORKER = "worker"
    HIRER = "hirer"
    MODERATOR = "moderator"
    SUPPORT = "support"
    ADMIN = "admin"


#: Those who work for the platform. They act by two factors only.
STAFF = frozenset({Role.MODERATOR, Role.SUPPORT, Role.ADMIN})


Longitude = Annotated[float, Meta(ge=-180, le=180)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]


class Location(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place of work. Coordinates are `[longitude, latitude]`, as in GeoJSON (RFC 7946 §3.1.1)."""

    city: Annotated[str, Meta(min_length=1, max_length=80)]
    region: Annotated[str, Meta(min_length=1, max_length=80)]
    coordinates: tuple[Longitude, Latitude]


ItemT = TypeVar("ItemT")


class Page(Response, Generic[ItemT], frozen=True, kw_only=True):
    """One page of a list; `nextCursor` is null on the last."""

    items: list[ItemT]
    next_cursor: str | None = None


class PastEvent(Response, frozen=True, kw_only=True):
    """One thing that had happened; `actor` is a person's id, `system:<actor>`, or null for nobody who was signed in."""

    time: datetime
    type: str
    actor: str | None
    id: str


class PastState(Response, frozen=True, kw_only=True):
    """How something stood at an instant, by its events until then: the facts that they told, each as last told."""

    subject: str
    sequence: int
    last: str
    state: dict[str, Any]
    history: list[PastEvent]


class FieldChange(Response, frozen=True, kw_only=True):
    """What an edit made of a field, named as in the view of the thing."""

    field: str
    before: Any
    after: Any


class FieldError(Response, frozen=True, kw_only=True):
    """One thing wrong with the input; `field` is a JSON path without the `$.`, empty for the whole."""

    field: str
    message: str


class Problem(Response, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details. `code` is stable; clients switch on it, never on `detail`."""

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str | None = None
    instance: str | None = None
    errors: list[FieldError] | None = None
