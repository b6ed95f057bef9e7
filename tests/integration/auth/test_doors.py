"""Nobody comes in whom the policy does not name, at any operation of the auth service."""

from kelmah.services.auth.controllers import POLICY
from tests.fixtures.doors import check_doors
from tests.fixtures.service import Service


async def test_who_is_not_named_is_refused_everywhere(auth: Service) -> None:
    await check_doors(auth, POLICY)
