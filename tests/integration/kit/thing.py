"""The smallest service: what the kit gives every app, with one document and a few operations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, ClassVar

from beanie import Document
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from kelmah.contracts.common import Money, Page, Request, Response, Role
from kelmah.contracts.job import JobCreated
from kelmah.kit import policy
from kelmah.kit.app import service_app
from kelmah.kit.context import Principal
from kelmah.kit.errors import Conflict
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session
from kelmah.kit.resources import Resources, open_resources
from kelmah.kit.settings import ServiceSettings


class ThingSettings(ServiceSettings):
    SERVICE: ClassVar[str] = "thing"


class ThingDocument(Document):
    id: str  # type: ignore[assignment]  # Beanie's own is an ObjectId
    owner_id: str

    class Settings:
        name = "things"


class NewThing(Request, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=2, max_length=5)]
    price: Money


class ThingView(Response, frozen=True, kw_only=True):
    id: str
    owner_id: str


class Interrupted(RuntimeError):
    """Stands for a process that dies at this line."""


#: Tests put "before" or "after" here: the create operation then dies on that side of its commit.
die: set[str] = set()


@post("/api/v1/things", operation_id="CreateThing", opt={"idempotency": "required"})
async def create_thing(
    data: JSONBody[NewThing], context: NamedDependency[Resources], principal: NamedDependency[Principal]
) -> ThingView:
    async def change() -> ThingView:
        thing = await ThingDocument(id=new_id(), owner_id=principal.user_id).insert(session=session())
        await context.events.append(JobCreated(job_id=thing.id, hirer_id=thing.owner_id), subject=f"job:{thing.id}")
        view = ThingView(id=thing.id, owner_id=thing.owner_id)
        await context.idempotency.remember(view)
        if "before" in die:
            raise Interrupted
        return view

    view = await context.mongo.transact(change)
    if "after" in die:
        raise Interrupted
    return view


@post("/api/v1/things/plain", operation_id="AddThing")
async def add_thing(context: NamedDependency[Resources], principal: NamedDependency[Principal]) -> ThingView:
    """Its transaction returns the answer."""

    async def change() -> ThingView:
        thing = await ThingDocument(id=new_id(), owner_id=principal.user_id).insert(session=session())
        return ThingView(id=thing.id, owner_id=thing.owner_id)

    return await context.mongo.transact(change)


@post("/api/v1/things/pair", operation_id="AddPair", status_code=200)
async def add_pair(context: NamedDependency[Resources], principal: NamedDependency[Principal]) -> ThingView:
    """Its transactions return something else than the answer; "between" is after the first of them."""

    async def change() -> None:
        await ThingDocument(id=new_id(), owner_id=principal.user_id).insert(session=session())

    await context.mongo.transact(change)
    if "between" in die:
        raise Interrupted
    if "refused" in die:
        raise Conflict
    await context.mongo.transact(change)
    return ThingView(id="pair", owner_id=principal.user_id)


@get("/api/v1/things", operation_id="ListThings")
async def list_things(limit: FromQuery[int] = 20) -> Page[ThingView]:
    return Page(items=[ThingView(id="1", owner_id="2")][:limit])


@get("/internal/things", operation_id="CountThings")
async def count_things() -> int:
    return await ThingDocument.count()


@post("/internal/things/{thing_id:str}/note", operation_id="NoteThing")
async def note_thing(thing_id: FromPath[str], context: NamedDependency[Resources]) -> None:
    event = JobCreated(job_id=thing_id, hirer_id=thing_id)
    await context.mongo.transact(lambda: context.events.append(event, subject=f"job:{thing_id}"))


@post("/api/v1/things/fault", operation_id="FailThing")
async def fail_thing() -> None:
    raise ZeroDivisionError("a secret of the house")


RULES: policy.Policy = {
    "CreateThing": policy.roles(Role.HIRER),
    "AddThing": policy.SIGNED_IN,
    "AddPair": policy.SIGNED_IN,
    "ListThings": policy.PUBLIC,
    "CountThings": policy.services("user"),
    "NoteThing": policy.services("job"),
    "FailThing": policy.SIGNED_IN,
}


@asynccontextmanager
async def open_context(settings: ThingSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings, (ThingDocument,)) as resources:
        yield resources


def create_app(settings: ThingSettings) -> Litestar:
    return service_app(
        settings,
        open_context=partial(open_context, settings),
        controllers=[create_thing, add_thing, add_pair, list_things, count_things, note_thing, fail_thing],
        rules=RULES,
        title="Things",
    )
