"""A user service that knows the workers it is given."""

from collections.abc import Sequence

from kelmah.clients.user import UserClient
from kelmah.contracts.common import Location, Role
from kelmah.contracts.user import Person, WorkerFacts
from kelmah.kit.errors import NotFound


class FakeUserClient(UserClient):
    """Workers by id in `workers`; `asked` is what workers were last looked for by."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerFacts] = {}
        self.asked: tuple[list[str], Location | None, int] | None = None

    async def get_people(self, *, user_ids: Sequence[str]) -> list[Person]:
        found = [self.workers[one] for one in user_ids if one in self.workers]
        return [Person(user_id=one.user_id, role=Role.WORKER, display_name=one.display_name) for one in found]

    async def get_worker(self, *, user_id: str) -> WorkerFacts:
        if user_id not in self.workers:
            raise NotFound
        return self.workers[user_id]

    async def find_workers(self, *, skills: Sequence[str], near: Location | None, limit: int) -> list[WorkerFacts]:
        self.asked = (list(skills), near, limit)
        return list(self.workers.values())[:limit]
