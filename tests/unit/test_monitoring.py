"""The dashboard and the alert rules name metrics, labels and documents that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jupyterhub.metrics  # noqa: F401 - JupyterHub's own metrics are in the same registry
import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from tests.support.documentation import ROOT
from yarnspawner.common import metrics

GRAFANA = ROOT / "contrib" / "grafana"
DASHBOARD = json.loads((GRAFANA / "yarnspawner-dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((GRAFANA / "yarnspawner-alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
NAME = re.compile(r"\b(?:yarnspawner|jupyterhub)_[a-z_]+\b")


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


def known_names() -> set[str]:
    """The names of samples that Prometheus stores of all metrics in the hub's process."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"], "info": ["_info"]}
    return {
        f"{metric.name}{suffix}"
        for metric in REGISTRY.collect()
        for suffix in suffixes.get(metric.type, ["", "_count"])
    }


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_metrics_exist(where: str, expression: str) -> None:
    """Each metric in an expression exists."""
    names = set(NAME.findall(expression))
    assert names and names <= known_names()


def test_labels_exist() -> None:
    """The values of labels in expressions are those that the package sets."""
    text = " ".join(expression for _, expression in expressions())
    package = " ".join(file.read_text() for file in sorted((ROOT / "yarnspawner").rglob("*.py")))
    values = set(re.findall(r'(?:event|stage|outcome)="([a-z]+)"', text))
    values |= {method for group in re.findall(r'method=~"([^"]+)"', text) for method in group.split("|")}
    assert len(values) > 8
    assert [value for value in values if f'"{value}"' not in package] == []


def test_all_metrics_are_used() -> None:
    """The dashboard or an alert uses each of the package's metrics."""
    text = " ".join(expression for _, expression in expressions())
    own = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    assert len(own) == 8
    assert [one._name for one in own if one._name not in text] == []


def test_alerts() -> None:
    """Each alert says what is wrong, and what to do about it."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 8
    for rule in RULES:
        notes: dict[str, Any] = rule["annotations"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert len(notes["summary"]) > 30 and len(notes["action"]) > 30, rule["alert"]
        for page in re.findall(r"docs/[a-z]+\.md", notes["action"]):
            assert (ROOT / page).exists()


def test_panels() -> None:
    """No panel covers another one."""
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(cells)[0] < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
