"""The configuration of the cluster of docker/try, without containers."""

import importlib
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "cluster"
DAEMONS = [None, "namenode", "datanode", "resourcemanager", "resourcemanager2", "nodemanager1", "nodemanager2"]


@pytest.fixture(scope="module")
def site_files():
    """The module that writes the files, from its folder."""
    names = ("hosts", "site_files")
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("site_files")
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture
def properties(request, site_files, tmp_path):
    """All properties of a daemon, or of clients."""
    site_files.write(site_files.settings(), tmp_path, request.param)
    text = "".join(file.read_text() for file in tmp_path.glob("*.xml"))
    return dict(re.findall(r"<name>(.*?)</name><value>(.*?)</value>", text))


@pytest.mark.parametrize("properties", DAEMONS, indirect=True, ids=str)
def test_no_daemon_is_local(properties):
    """Every address is that of a host of its own, and every principal that of its host."""
    assert not {name: value for name, value in properties.items() if re.search(r"localhost|127\.0\.0", value)}
    principals = {value for name, value in properties.items() if name.endswith("principal")}
    assert principals == {f"{account}/_HOST@EXAMPLE.COM" for account in ("hdfs", "yarn", "HTTP")}


@pytest.mark.parametrize("properties", DAEMONS, indirect=True, ids=str)
def test_cluster_is_secure(properties):
    """Web pages are HTTPS only, RPC and blocks are encrypted, and the hub impersonates from its own host only."""
    assert properties["dfs.http.policy"] == properties["yarn.http.policy"] == "HTTPS_ONLY"
    assert properties["hadoop.rpc.protection"] == properties["dfs.data.transfer.protection"] == "privacy"
    assert properties["hadoop.proxyuser.jupyterhub.hosts"] == "hub.hadoop.test"
    assert "ignore.secure.ports.for.testing" not in properties


def test_each_host_is_known(site_files):
    """Each host has one address, and each daemon a host."""
    hosts = sys.modules["hosts"]
    assert len(set(hosts.ADDRESSES.values())) == len(hosts.ADDRESSES)
    assert hosts.daemons_of("worker2") == ["nodemanager2", "datanode"]
    assert hosts.daemons_of("hub") == []
    for daemon in hosts.DAEMONS:
        if daemon != "datanode":  # which each worker has
            assert site_files.settings().host(daemon) in set(map(hosts.full, hosts.ADDRESSES))


def test_realm_is_on_its_host(site_files, tmp_path):
    """All hosts reach the KDC by its name, and the KDC listens on all addresses of its host."""
    assert "kdc = kdc.hadoop.test:88" in site_files.krb5_conf()
    assert ".hadoop.test = EXAMPLE.COM" in site_files.krb5_conf()
    assert "kdc_tcp_listen = 0.0.0.0:88" in site_files.kdc_conf(tmp_path)


def test_zookeeper_address(site_files):
    """ZooKeeper listens on its own address, which is not the loopback address of localhadoop."""
    assert site_files.settings().ip("zookeeper") == sys.modules["hosts"].ADDRESSES["zk"]
