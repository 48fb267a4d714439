"""Where scripts/environment keeps its virtual environments."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "environment.py"


def test_environment_per_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Python has an environment of its own, so it does not rebuild the one that a demo runs in."""
    spec = importlib.util.spec_from_file_location("environment_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    here = script.place("6")
    assert script.place("6") == here
    monkeypatch.setattr(sys, "executable", "/opt/another/bin/python3")
    assert script.place("6") not in {here, script.place("5")}
