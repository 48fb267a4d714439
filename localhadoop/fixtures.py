"""Clusters for pytest: ``pytest_plugins = ["localhadoop.fixtures"]``.

``simple_cluster`` and ``kerberos_cluster`` are started when the first test wants them, have two NodeManagers, and are shared
by the whole session. Each test finds all daemons running, whatever the one before it did to them.

``LOCALHADOOP_HADOOP`` chooses the version (``3.3.6``). ``LOCALHADOOP_SIMPLE`` and ``LOCALHADOOP_KERBEROS`` name a cluster that
``up`` made (with ``--nodes 2``), which is then used and left running: that spares a developer the start.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from localhadoop import system
from localhadoop.cluster import LocalHadoop
from localhadoop.jars import DEFAULT_VERSION
from localhadoop.paths import is_root


def hadoop_version() -> str:
    """The version that tests run on."""
    return os.environ.get("LOCALHADOOP_HADOOP") or DEFAULT_VERSION


def why_no_kerberos() -> str | None:
    """Why this machine cannot have a kerberos cluster, None if it can."""
    if not is_root():
        return "a kerberos cluster needs root"
    if (missing := system.missing_programs()) and not shutil.which("apt-get"):
        return f"a kerberos cluster needs {', '.join(missing)}"
    return None


@pytest.fixture(scope="session")
def simple_cluster_of_session() -> Iterator[LocalHadoop]:
    """The session's simple cluster, in whatever state the last test left it."""
    with shared("LOCALHADOOP_SIMPLE", kerberos=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kerberos_cluster_of_session() -> Iterator[LocalHadoop]:
    """The session's kerberos cluster, in whatever state the last test left it."""
    if reason := why_no_kerberos():
        pytest.skip(reason)
    with shared("LOCALHADOOP_KERBEROS", kerberos=True) as cluster:
        yield cluster


@pytest.fixture
def simple_cluster(simple_cluster_of_session: LocalHadoop) -> LocalHadoop:
    """A simple cluster with two NodeManagers, all its daemons running."""
    simple_cluster_of_session.restore()
    return simple_cluster_of_session


@pytest.fixture
def kerberos_cluster(kerberos_cluster_of_session: LocalHadoop) -> LocalHadoop:
    """A Kerberos cluster with two NodeManagers, all its daemons running."""
    kerberos_cluster_of_session.restore()
    return kerberos_cluster_of_session


def shared(variable: str, kerberos: bool) -> LocalHadoop:
    """The running cluster that ``variable`` names, else a new one."""
    if name := os.environ.get(variable):
        return LocalHadoop.attach(name)
    return LocalHadoop(kerberos=kerberos, nodes=2, hadoop=hadoop_version())
