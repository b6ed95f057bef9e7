"""Alerts are about metrics that there are, and each has its place in the runbooks."""

import re
from pathlib import Path
from typing import Any

import yaml

from kelmah.kit.observe import Metrics
from kelmah.workers import metrics as workers_metrics

ROOT = Path(__file__).parents[2]


def alerts() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / "compose" / "alerts.yaml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def samples() -> set[str]:
    """The names of all series that our processes show, of which one with labels shows none before it has some."""
    app = Metrics()
    app.record("GET", "jobs.list", 200, 0.1)
    families = [one for registry in (app.registry, workers_metrics.registry) for one in registry.collect()]
    ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {family.name + end for family in families for end in ends[family.type]}


def test_each_is_about_a_series_that_is_there() -> None:
    named = {name for rule in alerts() for name in re.findall(r"\bkelmah_\w+", rule["expr"])}
    assert len(named) == 9
    assert named <= samples()


def test_each_says_what_to_do() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text()
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["runbook"] in headings, rule["alert"]
