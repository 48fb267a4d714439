"""The hubs' configurations of the cluster tests wrap methods of the package. Their names must exist."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CONFIGURATIONS = sorted(CHECKOUT.glob("tests/support/jupyterhub_config_*.py"))
LOAD = """
import sys
from traitlets.config.loader import PyFileConfigLoader
PyFileConfigLoader(sys.argv[1]).load_config()
"""


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.stem)
def test_configuration_loads(file: Path, tmp_path: Path) -> None:
    """Each configuration of the cluster tests can be loaded."""
    settings = {
        "EXAMPLE_CONFIGURATION": str(CHECKOUT / "jupyterhub_config.example.py"),
        "YARNSPAWNER_STATE": str(tmp_path),
        "YARNSPAWNER_PROXY_API_URL": "http://127.0.0.1:18001",
        "STORM_USERS": "alice bob",
        "TEST_JUPYTER_PATH": str(tmp_path),
        "YARNSPAWNER_DEMO_PASSWORD": "a-password",
        "YARNSPAWNER_DEMO_ADMIN_PASSWORD": "another-password-of-some-length-1234",
    }
    command = [sys.executable, "-c", LOAD, str(file)]
    done = subprocess.run(
        command, env={**os.environ, **settings}, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
