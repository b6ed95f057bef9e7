"""Faults of parameters are told by the names that clients send."""

from typing import Annotated

import pytest
from litestar import Litestar, get
from litestar.params import QueryParameter

from kelmah.kit import problem
from tests.fixtures.service import request


@get("/places")
async def find_places(
    radius_km: Annotated[float, QueryParameter(name="radiusKm", ge=1)],
    page: Annotated[int, QueryParameter(ge=1)] = 1,
) -> None:
    """Find places."""


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
