"""Writes the secret files that the compose files mount: python compose/make_secrets.py compose/secrets.

What exists stays as it is, so that running it again adds only what is new. Secrets that others give you (Stripe,
mail) are left empty with a note: fill them in.
"""

import argparse
import base64
import json
import secrets
from pathlib import Path

SERVICES = ("auth", "user", "job", "messaging", "payment", "review")
MEMBERS = "mongo1:27017,mongo2:27017,mongo3:27017"
GIVEN_BY_OTHERS = ("payment_stripe_api_key", "payment_stripe_webhook_secrets", "smtp_url")


def server_secrets() -> dict[str, str]:
    """Passwords of the servers, and the URLs that carry them."""
    files = {
        "mongo_root_password": secrets.token_urlsafe(32),
        # Base64 of at most 1,024 characters is what mongod takes.
        "mongo_keyfile": base64.b64encode(secrets.token_bytes(512)).decode(),
    }
    legacy = secrets.token_urlsafe(32)
    files["postgres_password"] = legacy
    files["legacy_postgres_url"] = f"postgresql://kelmah:{legacy}@postgres:5432/kelmah"
    broker, cache = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    files["rabbitmq.conf"] = f"default_user = kelmah\ndefault_pass = {broker}\n"
    files["amqp_url"] = f"amqp://kelmah:{broker}@rabbitmq:5672/%2F"
    files["redis_conf"] = f"requirepass {cache}\n"
    files["redis_url"] = f"redis://:{cache}@redis:6379/0"
    for name in SERVICES:
        password = secrets.token_urlsafe(32)
        database = f"kelmah_{name}"
        files[f"{name}_mongo_url"] = (
            f"mongodb://{name}:{password}@{MEMBERS}/{database}?replicaSet=rs0&authSource={database}"
        )
    return files


def field_keys() -> dict[str, str]:
    """The keys that encrypt personal data, one a service. Losing one loses the data."""
    return {f"{name}_field_keys": json.dumps([base64.b64encode(secrets.token_bytes(32)).decode()]) for name in SERVICES}


def call_keys() -> dict[str, str]:
    """One key for each pair of caller and callee; both sides get the same, in files of their own."""
    apps = ("gateway", *SERVICES)
    pairs = {(caller, callee): secrets.token_urlsafe(32) for caller in apps for callee in SERVICES if caller != callee}
    files = {}
    for app in apps:
        files[f"{app}_incoming_keys"] = json.dumps({a: [key] for (a, b), key in pairs.items() if b == app})
        files[f"{app}_outgoing_keys"] = json.dumps({b: [key] for (a, b), key in pairs.items() if a == app})
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    # Others must not list the directory; the containers' users must be able to read a file mounted from it.
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for files in (server_secrets(), field_keys(), call_keys()):
        # Files that belong together, such as the two sides of a key, are made together or not at all.
        if any((directory / name).exists() for name in files):
            continue
        for name, text in files.items():
            write(directory / name, text)
    for name in GIVEN_BY_OTHERS:
        if not (directory / name).exists():
            write(directory / name, "")
            print(f"{directory / name} is empty: fill it in")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o444)


if __name__ == "__main__":
    main()
