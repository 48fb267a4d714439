"""The spawner's metrics on JupyterHub's endpoint."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY, generate_latest

from yarnspawner.common import metrics


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_stages() -> None:
    """Each stage counts once, when the next begins."""
    before = {stage: value("yarnspawner_start_stage_seconds_count", stage=stage) for stage in ("queue", "listen")}
    clock = metrics.StageClock("queue")
    for stage in ("listen", "listen", "", ""):
        clock.next(stage)
    for stage, count in before.items():
        assert value("yarnspawner_start_stage_seconds_count", stage=stage) == count + 1


def test_calls() -> None:
    """A call counts by its short name and its outcome."""
    before = value("yarnspawner_call_seconds_count", method="tested", outcome="failed")
    with pytest.raises(KeyError), metrics.timed_call("/skein.Driver/tested"):
        raise KeyError
    with metrics.timed_call("/skein.Driver/tested"):
        pass
    assert value("yarnspawner_call_seconds_count", method="tested", outcome="failed") == before + 1
    assert value("yarnspawner_call_seconds_count", method="tested", outcome="ok") >= 1


def test_endpoint() -> None:
    """They are in the registry that JupyterHub serves."""
    assert b"yarnspawner_drivers" in generate_latest()
