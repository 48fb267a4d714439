"""What YARN's schedulers tell of their queues. The samples are answers of Hadoop 3.4.3, without parts that nobody reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yarnspawner.hadoop.scheduler import Queue, Resources, as_list, as_resources, largest, read_queues, smaller

SAMPLES = Path(__file__).with_name("samples")


def sample(name: str) -> dict[str, Any]:
    return dict(json.loads((SAMPLES / f"{name}.json").read_text()))


def test_the_capacity_schedulers_queues() -> None:
    queues = {queue.path: queue for queue in read_queues(sample("capacity-scheduler"))}
    assert list(queues) == ["root.default", "root.small", "root.stopped"]
    assert queues["root.small"] == Queue(
        name="small",
        path="root.small",
        state="RUNNING",
        capacity=25.0,
        maximum=25.0,
        used=0.0,
        running=0,
        pending=0,
        maximum_allocation=Resources(memory=1024, vcores=8),
    )
    assert queues["root.stopped"].state == "STOPPED"


def test_the_fair_schedulers_queues() -> None:
    queues = {queue.path: queue for queue in read_queues(sample("fair-scheduler"))}
    assert set(queues) == {"root.default", "root.small", "root.one", "root.acl", "root.zero"}
    assert queues["root.small"] == Queue(
        name="small",
        path="root.small",
        state="RUNNING",
        capacity=25.0,
        maximum=25.0,
        used=0.0,
        running=0,
        pending=0,
        maximum_allocation=Resources(memory=600, vcores=2),
    )


def test_queues_below_queues_have_their_whole_path() -> None:
    leaf = {"type": "capacitySchedulerLeafQueueInfo", "queueName": "alice"}
    users = {"queueName": "users", "queues": {"queue": leaf}}
    root = {"type": "capacityScheduler", "queueName": "root", "queues": {"queue": [users]}}
    queues = list(read_queues({"scheduler": {"schedulerInfo": root}}))
    assert [queue.path for queue in queues] == ["root.users.alice"]


def test_a_scheduler_without_queues_has_none() -> None:
    assert not list(read_queues({"scheduler": {"schedulerInfo": {"type": "fifoScheduler"}}}))
    assert not list(read_queues({}))


def test_a_list_of_one_may_be_the_one() -> None:
    assert as_list({"nodes": {"node": {"id": 1}}}, "nodes", "node") == [{"id": 1}]
    assert as_list({"nodes": None}, "nodes", "node") == []


def test_the_largest_size_has_the_most_of_each() -> None:
    assert largest([Resources(1, 8), None, Resources(4, 2)]) == Resources(4, 8)
    assert largest([None]) is None


def sized(**kinds: int) -> Resources:
    """A size as the ResourceManager writes it."""
    names = {"gpus": "yarn.io/gpu"}
    told = [{"name": names.get(kind, kind), "value": value} for kind, value in kinds.items()]
    size = as_resources({"memory": 4096, "vCores": 8, "resourceInformations": {"resourceInformation": told}})
    assert size
    return size


def test_gpus_are_counted_where_resources_are_named() -> None:
    assert sized(vcores=8, gpus=2).gpus == 2
    assert sized(vcores=8).gpus == 0
    # Hadoop before 3.1 names none, and Java's largest number is no limit.
    assert Resources(4096, 8) == as_resources({"memory": 4096, "vCores": 8})
    assert sized(gpus=2**63 - 1).gpus is None


def test_a_container_has_no_more_gpus_than_allowed_nor_than_a_node_has() -> None:
    assert smaller(Resources(1, 1), Resources(1, 1, 4)).gpus == 4
    assert smaller(Resources(1, 1, 2), Resources(1, 1, 4)).gpus == 2
    assert largest([Resources(1, 1, 2), Resources(1, 1)]) == Resources(1, 1, 2)
