"""What other services ask of people and workers."""

from collections.abc import Sequence

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Role
from kelmah.contracts.user import Person, SearchSort, WorkerFacts
from kelmah.kit.errors import NotFound
from kelmah.services.user import mapping
from kelmah.services.user.documents import search as documents
from kelmah.services.user.documents.search import Near, Search
from kelmah.services.user.service import profiles
from kelmah.services.user.service.context import Context


async def get_people(context: Context, user_ids: Sequence[str]) -> list[Person]:
    """The people among these who have an account."""
    return [mapping.person(profile) for profile in await profiles.ensure(context, user_ids)]


async def get_worker(context: Context, user_id: str) -> WorkerFacts:
    """What matching needs of one worker, listed or not."""
    profile = await profiles.get(context, user_id)
    if profile.role is not Role.WORKER:
        raise NotFound
    return mapping.worker_facts(profile)


async def find_workers(
    context: Context, *, skills: Sequence[str], near: tuple[float, float] | None, limit: int
) -> list[WorkerFacts]:
    """Available workers with any of the skills, children included: nearest first, those without a place last."""
    known = [skill for skill in map(taxonomy.resolve, skills) if skill]
    skill_ids = sorted({one for skill in known for one in taxonomy.expand(skill.id)})
    if near is None:
        rows = await documents.run(Search(skill_ids=skill_ids, is_available=True), sort=SearchSort.RATING, limit=limit)
    else:
        anywhere = Near(*near, radius_m=None)
        rows = await documents.run(
            Search(skill_ids=skill_ids, is_available=True, near=anywhere), sort=SearchSort.DISTANCE, limit=limit
        )
        if len(rows) < limit:
            rows += await documents.run(
                Search(skill_ids=skill_ids, is_available=True, has_place=False),
                sort=SearchSort.RATING,
                limit=limit - len(rows),
            )
    return [mapping.worker_facts(row) for row in rows]
