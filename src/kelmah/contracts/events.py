"""The envelope that carries every event, and the registry of all event types."""

from datetime import datetime

import msgspec

from kelmah.contracts import auth, job, messaging, operators, payment, review, user
from kelmah.contracts.common import Contract, Event

SPEC_VERSION = "1.0"


class UnknownEventError(Exception):
    """The event's type or version is not one that this process knows. It is parked, never dropped."""


class Envelope(Contract, frozen=True, kw_only=True):
    """A CloudEvents 1.0 envelope. `sequence` counts from 1 within `subject` and has no gaps.

    `actor` is who did it: a person's id, `system:<actor or service>` for what the platform does by itself,
    `operator:<login name>` for the command line of the machine room, null for somebody who is not signed in.
    `address` and `device` say from where, sealed under the key of `person`: readable in the source service only.
    """

    specversion: str = SPEC_VERSION
    id: str
    source: str
    type: str
    time: datetime
    subject: str
    sequence: int
    data: msgspec.Raw
    datacontenttype: str = "application/json"
    correlationid: str
    causationid: str | None = None
    traceparent: str | None = None
    actor: str | None = None
    requestid: str | None = None
    person: str | None = None
    address: str | None = None
    device: str | None = None


def _event_types() -> dict[str, type[Event]]:
    found: dict[str, type[Event]] = {}
    for module in (auth, user, job, messaging, payment, review, operators):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Event) and "TYPE" in vars(value):
                found[value.TYPE] = value
    return dict(sorted(found.items()))


EVENT_TYPES = _event_types()


def decode(envelope: Envelope) -> Event:
    """The event inside an envelope.

    Raises:
        UnknownEventError: the type or version is not known here.
        msgspec.ValidationError: the data does not fit its type.
    """
    event_type = EVENT_TYPES.get(envelope.type)
    if event_type is None:
        raise UnknownEventError(envelope.type)
    return msgspec.json.decode(envelope.data, type=event_type)
