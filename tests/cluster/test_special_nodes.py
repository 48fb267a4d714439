"""Node labels and GPUs: the last node has a label, and each is believed to have two GPUs.

What is asked for is given where it was asked for, and no more than there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version
from tests.support.edge import Alice
from tests.support.hub_user import HubUser, unfinished, until
from tests.support.hubs import running
from tests.support.profile_forms import CONFIGURATION, application, choose, gpus, leave, nodes, refusal

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalHadoop]:
    with LocalHadoop(gpus=2, label="gpu", nodes=2, hadoop=hadoop_version()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def hub(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(cluster, tmp_path_factory.mktemp("hub"), configuration=CONFIGURATION) as hub:
        yield hub


@pytest.fixture
def alice(hub: Hub) -> Iterator[HubUser]:
    alice = HubUser(hub.address, "alice", hub.password)
    yield alice
    leave(alice)


def test_label_chooses_node(cluster: LocalHadoop, alice: HubUser) -> None:
    """A server with a node label runs on a node with that label."""
    labelled, other = cluster.settings.host("nodemanager2"), cluster.settings.host("nodemanager1")
    assert 'value="gpu"' in alice._get("/hub/spawn/alice").text
    # More of them than chance would place there.
    for label, node in (("gpu", labelled), ("", other), ("gpu", labelled)):
        choose(alice, profile="labelled", node_label=label)
        assert nodes(cluster, application(cluster, "alice")) == [node]
        leave(alice)


def test_label_not_for_master(cluster: LocalHadoop, alice: HubUser) -> None:
    """The label applies to the container of the server, not to the container of the application master."""
    choose(alice, profile="labelled-separate")
    assert nodes(cluster, application(cluster, "alice")) == [
        cluster.settings.host("nodemanager1"),
        cluster.settings.host("nodemanager2"),
    ]


@pytest.mark.parametrize(
    ("label", "queue"),
    [pytest.param("nosuch", "default", id="no such label"), pytest.param("gpu", "small", id="queue")],
)
def test_unavailable_label(cluster: LocalHadoop, alice: HubUser, label: str, queue: str) -> None:
    """The hub reports a node label that does not exist or that the queue cannot use."""
    told = alice.failure(options={"profile": "labelled", "node_label": label, "queue": queue})
    assert f"The queue {queue} has no access to the node label that the server requests" in told
    assert not unfinished(cluster)


def test_labels_survive_rm_restart(cluster: LocalHadoop, alice: HubUser) -> None:
    """The ResourceManager keeps its node labels after a restart."""
    choose(alice, profile="labelled", node_label="gpu")
    cluster.daemons["resourcemanager"].kill()
    cluster.restore()
    leave(alice)
    choose(alice, profile="labelled", node_label="gpu")
    assert nodes(cluster, application(cluster, "alice")) == [cluster.settings.host("nodemanager2")]


def test_gpus_of_profile(cluster: LocalHadoop, alice: HubUser) -> None:
    """YARN gives a server the GPUs that its profile requests, and the hub refuses more than the cluster has."""
    said = refusal(alice, profile="accelerated", gpus=3)
    assert said == "GPUs (gpus): 3 GPUs is more than the 2 GPUs that the cluster gives to one server."
    assert 'max="2"' in alice._get("/hub/spawn/alice").text
    choose(alice, profile="accelerated", gpus=2)
    assert gpus(application(cluster, "alice")) == 2


def test_gpus_of_kernel(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> None:
    """YARN gives a kernel the GPUs that it requests, and refuses more than the cluster has."""
    alice = Alice(cluster, tmp_path_factory.mktemp("alice"))
    status, _, errors = alice.run("--no-console", "--gpus", "3")
    assert status == 1
    assert "memory:512, vCores:1, yarn.io/gpu: 3, but the maximum is" in errors
    status, output, errors = alice.run("--no-console", "--gpus", "1")
    assert status == 0, errors
    kernel = alice.application(errors)["id"]
    until(lambda: gpus(application(cluster, "alice")) == 1, 30, "counted")
    # From a machine that has no connection file, YARN ends it.
    Path(output.strip()).unlink()
    status, _, errors = alice.run("stop", kernel)
    assert status == 0, errors
    assert f"{kernel} has ended: KILLED / KILLED." in errors
