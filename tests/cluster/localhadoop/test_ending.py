"""A cluster ends with the program that started it, however that dies, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localhadoop import LocalHadoop
from localhadoop.supervisor import descendants

PROGRAM = """
import os, sys, time
from localhadoop import LocalHadoop
with LocalHadoop() as cluster:
    os.environ.update(cluster.environment())
    print(cluster.directory, flush=True)
    {then}
"""

#: Whoever holds the cluster dies here with containers under way.
WITH_A_CONTAINER = """
    import skein
    client = skein.Client(log=False)
    client.submit(skein.ApplicationSpec(name="t", user="alice", master=skein.Master(
        resources=skein.Resources(memory=512, vcores=1), script="sleep 300")))
    while not any(a["state"] == "RUNNING" for a in cluster.applications()):
        time.sleep(0.3)
    time.sleep(1)
    print("running", flush=True)
    time.sleep(300)
"""


def of_cluster(folder: str) -> set[int]:
    """The processes that belong to a cluster: its folder is in their command, folder or environment."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        process = Path("/proc") / pid
        try:
            known = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
            if (folder.encode() in known or folder in os.readlink(process / "cwd")) and int(pid) != os.getpid():
                found.add(int(pid))
        except OSError:
            continue
    return found


def wait_for_nothing(folder: str, timeout: float = 20) -> None:
    end = time.monotonic() + timeout
    while left := of_cluster(folder):
        assert time.monotonic() < end, [Path(f"/proc/{pid}/cmdline").read_bytes()[:200] for pid in left]
        time.sleep(0.1)
    assert not Path(folder).exists()


@pytest.fixture
def program(tmp_path):
    """A program in a session of its own that starts a cluster; killed at the end if it is still there."""
    started = []

    def start(then: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(then=then)],
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), "SKEIN_CONFIG": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.full
def test_killed_program_group(program):
    """A program that is killed with its whole process group leaves no process of the cluster."""
    process, folder = program(WITH_A_CONTAINER.lstrip())
    assert process.stdout.readline().strip() == "running"
    assert len(of_cluster(folder)) >= 8
    os.killpg(process.pid, signal.SIGKILL)
    wait_for_nothing(folder)


def test_failed_program(program):
    """A program that fails leaves no process of the cluster."""
    process, folder = program("raise SystemExit(5)")
    assert process.wait(30) == 5
    wait_for_nothing(folder, timeout=1)


@pytest.mark.full
def test_killed_supervisor_or_guard():
    """The death of the supervisor or of the guard leaves no process of the cluster."""
    for which in ("supervisor", "guard"):
        with LocalHadoop() as cluster:
            folder = str(cluster.directory)
            guard = cluster.control.guard()
            [supervisor] = [
                pid for pid in descendants(guard) if b"supervisor.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            os.kill(guard if which == "guard" else supervisor, signal.SIGKILL)
            end = time.monotonic() + 20
            while of_cluster(folder):
                assert time.monotonic() < end
                time.sleep(0.1)


@pytest.mark.full
def test_two_clusters_side_by_side(simple_cluster):
    """Two clusters run at the same time without a shared port, file or node."""
    with LocalHadoop() as other:
        assert not set(other.settings.ports.values()) & set(simple_cluster.settings.ports.values())
        other.hdfs("-touch", "/tmp/only-here")
        assert "only-here" not in simple_cluster.hdfs("-ls", "/tmp")
        ours = other.nodes()[0]["id"]
        assert ours not in [node["id"] for node in simple_cluster.nodes()]
        folder = str(other.directory)
    assert not of_cluster(folder)
    simple_cluster.wait_ready()
