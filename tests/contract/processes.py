"""What the containers' descriptions, of either engine, say of our processes."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kelmah import services
from kelmah.gateway.settings import GatewaySettings
from kelmah.kit.settings import load
from kelmah.workers.settings import WorkersSettings

COMPOSE = Path(__file__).parents[2] / "compose"
SERVICES = {"auth", "user", "job", "messaging", "payment", "review"}
APPS = {"gateway", *SERVICES, "workers"}
#: Those of our image: the apps, and what runs once before them.
OURS = {*APPS, "indexes"}
_GIVEN = {"payment_stripe_api_key": "sk", "payment_stripe_webhook_secrets": '["whsec"]', "smtp_url": "smtp://mail"}


def make_secrets(folder: Path) -> None:
    """The files that processes are given, those of others filled in."""
    subprocess.run([sys.executable, str(COMPOSE / "make_secrets.py"), str(folder)], check=True, capture_output=True)
    for name, text in _GIVEN.items():
        (folder / name).chmod(0o600)
        (folder / name).write_text(text)


def take_settings(process: str, env: Mapping[str, str], secrets: Path) -> None:
    """As the process does when it starts: no variable that is not known, none missing that it needs."""
    env = {name: text.replace("/run/secrets", str(secrets)) for name, text in env.items()}
    for name in SERVICES if process in {"workers", "indexes"} else {process} & SERVICES:
        load(services.load(name).settings, env)
    if process == "gateway":
        load(GatewaySettings, env)
    if process == "workers":
        load(WorkersSettings, env)
