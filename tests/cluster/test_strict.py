"""The strict cluster, and the product on it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo.hub import Hub
from demo.visitor import Visitor
from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version, why_no_kerberos
from tests.support.hubs import log_of, running

pytestmark = pytest.mark.timeout(400)

# By the default, true, Hadoop 3.3 and later leave memory to cgroups, and check nothing where there are none.
POLLED = {"yarn.nodemanager.resource.memory.enforced": "false"}


@pytest.fixture(scope="module", params=["simple", pytest.param("kerberos", marks=pytest.mark.full)])
def strict(request: pytest.FixtureRequest) -> Iterator[LocalHadoop]:
    """A strict cluster of each kind, with a network of its own."""
    if reason := why_no_kerberos():
        pytest.skip(reason)
    kerberos = request.param == "kerberos"
    with LocalHadoop(kerberos=kerberos, strict=True, hadoop=hadoop_version(), properties=POLLED) as cluster:
        if not cluster.settings.isolated:
            pytest.skip("this machine has no namespaces")
        yield cluster


@pytest.fixture(scope="module")
def hub(strict: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(strict, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


def visitor(hub: Hub) -> Visitor:
    person = Visitor(hub.address, "alice", hub.password)
    person.log_in()
    return person


def connects(cluster: LocalHadoop, daemon: str, port: str) -> bool:
    try:
        socket.create_connection((cluster.settings.ip(daemon), cluster.settings.ports[port]), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.mark.full
def test_strict_demo() -> None:
    """The demo's check passes on a strict cluster, with Kerberos where this machine can have it."""
    kerberos = [] if why_no_kerberos() else ["--kerberos"]
    command = [sys.executable, "-m", "demo", "--check", "--strict", "--hadoop", hadoop_version(), *kerberos]
    folder = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "alice FINISHED SUCCEEDED" in done.stdout


def test_strict_firewall(strict: LocalHadoop) -> None:
    """Clients reach the documented ports; the NodeManager's own and the ResourceManager's for nodes are closed."""
    assert connects(strict, "resourcemanager", "resourcemanager")
    assert connects(strict, "namenode", "namenode-web")
    assert not connects(strict, "resourcemanager", "resourcemanager-tracker")
    assert not connects(strict, "nodemanager1", "nodemanager1")


def test_strict_clients(strict: LocalHadoop) -> None:
    """A client resolves the names, and no program in /tmp runs; this machine is not changed."""
    script = "getent hosts node1.hadoop.test && f=$(mktemp) && cp /bin/true $f && chmod +x $f && $f; echo $?; rm $f"
    said = strict.run(["sh", "-c", script], user="alice").stdout
    assert strict.settings.ip("nodemanager1") in said
    assert said.split()[-1] == "126"
    with pytest.raises(OSError, match=r"not known|resolution"):
        socket.getaddrinfo("node1.hadoop.test", 80)


def test_strict_server(hub: Hub, strict: LocalHadoop) -> None:
    """A server sees /tmp noexec and a node's name; the hub asks the ResourceManager over HTTPS without complaint."""
    alice = visitor(hub)
    list(alice.start())
    alice.open_lab()
    code = "import os, socket; print(bool(os.statvfs('/tmp').f_flag & os.ST_NOEXEC))"
    assert alice.run(code).strip() == "True"
    alice.stop()
    log = log_of(hub)
    assert "CERTIFICATE_VERIFY_FAILED" not in log
    assert "does not answer" not in log


@pytest.mark.full
def test_strict_virtual_memory(hub: Hub, strict: LocalHadoop) -> None:
    """A server that reserves too many addresses is killed by YARN, and its user reads why."""
    alice = visitor(hub)
    list(alice.start())
    alice.open_lab()
    # The cell may end with an error, or the connection with the server.
    with suppress(Exception):
        alice.run("import mmap, time; kept = mmap.mmap(-1, 8 << 30); time.sleep(60)", timeout=60)
    end = time.monotonic() + 60
    # skein's application master often unregisters before YARN kills it, and its message replaces YARN's.
    while not any(code in log_of(hub) for code in ("[virtual-memory-exceeded]", "[killed-memory]")):
        assert time.monotonic() < end, log_of(hub)
        time.sleep(1)
