"""The lists of a worker's profile: skills, experience, portfolio and certificates."""

from datetime import date
from typing import Literal

from kelmah.contracts.common import Page
from kelmah.contracts.user import (
    Certificate,
    CertificateInput,
    Experience,
    ExperienceInput,
    PortfolioInput,
    PortfolioItem,
    ProfileSkill,
    SetSkills,
    SkillChoice,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.ids import new_id
from kelmah.services.user import mapping
from kelmah.services.user.documents.profiles import (
    CertificateEntry,
    ExperienceEntry,
    PortfolioEntry,
    ProfileDocument,
    SkillEntry,
)
from kelmah.services.user.errors import TooManyEntries
from kelmah.services.user.service import certificates, images, profiles, typed
from kelmah.services.user.service.context import Context

#: The most entries that one list of a profile holds.
MAX_ENTRIES = 50
Kind = Literal["experience", "portfolio", "certificates"]
Entry = ExperienceEntry | PortfolioEntry | CertificateEntry


# --- Skills: one list, replaced as a whole ---


async def list_skills(context: Context, *, by: Principal) -> tuple[Page[ProfileSkill], int]:
    """The list with the profile's version."""
    profile = await profiles.get(context, by.user_id)
    return Page(items=mapping.profile_skills(profile)), profile.version


async def set_skills(
    context: Context, data: SetSkills, *, by: Principal, if_version: int | None = None
) -> tuple[Page[ProfileSkill], int]:
    """Replace the list. A trade that is named twice, in whatever words, is an error and not a guess."""
    entries: dict[str, SkillEntry] = {}
    for position, choice in enumerate(data.skills):
        known = choice if isinstance(choice, SkillChoice) else SkillChoice(skill=choice)
        field = f"skills[{position}]"
        skill_id = typed.skill_id(field, known.skill)
        if skill_id in entries:
            raise BadInput.of(field, f"{skill_id} is in the list already")
        entries[skill_id] = SkillEntry(id=skill_id, years=known.years)

    def change(profile: ProfileDocument) -> list[str]:
        wanted = list(entries.values())
        if profile.skills == wanted:
            return []
        profile.skills = wanted
        return ["skills"]

    profile = await profiles.edit(context, by.user_id, change, if_version=if_version)
    return Page(items=mapping.profile_skills(profile)), profile.version


# --- Experience ---


async def list_experience(context: Context, *, by: Principal) -> Page[Experience]:
    profile = await profiles.get(context, by.user_id)
    return Page(items=[mapping.experience(entry) for entry in profile.experience])


async def put_experience(
    context: Context, data: ExperienceInput, *, by: Principal, entry_id: str | None = None
) -> Experience:
    """Add an entry, or replace the one with this id."""
    typed.not_after("startedOn", data.started_on, _today())
    typed.not_after("endedOn", data.ended_on, _today())
    typed.in_order(("startedOn", data.started_on), ("endedOn", data.ended_on))
    entry = ExperienceEntry(
        id=entry_id or new_id(),
        title=typed.line("title", data.title, 120),
        employer=typed.optional_line("employer", data.employer, 120),
        description=typed.optional_text("description", data.description, 4000),
        started_on=data.started_on.isoformat(),
        ended_on=_iso(data.ended_on),
    )
    await _put(context, by, "experience", entry, is_new=entry_id is None)
    return mapping.experience(entry)


# --- Portfolio ---


async def list_portfolio(context: Context, *, by: Principal) -> Page[PortfolioItem]:
    profile = await profiles.get(context, by.user_id)
    return Page(items=[mapping.portfolio_item(entry) for entry in profile.portfolio])


async def put_portfolio_item(
    context: Context, data: PortfolioInput, *, by: Principal, entry_id: str | None = None
) -> PortfolioItem:
    """Add an entry, or replace the one with this id."""
    typed.not_after("completedOn", data.completed_on, _today())
    entry = PortfolioEntry(
        id=entry_id or new_id(),
        title=typed.line("title", data.title, 120),
        description=typed.optional_text("description", data.description, 4000),
        skills=typed.skill_ids("skills", data.skills),
        completed_on=_iso(data.completed_on),
    )
    profile = await _put(context, by, "portfolio", entry, is_new=entry_id is None)
    return mapping.portfolio_item(next(one for one in profile.portfolio if one.id == entry.id))


# --- Certificates ---


async def list_certificates(context: Context, *, by: Principal) -> Page[Certificate]:
    """With their numbers: this is the person's own list."""
    profile = await profiles.get(context, by.user_id)
    return Page(
        items=[
            mapping.certificate(entry, number=certificates.number(context.ring, by.user_id, entry), is_own=True)
            for entry in profile.certificates
        ]
    )


async def put_certificate(
    context: Context, data: CertificateInput, *, by: Principal, entry_id: str | None = None
) -> Certificate:
    """Add an entry, or replace the one with this id; what was changed is unverified again."""
    typed.not_after("issuedOn", data.issued_on, _today())
    typed.in_order(("issuedOn", data.issued_on), ("expiresOn", data.expires_on))
    certificate_id = entry_id or new_id()
    number = typed.optional_line("number", data.number, 60)
    place = certificates.number_place(by.user_id, certificate_id)
    entry = CertificateEntry(
        id=certificate_id,
        title=typed.line("title", data.title, 120),
        issuer=typed.line("issuer", data.issuer, 120),
        number=context.ring.seal(number, context=place) if number else None,
        issued_on=data.issued_on.isoformat(),
        expires_on=_iso(data.expires_on),
    )

    async def then(profile: ProfileDocument) -> None:
        await certificates.schedule(context, profile.id, entry)

    await _put(context, by, "certificates", entry, is_new=entry_id is None, then=then)
    return mapping.certificate(entry, number=number)


# --- What the lists have in common ---


async def remove(context: Context, kind: Kind, entry_id: str, *, by: Principal) -> None:
    """Take an entry out of one's own list."""

    removed: list[Entry] = []

    def change(profile: ProfileDocument) -> list[str]:
        entries = _entries(profile, kind)
        removed[:] = [entries.pop(_position(entries, entry_id))]
        return [kind]

    async def then(profile: ProfileDocument) -> None:
        for entry in removed:
            await forget(context, profile.id, entry)

    await profiles.edit(context, by.user_id, change, then=then)


async def forget(context: Context, user_id: str, entry: Entry) -> None:
    """In the open transaction, have thrown away what only a removed entry referred to."""
    if isinstance(entry, PortfolioEntry):
        await images.discard(context, user_id, [image.id for image in entry.images])
    elif isinstance(entry, CertificateEntry):
        await certificates.cancel(context, user_id, entry.id)


async def _put(
    context: Context, by: Principal, kind: Kind, entry: Entry, *, is_new: bool, then: profiles.Then | None = None
) -> ProfileDocument:
    def change(profile: ProfileDocument) -> list[str]:
        entries = _entries(profile, kind)
        if not is_new:
            position = _position(entries, entry.id)
            entries[position] = _inherit(entry, entries[position])
        elif len(entries) < MAX_ENTRIES:
            entries.append(entry)
        else:
            raise TooManyEntries(f"At most {MAX_ENTRIES} entries are kept.")
        return [kind]

    return await profiles.edit(context, by.user_id, change, then=then)


def _inherit(entry: Entry, replaced: Entry) -> Entry:
    """What a replacement takes over: pictures come and go on their own."""
    if isinstance(entry, PortfolioEntry) and isinstance(replaced, PortfolioEntry):
        return entry.model_copy(update={"images": replaced.images})
    return entry


def _entries(profile: ProfileDocument, kind: Kind) -> list[Entry]:
    entries: list[Entry] = getattr(profile, kind)
    return entries


def _position(entries: list[Entry], entry_id: str) -> int:
    for position, entry in enumerate(entries):
        if entry.id == entry_id:
            return position
    raise NotFound


def _today() -> date:
    return clock.now().date()


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
