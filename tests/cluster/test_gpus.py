"""GPUs, on a cluster whose nodes are believed to have two each: what is asked for is counted, and no more is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version
from tests.support.choosing import CONFIGURATION, application, choose, gpus, leave, refusal
from tests.support.edge import Alice
from tests.support.hubs import running
from tests.support.member import Member, until

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalHadoop]:
    with LocalHadoop(gpus=2, nodes=2, hadoop=hadoop_version()) as cluster:
        yield cluster


def test_gpus_of_a_profile_are_what_yarn_gives_and_no_more(
    cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running(cluster, tmp_path_factory.mktemp("hub"), configuration=CONFIGURATION) as hub:
        alice = Member(hub.address, "alice", hub.password)
        said = refusal(alice, profile="accelerated", gpus=3)
        assert said == "GPUs (gpus): 3 GPUs is more than the 2 GPUs that the cluster gives to one server."
        assert 'max="2"' in alice._get("/hub/spawn/alice").text
        choose(alice, profile="accelerated", gpus=2)
        assert gpus(application(cluster, "alice")) == 2
        leave(alice)


def test_gpus_of_a_kernel_are_what_yarn_gives_and_no_more(
    cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alice = Alice(cluster, tmp_path_factory.mktemp("alice"))
    status, _, errors = alice.run("--no-console", "--gpus", "3")
    assert status == 1
    assert "asked were memory:512, vCores:1, yarn.io/gpu: 3, at most" in errors
    status, output, errors = alice.run("--no-console", "--gpus", "1")
    assert status == 0, errors
    kernel = alice.application(errors)["id"]
    until(lambda: gpus(application(cluster, "alice")) == 1, 30, "counted")
    # From a machine that has no connection file, YARN ends it.
    Path(output.strip()).unlink()
    status, _, errors = alice.run("stop", kernel)
    assert status == 0, errors
    assert f"{kernel} has ended: KILLED / KILLED." in errors
