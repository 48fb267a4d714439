"""The demo's check on each version of Hadoop and cluster; with ``--record`` the results make docs/compatibility.md."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localhadoop.fixtures import why_no_kerberos
from localhadoop.jars import Lock
from tests.support import compatibility

CHECKOUT = Path(__file__).resolve().parents[2]
CLUSTERS = {
    "simple": [],
    "Kerberos": ["--kerberos"],
    "simple, strict": ["--strict"],
    "Kerberos, strict": ["--kerberos", "--strict"],
}


@pytest.mark.full
@pytest.mark.timeout(420)
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("hadoop", ["3.1", "3.2", "3.3", "3.4", "3.5"])
def test_compatibility(hadoop: str, cluster: str, pytestconfig: pytest.Config) -> None:
    """A user logs in, starts a server, runs cells, uses HDFS and stops, and YARN reports success."""
    if "Kerberos" in cluster and (reason := why_no_kerberos()):
        pytest.skip(reason)
    began = time.monotonic()
    command = [sys.executable, "-m", "demo", "--check", "--hadoop", hadoop, *CLUSTERS[cluster]]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=400, check=False)
    seconds = time.monotonic() - began
    if pytestconfig.getoption("--record"):
        java = re.search(r"on Java (\d+)", done.stdout)
        result = "passed" if done.returncode == 0 else "failed"
        row = compatibility.row(Lock.of(hadoop).version, cluster, java[1] if java else "", result, seconds)
        compatibility.PAGE.write_text(compatibility.with_row(compatibility.PAGE.read_text(), row))
    assert done.returncode == 0, done.stdout + done.stderr
