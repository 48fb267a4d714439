"""Where a server's container is: never where the user says. The cluster is a stand-in that knows two nodes."""

import logging
from types import SimpleNamespace

import pytest

from yarnspawner.hadoop.resourcemanager import Node, ResourceManagerUnavailable
from yarnspawner.skein_driver import ClusterError, ClusterUnavailable, Report
from yarnspawner.state.credentials import Credentials
from yarnspawner.yarn.server_channel import ServerChannel

ID = "application_1_0001"
CREDENTIALS = Credentials(b"certificate", b"key")


class Cluster:
    """Its ResourceManager's web service may be out of reach."""

    def __init__(self, node=None, nodes=("worker1", "worker2")):
        self._node = node
        self._nodes = nodes
        self.connected = []
        self.resource_manager = self
        self.cluster = self

    async def master_node(self, application_id):
        if self._node is None:
            raise ResourceManagerUnavailable("no answer")
        return self._node

    async def nodes(self):
        if self._nodes is None:
            raise ClusterUnavailable("no answer")
        return [SimpleNamespace(host=host) for host in self._nodes]

    def store(self, application_id, host, port, certificate, key):
        self.connected.append((host, port))
        return Store()


class Store:
    closed = 0

    async def get(self, key):
        return b"value"

    async def get_prefix(self, prefix):
        return {f"{prefix}address": b"value"}

    async def close(self):
        Store.closed += 1


def conversation(cluster, credentials=CREDENTIALS):
    return ServerChannel(ID, credentials, cluster, logging.getLogger("test"))


def registered(host):
    return Report(ID, state="RUNNING", host=host, rpc_port=4000)


async def test_host_from_resourcemanager():
    """The host comes from the ResourceManager, whatever the container registered."""
    cluster = Cluster(Node("worker1"))
    async with conversation(cluster) as talk:
        assert await talk.get(registered("169.254.169.254"), "key") == b"value"
        assert await talk.get_prefix(registered("169.254.169.254"), "server.") == {"server.address": b"value"}
    assert cluster.connected == [("worker1", 4000)]


async def test_registered_host():
    """The registered host counts if it is a node of the cluster and nothing else is known."""
    node = await conversation(Cluster()).node(registered("worker2"))
    assert node is not None
    assert node.host == "worker2"


@pytest.mark.parametrize("host", ["169.254.169.254", "hub", "localhost", ""])
async def test_another_host_never_counts(host):
    """A registered host that is no node of the cluster never counts."""
    assert await conversation(Cluster()).node(registered(host)) is None
    with pytest.raises(ClusterError, match="not known on which node"):
        await conversation(Cluster()).get(registered(host), "key")


async def test_unknown_nodes():
    """While the cluster's nodes are unknown, no registered host is trusted."""
    assert await conversation(Cluster(nodes=None)).node(registered("worker1")) is None


async def test_one_connection():
    """Several requests share one connection, which is closed at the end."""
    cluster = Cluster(Node("worker1"))
    Store.closed = 0
    async with conversation(cluster) as talk:
        await talk.get(registered(""), "key")
        await talk.get(registered(""), "key")
    assert len(cluster.connected) == Store.closed == 1


async def test_missing_credentials():
    """Without credentials, a request fails."""
    with pytest.raises(ClusterError, match="credentials"):
        await conversation(Cluster(Node("worker1")), None).get(registered(""), "key")


async def test_outage_is_cheap(caplog):
    """While the node is unknown, requests in quick succession list all nodes once and log one warning."""
    cluster = Cluster(nodes=())
    lists = 0

    async def nodes():
        nonlocal lists
        lists += 1
        return []

    cluster.nodes = nodes
    talk = conversation(cluster)
    for _ in range(40):
        assert await talk.node(registered("worker1")) is None
    assert (lists, caplog.text.count("does not say where")) == (1, 1)
    talk._not_before = 0.0
    cluster._node = Node("worker2")
    assert await talk.node(registered("")) == Node("worker2")
