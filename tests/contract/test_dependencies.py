"""What operations are given is made one after the other: for two things at once Litestar starts a group of tasks.

That costs more than all else that Litestar does. A dependency that needs no other asks for `context`.
"""

import pytest
from litestar.routes import HTTPRoute

from kelmah import services
from kelmah.cli.contracts import service_app


@pytest.mark.parametrize("name", services.NAMES)
def test_no_operation_is_given_two_things_at_once(name: str) -> None:
    groups = {
        handler.operation_id: sorted(one.key for one in batch)
        for route in service_app(name).routes
        if isinstance(route, HTTPRoute)
        for handler, parameters in route.route_handler_map.values()
        for batch in parameters.dependency_batches
        if len(batch) > 1
    }
    # Who asks for a password waits for its hash anyway.
    assert all(group == ["client", "principal"] for group in groups.values()), groups
