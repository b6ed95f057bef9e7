"""The verification of certificates by moderators."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from kelmah.contracts.common import Event, Request, Response


class CertificateDecision(StrEnum):
    """What a moderator found."""

    VERIFY = "verify"
    REJECT = "reject"


class DecideCertificate(Request, frozen=True, kw_only=True):
    """A moderator's decision; the worker is shown the note, which a rejection needs."""

    decision: CertificateDecision
    note: Annotated[str, Meta(min_length=3, max_length=500)] | None = None


class CertificateToCheck(Response, frozen=True, kw_only=True):
    """A certificate that waits for a moderator, with its number."""

    user_id: str
    display_name: str
    certificate_id: str
    title: str
    issuer: str
    number: str | None
    issued_on: date
    expires_on: date | None
    requested_at: datetime | None


class CertificateCheckRequested(Event, frozen=True, kw_only=True):
    """A worker asked for a certificate to be verified."""

    TYPE: ClassVar[str] = "user.certificate_check_requested.v1"
    user_id: str
    certificate_id: str


class CertificateDecided(Event, frozen=True, kw_only=True):
    """A moderator decided on a certificate: `verified` or `rejected`."""

    TYPE: ClassVar[str] = "user.certificate_decided.v1"
    user_id: str
    certificate_id: str
    moderator_id: str
    verification: str


class CertificateExpiring(Event, frozen=True, kw_only=True):
    """A certificate ends in `days_left` days; with 0 it ends today."""

    TYPE: ClassVar[str] = "user.certificate_expiring.v1"
    user_id: str
    certificate_id: str
    days_left: int
