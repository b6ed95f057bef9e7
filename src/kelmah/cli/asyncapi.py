"""The AsyncAPI 3.0 document of the events: every type with its schema, who tells of it and who hears of it."""

from typing import Any

import msgspec

from kelmah.contracts.events import EVENT_TYPES, Envelope
from kelmah.workers.publisher import CLOUDEVENTS, EXCHANGE
from kelmah.workers.registry import load_actors


def document() -> dict[str, Any]:
    """One channel an event type, as a routing key of the exchange; producers and consumers are in its operations."""
    hearers = load_actors().subscriptions
    events = list(EVENT_TYPES.values())
    _, schemas = msgspec.json.schema_components([Envelope, *events], ref_template="#/components/schemas/{name}")
    channels, operations, messages = {}, {}, {}
    for name, event in EVENT_TYPES.items():
        producer = name.partition(".")[0]
        channels[name] = {
            "address": name,
            "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
            "bindings": {
                "amqp": {"is": "routingKey", "exchange": {"name": EXCHANGE, "type": "topic", "durable": True}}
            },
        }
        operations[f"{producer}/tell/{name}"] = _operation("send", name, producer)
        for actor in hearers.get(name, ()):
            operations[f"{actor.name}/hear/{name}"] = _operation("receive", name, actor.service)
        messages[event.__name__] = _message(name, event)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kelmah events",
            "version": "1",
            "description": "CloudEvents 1.0 in JSON. Each arrives at least once, and in order within its subject.",
        },
        "defaultContentType": CLOUDEVENTS,
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas, "messages": messages},
    }


def _operation(action: str, name: str, service: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "tags": [{"name": service}]}


def _message(name: str, event: type[msgspec.Struct]) -> dict[str, Any]:
    own = {"properties": {"type": {"const": name}, "data": {"$ref": f"#/components/schemas/{event.__name__}"}}}
    summary = (event.__doc__ or "").strip().splitlines()[0]
    return {"name": name, "summary": summary, "payload": {"allOf": [{"$ref": "#/components/schemas/Envelope"}, own]}}
