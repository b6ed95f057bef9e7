"""The environment of a development platform: addresses, and secrets that are made once and kept beside its data."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from kelmah import services
from kelmah.cli.backends import Fleet
from kelmah.cli.backends.stripe import API_KEY
from kelmah.kit.signing import derive_pair_key

#: The addresses of the seed document.
PORTS = {"gateway": 5000, "auth": 3001, "user": 3002, "messaging": 3003, "job": 3004, "payment": 3005, "review": 3006}
APPS = tuple(PORTS)
#: Where a kept platform lives, below the current directory.
HOME = Path(".kelmah")
#: What the processes of a running platform were told; in its directory, for its owner only.
ENVIRONMENT_FILE = "environment.json"


def found_environment() -> dict[str, str]:
    """This process's environment, with the variables of the platform that runs in this directory where none is set."""
    try:
        kept: dict[str, str] = json.loads((HOME / ENVIRONMENT_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {}
    return kept | os.environ


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def keep_secrets(path: Path) -> dict[str, str]:
    """The platform's secrets: those in the file, or new ones put there, readable by the owner only."""
    if path.exists():
        return {str(name): str(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    made = {"calls": secrets.token_urlsafe(32), "webhooks": f"whsec_{secrets.token_urlsafe(24)}"}
    made |= {f"field_{name}": base64.b64encode(secrets.token_bytes(32)).decode() for name in services.NAMES}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(made, indent=2))
    return made


def environment(
    fleet: Fleet, kept: Mapping[str, str], ports: Mapping[str, int], *, redis_prefix: str = "kelmah"
) -> dict[str, str]:
    """Every variable of every process. Each process reads its own; in production each gets only those."""
    found = {name: backend.url for name, backend in fleet.backends.items()}
    gateway = f"http://127.0.0.1:{ports['gateway']}"
    variables = {
        "KELMAH_ENVIRONMENT": "development",
        "KELMAH_MONGO_URL": found["mongo"],
        "KELMAH_REDIS_URL": found["redis"],
        "KELMAH_REDIS_PREFIX": redis_prefix,
        "KELMAH_PUBLIC_URL": gateway,
        "KELMAH_SERVICE_URLS": json.dumps({name: [f"http://127.0.0.1:{ports[name]}"] for name in services.NAMES}),
        "KELMAH_SMTP_URL": found["mail"],
        "KELMAH_MAIL_SENDER": "Kelmah <no-reply@kelmah.example>",
        "KELMAH_ALLOWED_ORIGINS": json.dumps([gateway]),
        "KELMAH_PAYMENT_STRIPE_API_KEY": API_KEY,
        "KELMAH_PAYMENT_STRIPE_BASE_URL": found["stripe"],
        "KELMAH_PAYMENT_STRIPE_WEBHOOK_SECRETS": json.dumps([kept["webhooks"]]),
    }
    if "rabbitmq" in found:
        variables["KELMAH_AMQP_URL"] = found["rabbitmq"]
    for name in APPS:
        own = f"KELMAH_{name.upper()}_"
        variables[own + "PORT"] = str(ports[name])
        variables[own + "INCOMING_KEYS"] = json.dumps(_keys(kept, [(other, name) for other in APPS if other != name]))
        variables[own + "OUTGOING_KEYS"] = json.dumps(_keys(kept, [(name, other) for other in APPS if other != name]))
        if name in services.NAMES:
            variables[own + "FIELD_KEYS"] = json.dumps([kept[f"field_{name}"]])
    return variables


def _keys(kept: Mapping[str, str], pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Keys of these (caller, callee) pairs by the name that is not shared by all of them."""
    callers = {caller for caller, _ in pairs}
    return {
        (callee if len(callers) == 1 else caller): [derive_pair_key(kept["calls"], caller, callee)]
        for caller, callee in pairs
    }
