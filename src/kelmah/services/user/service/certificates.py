"""Certificates: their verification by moderators, and what happens as they end."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from kelmah.contracts.common import Event, Page
from kelmah.contracts.user import (
    Certificate,
    CertificateCheckRequested,
    CertificateDecided,
    CertificateDecision,
    CertificateExpiring,
    CertificateToCheck,
    DecideCertificate,
    Verification,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.pagination import encode_cursor
from kelmah.services.user import mapping
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import CertificateEntry, ProfileDocument
from kelmah.services.user.errors import IllegalCertificateStep
from kelmah.services.user.service import profiles, search, typed
from kelmah.services.user.service.context import Context

#: A worker is reminded so many days before the end; on the last day the certificate stops counting.
REMIND_DAYS = (30, 7, 0)
#: When reminders go out, UTC.
REMIND_AT = time(8, tzinfo=UTC)


class Step(StrEnum):
    """What may happen to a certificate. A changed certificate is a new, unverified one."""

    REQUEST = "request"
    VERIFY = "verify"
    REJECT = "reject"
    EXPIRE = "expire"


TRANSITIONS: dict[tuple[Verification, Step], Verification] = {
    (Verification.UNVERIFIED, Step.REQUEST): Verification.PENDING,
    (Verification.PENDING, Step.VERIFY): Verification.VERIFIED,
    (Verification.PENDING, Step.REJECT): Verification.REJECTED,
    (Verification.VERIFIED, Step.REJECT): Verification.REJECTED,
    (Verification.VERIFIED, Step.EXPIRE): Verification.EXPIRED,
}


async def request_check(context: Context, certificate_id: str, *, by: Principal) -> Certificate:
    """Ask for a certificate of the caller's to be verified."""

    def change(profile: ProfileDocument) -> list[str]:
        entry = _entry(profile, certificate_id)
        if entry.expires_on is not None and entry.expires_on <= _today().isoformat():
            raise IllegalCertificateStep("The certificate has ended.")
        _step(entry, Step.REQUEST)
        entry.requested_at = clock.now()
        return ["certificates"]

    event = CertificateCheckRequested(user_id=by.user_id, certificate_id=certificate_id)
    profile = await profiles.edit(context, by.user_id, change, then=_tell(context, by.user_id, event))
    return _own(context.ring, profile, certificate_id)


async def decide(
    context: Context, user_id: str, certificate_id: str, data: DecideCertificate, *, by: Principal
) -> Certificate:
    """Say that a certificate is genuine or not. A verified one may still turn out not to be."""
    note = typed.optional_line("note", data.note, 500)
    if data.decision is CertificateDecision.REJECT and note is None:
        raise BadInput.of("note", "say why it is rejected")
    if user_id == by.user_id or await documents.find(user_id) is None:
        raise NotFound

    def change(profile: ProfileDocument) -> list[str]:
        entry = _entry(profile, certificate_id)
        _step(entry, Step(data.decision.value))
        entry.note = note
        return ["certificates"]

    async def then(profile: ProfileDocument) -> None:
        verification = _entry(profile, certificate_id).verification.value
        event = CertificateDecided(
            user_id=user_id, certificate_id=certificate_id, moderator_id=by.user_id, verification=verification
        )
        await context.events.append(event, subject=f"user:{user_id}")

    profile = await profiles.edit(context, user_id, change, then=then)
    return _own(context.ring, profile, certificate_id)


async def list_pending(context: Context, *, limit: int, cursor: str | None) -> Page[CertificateToCheck]:
    """Certificates that wait for a moderator, by worker; a page holds those of at most `limit` workers."""
    after = search.read_cursor(cursor, (str,))[0] if cursor else None
    found = await documents.with_certificates(Verification.PENDING, after=after, limit=limit + 1)
    return Page(
        items=[
            CertificateToCheck(
                user_id=profile.id,
                display_name=profile.display_name,
                certificate_id=entry.id,
                title=entry.title,
                issuer=entry.issuer,
                number=number(context.ring, profile.id, entry),
                issued_on=date.fromisoformat(entry.issued_on),
                expires_on=date.fromisoformat(entry.expires_on) if entry.expires_on else None,
                requested_at=entry.requested_at,
            )
            for profile in found[:limit]
            for entry in profile.certificates
            if entry.verification is Verification.PENDING
        ],
        next_cursor=encode_cursor((found[limit - 1].id,)) if len(found) > limit else None,
    )


async def schedule(context: Context, user_id: str, entry: CertificateEntry) -> None:
    """In the open transaction, set the next reminder of a certificate, or none."""
    upcoming = [(days, due) for days in REMIND_DAYS if (due := _due(entry, days)) and due > clock.now()]
    if not upcoming:
        await cancel(context, user_id, entry.id)
        return
    days, due = upcoming[0]
    args = [user_id, entry.id, entry.expires_on or "", str(days)]
    await context.timers.set(_timer(user_id, entry.id), "user.remind_certificate", args, due=due)


async def cancel(context: Context, user_id: str, certificate_id: str) -> None:
    """In the open transaction, forget the reminder of a removed certificate."""
    await context.timers.cancel(_timer(user_id, certificate_id))


async def remind_certificate(
    context: Context, user_id: str, certificate_id: str, expires_on: str, days_text: str
) -> None:
    """Tell of a certificate's end; on its last day it stops counting as verified. A timer's target.

    Nothing happens when the certificate is gone or changed, or when this was told already.
    """
    days = int(days_text)
    told: list[bool] = []

    def change(profile: ProfileDocument) -> list[str]:
        entry = next((one for one in profile.certificates if one.id == certificate_id), None)
        is_due = (
            entry is not None and entry.expires_on == expires_on and (entry.reminded is None or entry.reminded > days)
        )
        told[:] = [is_due]
        if entry is None or not is_due:
            return []
        entry.reminded = days
        if days == 0 and (entry.verification, Step.EXPIRE) in TRANSITIONS:
            _step(entry, Step.EXPIRE)
        return ["certificates"]

    async def then(profile: ProfileDocument) -> None:
        event = CertificateExpiring(user_id=user_id, certificate_id=certificate_id, days_left=days)
        await context.events.append(event, subject=f"user:{user_id}")
        await schedule(context, user_id, _entry(profile, certificate_id))

    if await documents.find(user_id) is not None:
        await profiles.edit(context, user_id, change, then=then)


def number(ring: KeyRing, user_id: str, entry: CertificateEntry) -> str | None:
    """The certificate's number in the clear."""
    return ring.open(entry.number, context=number_place(user_id, entry.id)) if entry.number else None


def number_place(user_id: str, certificate_id: str) -> bytes:
    return f"user.certificate.number:{user_id}:{certificate_id}".encode()


def _own(ring: KeyRing, profile: ProfileDocument, certificate_id: str) -> Certificate:
    entry = _entry(profile, certificate_id)
    return mapping.certificate(entry, number=number(ring, profile.id, entry), is_own=True)


def _step(entry: CertificateEntry, step: Step) -> None:
    to = TRANSITIONS.get((entry.verification, step))
    if to is None:
        raise IllegalCertificateStep(f"A certificate that is {entry.verification.value} takes no {step.value}.")
    entry.verification = to


def _tell(context: Context, user_id: str, event: Event) -> profiles.Then:
    async def then(profile: ProfileDocument) -> None:
        await context.events.append(event, subject=f"user:{user_id}")

    return then


def _entry(profile: ProfileDocument, certificate_id: str) -> CertificateEntry:
    for entry in profile.certificates:
        if entry.id == certificate_id:
            return entry
    raise NotFound


def _due(entry: CertificateEntry, days: int) -> datetime | None:
    if entry.expires_on is None or (entry.reminded is not None and entry.reminded <= days):
        return None
    return datetime.combine(date.fromisoformat(entry.expires_on) - timedelta(days=days), REMIND_AT)


def _timer(user_id: str, certificate_id: str) -> str:
    return f"certificate:{user_id}:{certificate_id}"


def _today() -> date:
    return clock.now().date()
