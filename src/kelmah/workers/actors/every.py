"""Actors that every service has."""

from typing import Any

from kelmah import services
from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.events import Envelope
from kelmah.workers.registry import on_event


async def erase_event_key(context: Any, envelope: Envelope, event: AccountDeleted) -> None:
    """Make what events say of a person's address and device unreadable. A key that is gone stays gone."""
    await context.events.people.erase(event.user_id)


for service in services.NAMES:
    on_event(f"{service}.erase_event_key", AccountDeleted, erase_event_key)
