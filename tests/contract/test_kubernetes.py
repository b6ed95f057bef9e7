"""The Kubernetes manifests say of each process what the compose file of production says of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.processes import APPS, COMPOSE, OURS, SERVICES, make_secrets, take_settings

MANIFESTS = COMPOSE / "kubernetes"

Document = dict[str, Any]


def read(name: str) -> list[Document]:
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def kustomization() -> Document:
    return read("kustomization.yaml")[0]


def every(kind: str) -> dict[str, Document]:
    documents = [one for name in kustomization()["resources"] for one in read(name)]
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def pods() -> dict[str, Document]:
    """Of each process of ours, as it is before the patches."""
    return {name: one["spec"]["template"]["spec"] for name, one in (every("Deployment") | every("Job")).items()}


def production() -> Document:
    loaded: Document = yaml.safe_load((COMPOSE / "compose.prod.yaml").read_text())["services"]
    return loaded


def callers(policy: Document) -> set[str]:
    return set(policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"])


def test_every_file_is_used() -> None:
    text = yaml.safe_dump(kustomization())
    assert {path.name for path in MANIFESTS.iterdir()} == set(re.findall(r"\w+\.(?:yaml|env)", text)) | {
        "kustomization.yaml"
    }


def test_all_processes_are_there() -> None:
    assert pods().keys() == OURS
    for name in OURS - {"indexes"}:
        assert every("Deployment")[name]["spec"]["selector"]["matchLabels"] == {"app": name}
        assert every("HorizontalPodAutoscaler")[name]["spec"]["scaleTargetRef"]["name"] == name
        assert every("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == {"app": name}
    for name in OURS - {"indexes", "workers"}:
        assert every("Service")[name]["spec"]["selector"] == {"app": name}
        assert every("Deployment")[name]["metadata"]["labels"] == {"serves": "http"}


def test_each_process_is_confined_and_limited() -> None:
    laid_over = {(patch["path"], patch["target"]["kind"]) for patch in kustomization()["patches"]}
    assert {("process.yaml", "Deployment"), ("process.yaml", "Job"), ("serving.yaml", "Deployment")} == laid_over
    for pod in pods().values():
        (container,) = pod["containers"]
        assert container["name"] == "app"  # by which the patches find it
        assert container.keys() <= {"name", "command", "args", "ports", "env", "readinessProbe"}
        assert pod.keys() <= {"containers", "volumes", "restartPolicy"}
    pod = read("process.yaml")[0]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_process_has_the_secrets_and_settings_of_its_container(name: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    pod = pods()[name]
    (secrets,) = pod["volumes"]
    items = [item["key"] for item in secrets["secret"]["items"]]
    assert sorted(items) == sorted(production()[name]["secrets"])
    common = dict(line.split("=", 1) for line in (MANIFESTS / "settings.env").read_text().splitlines())
    own = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert {text.removeprefix("/run/secrets/") for text in own.values() if text.startswith("/")} == set(items)
    take_settings(name, common | own, tmp_path)


def test_only_those_who_call_a_service_reach_it() -> None:
    policies = every("NetworkPolicy")
    assert policies["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name in SERVICES:
        assert policies[name]["spec"]["podSelector"] == {"matchLabels": {"app": name}}
        joined = {other for other in APPS if f"calls-{name}" in production()[other]["networks"]}
        assert callers(policies[name]) == joined - {name}
    for policy, network in (("outside", "outside"), ("scanner", "scan"), ("broker", "broker")):
        selector = policies[policy]["spec"]["podSelector"]
        chosen = selector.get("matchExpressions", [{"values": [selector.get("matchLabels", {}).get("app")]}])
        assert set(chosen[0]["values"]) == {app for app in APPS if network in production()[app]["networks"]}


def test_a_process_that_serves_leaves_when_another_is_ready() -> None:
    spec = read("serving.yaml")[0]["spec"]
    assert spec["strategy"] == {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    probes = spec["template"]["spec"]["containers"][0]
    paths = {name: probes[name]["httpGet"]["path"] for name in probes if name.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
