"""Who calls: what every operation that counts attempts or begins sessions depends on."""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter

from kelmah.services.auth import service
from kelmah.services.auth.service import Client

#: Bodies and answers hold passwords or tokens, of which nothing is kept for a replay.
SECRET = {"idempotency": "off"}

Device = Annotated[
    str | None,
    HeaderParameter(
        name="kelmah-device",
        pattern=r"^[A-Za-z0-9_-]{16,128}\Z",
        description="A random name of this device that the client keeps. On a known device its owner is not locked "
        "out by strangers' attempts, and two tabs may refresh with one token.",
    ),
]


async def provide_client(
    request: Request[Any, Any, Any], context: NamedDependency[Any], device: Device = None
) -> Client:
    """Who calls, as the gateway saw it: it overwrites the address, and nothing else reaches this service.

    `context`: as for `kit.policy.provide_principal`.
    """
    return service.client_of(
        forwarded_for=request.headers.get("x-forwarded-for"),
        user_agent=request.headers.get("user-agent"),
        device=device,
        languages=request.headers.get("accept-language"),
    )


CLIENT = {"client": Provide(provide_client)}
