"""Daemons that are stopped, killed and suspended, and what they know when they come back."""

from __future__ import annotations

import os
import time

import pytest

from localhadoop import LocalHadoopError

HOLD = 'echo "pid $$"; sleep 300'


@pytest.mark.full
@pytest.mark.parametrize("kind", ["simple", "kerberos"])
def test_killed_daemons_keep_state(kind, request, driver):
    """Daemons that are killed at the same time start again with their files, applications and containers."""
    cluster = request.getfixturevalue(f"{kind}_cluster")
    skein = driver(cluster)
    cluster.hdfs("-touch", "/tmp/kept")
    application = skein.submit(HOLD)
    assert skein.wait(application, "RUNNING") == "RUNNING"
    [before] = [found for found in cluster.applications() if found["id"] == application]
    container = wait_until(lambda: running(cluster, "sleep 300"))
    old = {name: daemon.pid for name, daemon in cluster.daemons.items()}
    for daemon in cluster.daemons.values():
        daemon.kill()
        assert not daemon.running
    for name in cluster.daemons:
        cluster.daemons[name].start()
    cluster.wait_ready()
    assert all(daemon.pid != old[name] for name, daemon in cluster.daemons.items())
    assert "/tmp/kept" in cluster.hdfs("-ls", "/tmp")
    assert running(cluster, "sleep 300") == container, "the container went on meanwhile"
    # A ResourceManager that comes back calls it ACCEPTED until its master has registered again.
    assert skein.wait(application, "RUNNING") == "RUNNING"
    [after] = [found for found in cluster.applications() if found["id"] == application]
    assert (after["state"], after["startedTime"]) == ("RUNNING", before["startedTime"])
    skein.client.kill_application(application)
    assert skein.wait(application) == "KILLED"
    wait_until(lambda: not running(cluster, "sleep 300"))
    cluster.hdfs("-rm", "-skipTrash", "/tmp/kept")


@pytest.mark.full
def test_stopped_node_manager(simple_cluster, driver):
    """A NodeManager that stops normally keeps its containers, and they still run after its restart."""
    skein = driver(simple_cluster)
    application = skein.submit(HOLD)
    assert skein.wait(application, "RUNNING") == "RUNNING"
    container = wait_until(lambda: running(simple_cluster, "sleep 300"))
    for manager in simple_cluster.node_managers:
        manager.stop()
        assert manager.exit_status is not None
        assert manager.pid is None
    assert running(simple_cluster, "sleep 300") == container
    for manager in simple_cluster.node_managers:
        manager.start()
    simple_cluster.wait_ready()
    assert running(simple_cluster, "sleep 300") == container
    assert skein.state(application) == "RUNNING"
    skein.client.kill_application(application)


def test_suspended_daemon(simple_cluster):
    """A suspended daemon does not answer until it is resumed."""
    manager = simple_cluster.daemons["resourcemanager"]
    manager.suspend()
    with pytest.raises(LocalHadoopError, match="does not answer"):
        simple_cluster.get(f"{simple_cluster.resource_manager_url}/ws/v1/cluster/info", timeout=2)
    assert manager.running
    manager.resume()
    simple_cluster.wait_ready()


def test_start_twice_kill_twice(simple_cluster):
    """A running daemon cannot be started, and a dead daemon can be killed and stopped again."""
    datanode = simple_cluster.daemons["datanode"]
    with pytest.raises(LocalHadoopError, match="datanode is running already"):
        datanode.start()
    datanode.kill()
    datanode.kill()
    datanode.stop()
    assert datanode.exit_status == -9
    with pytest.raises(LocalHadoopError, match="datanode is not running"):
        datanode.suspend()
    with pytest.raises(LocalHadoopError, match="datanode ended with status -9"):
        datanode.wait_ready(5)
    simple_cluster.restore()
    assert datanode.running


def running(cluster, command: str) -> set[int]:
    """The processes of containers that run ``command``."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                arguments = file.read().replace(b"\0", b" ").decode().strip()
            if arguments == command and str(cluster.directory) in os.readlink(f"/proc/{pid}/cwd"):
                found.add(int(pid))
        except OSError:
            continue
    return found


def wait_until(condition, timeout: float = 30):
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found
