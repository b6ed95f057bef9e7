"""`kelmah contracts export`: the schemas that consumers build on, made from the code and kept in the repository."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar

from kelmah import services
from kelmah.cli import asyncapi, job_docs, legacy_docs
from kelmah.cli.asgi import settings_class
from kelmah.contracts.events import EVENT_TYPES, Envelope
from kelmah.contracts.messaging import ClientFrame, ServerFrame
from kelmah.gateway import errors as _gateway_errors  # noqa: F401  # so that its codes are on the page
from kelmah.gateway import openapi, routes
from kelmah.kit.errors import every_error

SCHEMAS = Path("docs/contracts")
OPENAPI = Path("docs/openapi")
ASYNCAPI = Path("docs/asyncapi.json")
ERRORS = Path("docs/errors.md")
#: The gateway's own copy, served at /openapi.json.
SERVED = Path("src/kelmah/gateway/openapi.json")


def export(*, check: bool = False) -> None:
    """Write the events' JSON Schemas and AsyncAPI document, each app's OpenAPI document, and the error codes.

    Args:
        check: write nothing, and fail when a committed file is stale.
    """
    made = dict(_documents())
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left_over = [path for folder in (SCHEMAS, OPENAPI) for path in folder.glob("*.json") if path not in made]
    if check:
        if stale or left_over:
            names = ", ".join(sorted(str(path) for path in [*stale, *left_over]))
            sys.exit(f"stale: {names}. Run `kelmah contracts export` and commit what it writes.")
        return
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
    for path in left_over:
        path.unlink()
    print(f"{len(stale)} of {len(made)} files written, {len(left_over)} removed")  # noqa: T201  # the command's answer


def _documents() -> Iterator[tuple[Path, str]]:
    yield SCHEMAS / "envelope.json", _text(_schema(Envelope))
    for name, event in EVENT_TYPES.items():
        yield SCHEMAS / f"{name}.json", _text(_schema(event))
    yield SCHEMAS / "messaging.client_frame.json", _text(_schema(ClientFrame))
    yield SCHEMAS / "messaging.server_frame.json", _text(_schema(ServerFrame))

    yield ASYNCAPI, _text(asyncapi.document())
    documents = {name: service_openapi(name) for name in services.NAMES}
    for name, document in documents.items():
        yield OPENAPI / f"{name}.json", _text(document)
    table = routes.load()
    if missing := openapi.unrouted(documents, table):
        sys.exit("operations that no route of the gateway leads to: " + ", ".join(missing))
    if dead := openapi.unserved(documents, table):
        sys.exit("routes of the gateway that lead to no operation: " + ", ".join(dead))
    whole = _text(openapi.merge(documents, table))
    yield OPENAPI / "gateway.json", whole
    yield SERVED, whole
    yield ERRORS, _errors()
    yield from job_docs.pages()
    yield from legacy_docs.pages()


def service_openapi(name: str) -> dict[str, Any]:
    """One service's OpenAPI document."""
    return dict(_portable(service_app(name).openapi_schema.to_schema()))


def service_app(name: str) -> Litestar:
    """One service's app, made and not to be started."""
    settings = settings_class(name)
    values: dict[str, Any] = {
        "redis_url": "redis://unused",
        "mongo_url": "mongodb://unused",
        "incoming_keys": {},
        "outgoing_keys": {},
        "field_keys": [base64.b64encode(bytes(32)).decode()],
    }
    required = {field for field, info in settings.model_fields.items() if info.is_required()} - values.keys()
    return services.load(name).create_app(settings.model_validate(values | dict.fromkeys(required, "unused")))


def _portable(content: Any) -> Any:
    """With `$` for `\\Z` in patterns: in ECMA 262, which they follow there, only the first means the end."""
    if isinstance(content, dict):
        return {
            key: value.removesuffix("\\Z") + "$" * value.endswith("\\Z")
            if key == "pattern" and isinstance(value, str)
            else _portable(value)
            for key, value in content.items()
        }
    return [_portable(one) for one in content] if isinstance(content, list) else content


def _schema(struct: Any) -> dict[str, Any]:
    (reference,), components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **reference, "$defs": components}
    return dict(_portable(schema))


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _errors() -> str:
    known = {(error.code, error.status_code): error.title for error in every_error() if error.code != "internal"}
    rows = "\n".join(f"| `{code}` | {status} | {title} |" for (code, status), title in sorted(known.items()))
    return (
        "# Error codes\n\nEvery error is `application/problem+json` (RFC 9457). Switch on `code`; "
        "`detail` is for people. "
        "Made by `kelmah contracts export`.\n\n| code | status | meaning |\n|---|---|---|\n" + rows + "\n"
    )
