"""One Litestar app and one Mongo database a service; loaded by name, so that a process imports only its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, NamedTuple

from beanie import Document
from litestar import Litestar

from kelmah.kit.settings import ServiceSettings

NAMES = ("auth", "user", "messaging", "job", "payment", "review")


class Service(NamedTuple):
    """What the composition roots need of a service."""

    settings: type[ServiceSettings]
    create_app: Callable[..., Litestar]
    open_context: Callable[..., AbstractAsyncContextManager[Any]]
    documents: tuple[type[Document], ...]


def load(name: str) -> Service:
    """Import one service."""
    app = import_module(f"kelmah.services.{name}.app")
    settings = import_module(f"kelmah.services.{name}.settings")
    documents = import_module(f"kelmah.services.{name}.documents")
    return Service(
        settings=getattr(settings, f"{name.capitalize()}Settings"),
        create_app=app.create_app,
        open_context=app.open_context,
        documents=documents.DOCUMENTS,
    )


def rebuild_of(name: str) -> Callable[..., AsyncIterator[Any]] | None:
    """The service's `rebuild(context, *, check)`, if it keeps projections: yields `Difference`s, and `Tally`s."""
    service = import_module(f"kelmah.services.{name}.service")
    return getattr(service, "rebuild", None)
