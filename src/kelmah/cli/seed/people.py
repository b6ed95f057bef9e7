"""Registers made-up people through the services' own functions."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from kelmah.cli.seed.plan import STAFF_AGE, Person, Plan
from kelmah.cli.seed.scene import Scene
from kelmah.contracts.common import Money, Role
from kelmah.contracts.user import (
    Availability,
    CertificateInput,
    ExperienceInput,
    SetSkills,
    SkillChoice,
    UpdateProfile,
    WeeklySlot,
)
from kelmah.kit.context import Principal
from kelmah.services.auth import service as auth
from kelmah.services.auth.documents import accounts
from kelmah.services.user.service import choices, entries, profiles

#: Of every account; they are made up, and so is everything that they hold.
PASSWORD = "harmattan-lantern-27-okra"  # noqa: S105
ResultT = TypeVar("ResultT")


class OneHash:
    """Stands in for the hasher: the same password is hashed once, with the parameters of the settings."""

    def __init__(self, password_hash: str) -> None:
        self._hash = password_hash

    async def hash(self, password: str) -> str:
        if password != PASSWORD:
            raise ValueError("only one password is known here")
        return self._hash

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        return work()


def person_id(plan: Plan, person: Person) -> str:
    """The id of a person's account."""
    return _scene(plan, person).first_id


def principal(plan: Plan, person: Person) -> Principal:
    """The person as services see somebody who is signed in."""
    return Principal(user_id=person_id(plan, person), role=person.role, session_id=f"seed-{plan.seed}")


async def made_on(contexts: Mapping[str, Any], plan: Plan) -> datetime | None:
    """The day of the plan's seed in this database, midnight; None when it was not made here before."""
    first = await accounts.by_email(contexts["auth"].email_indexes(plan.staff[0].email))
    return None if first is None else first.created_at + STAFF_AGE


async def absent(contexts: Mapping[str, Any], plan: Plan) -> list[Person]:
    """Those of the plan who have no account yet."""
    found: set[str] = set()
    ids = [person_id(plan, person) for person in plan.people]
    for start in range(0, len(ids), 100):
        found |= {one.user_id for one in await auth.contacts(contexts["auth"], ids[start : start + 100])}
    return [person for person, user_id in zip(plan.people, ids, strict=True) if user_id not in found]


async def register(contexts: Mapping[str, Any], plan: Plan, people: Sequence[Person]) -> AsyncIterator[Person]:
    """Register people and fill their profiles; yields each when done."""
    context = contexts["auth"]
    hasher: Any = OneHash(await context.hasher.hash(PASSWORD))
    context = dataclasses.replace(context, hasher=hasher)
    for person in people:
        scene = _scene(plan, person)
        scene.after()
        await auth.create_account(
            context,
            email=person.email,
            password=PASSWORD,
            first_name=person.first,
            last_name=person.last,
            role=person.role,
            verified=True,
        )
        if person.role in (Role.HIRER, Role.WORKER):
            scene.after(hours=0.2)
            await _fill_profile(contexts["user"], plan, person, scene)
        yield person


async def _fill_profile(context: Any, plan: Plan, person: Person, scene: Scene) -> None:
    by = principal(plan, person)
    place = person.location.city
    rest: dict[str, Any] = {}
    if person.work is not None:
        trade = person.work.trade.replace("-", " ")
        rest = {
            "headline": f"{trade.capitalize()} in {place}, {person.years} years",
            "bio": f"I work as a {trade} in {place} and around it. {person.work.titles[0]}: that is what I do best.",
            "hourly_rate": Money(amount=person.hourly_rate),
        }
    elif person.company:
        rest = {"company": person.company, "headline": f"{person.company}, {place}"}
    update = UpdateProfile(
        location=person.location,
        address=f"{person.street}, {place}",
        phone=person.phone,
        languages=person.languages,
        **rest,
    )
    await profiles.update_me(context, update, by=by)
    if person.work is not None:
        scene.after(hours=0.1)
        await _fill_worker(context, person, by, scene)


async def _fill_worker(context: Any, person: Person, by: Principal, scene: Scene) -> None:
    assert person.work is not None  # noqa: S101  # workers have work
    trade = person.work.trade
    await entries.set_skills(context, SetSkills(skills=[SkillChoice(skill=trade, years=person.years)]), by=by)
    scene.after(hours=0.1)
    began = (person.joined - timedelta(days=365 * person.years)).date()
    experience = ExperienceInput(title=person.work.titles[0], employer="Self-employed", started_on=began)
    await entries.put_experience(context, experience, by=by)
    scene.after(hours=0.1)
    weekly = [WeeklySlot(day=day, start="07:00", end="17:00") for day in range(1, 7 if person.years % 2 else 6)]
    await choices.set_availability(context, Availability(weekly=weekly), by=by)
    if person.years >= 10:
        scene.after(hours=0.1)
        title = f"NVTI certificate, {trade.replace('-', ' ')}"
        issued = CertificateInput(title=title, issuer="NVTI", number=f"NV{person.phone[3:]}", issued_on=began)
        await entries.put_certificate(context, issued, by=by)


def _scene(plan: Plan, person: Person) -> Scene:
    return Scene(f"{plan.seed}/{person.name}", person.joined)
