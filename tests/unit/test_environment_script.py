"""Where scripts/environment keeps its virtual environments."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "environment.py"


def test_each_interpreter_has_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Python must not rebuild the environment that a demo is running in."""
    spec = importlib.util.spec_from_file_location("environment_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    here = script.place("6")
    assert script.place("6") == here
    monkeypatch.setattr(sys, "executable", "/opt/another/bin/python3")
    assert script.place("6") not in {here, script.place("5")}
