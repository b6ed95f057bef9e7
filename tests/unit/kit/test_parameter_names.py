"""Faults of parameters are told by the names that clients send."""

from typing import Annotated

import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from kelmah.kit import problem
from tests.fixtures.service import request


@get("/places")
async def find_places(
    radius_km: Annotated[float, QueryParameter(name="radiusKm", ge=1)],
    page: Annotated[int, QueryParameter(ge=1)] = 1,
) -> None:
    """Find places."""


async def provide_span(days_ago: Annotated[int, QueryParameter(name="daysAgo", ge=1)]) -> int:
    return days_ago


@get("/visits", dependencies={"span": Provide(provide_span)})
async def find_visits(span: NamedDependency[int]) -> None:
    """Find visits."""


async def test_a_fault_in_a_dependency_is_named_as_it_was_sent() -> None:
    app = Litestar([find_visits], exception_handlers={Exception: problem.render}, openapi_config=None)
    reply = await request(app, "GET", "/visits?daysAgo=0", {}, b"")
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, ["daysAgo"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("radiusKm=0", "radiusKm"),
        ("radiusKm=near", "radiusKm"),
        ("radiusKm=5&page=0", "page"),
    ],
)
async def test_a_fault_is_named_as_it_was_sent(query: str, field: str) -> None:
    app = Litestar([find_places], exception_handlers={Exception: problem.render}, openapi_config=None)
    reply = await request(app, "GET", f"/places?{query}", {}, b"")
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
