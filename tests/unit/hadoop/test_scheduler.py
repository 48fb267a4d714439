"""Queues of YARN's schedulers. The samples are responses of Hadoop 3.4.3 without unused parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yarnspawner.hadoop.scheduler import Queue, Resources, as_list, as_resources, largest, read_queues, smaller

SAMPLES = Path(__file__).with_name("samples")


def sample(name: str) -> dict[str, Any]:
    return dict(json.loads((SAMPLES / f"{name}.json").read_text()))


def test_capacity_scheduler() -> None:
    """The queues of a capacity scheduler are parsed."""
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


def test_fair_scheduler() -> None:
    """The queues of a fair scheduler are parsed."""
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


def test_nested_queues() -> None:
    """A nested queue has its full path."""
    leaf = {"type": "capacitySchedulerLeafQueueInfo", "queueName": "alice"}
    users = {"queueName": "users", "queues": {"queue": leaf}}
    root = {"type": "capacityScheduler", "queueName": "root", "queues": {"queue": [users]}}
    queues = list(read_queues({"scheduler": {"schedulerInfo": root}}))
    assert [queue.path for queue in queues] == ["root.users.alice"]


def test_scheduler_without_queues() -> None:
    """A scheduler without queues has none."""
    assert not list(read_queues({"scheduler": {"schedulerInfo": {"type": "fifoScheduler"}}}))
    assert not list(read_queues({}))


def test_as_list() -> None:
    """A list with one item may be written as the item."""
    assert as_list({"nodes": {"node": {"id": 1}}}, "nodes", "node") == [{"id": 1}]
    assert as_list({"nodes": None}, "nodes", "node") == []


def test_largest() -> None:
    """The largest size has the maximum of each resource."""
    assert largest([Resources(1, 8), None, Resources(4, 2)]) == Resources(4, 8)
    assert largest([None]) is None


def sized(**types: int) -> Resources:
    """Parse a size as the ResourceManager writes it."""
    names = {"gpus": "yarn.io/gpu"}
    items = [{"name": names.get(name, name), "value": value} for name, value in types.items()]
    size = as_resources({"memory": 4096, "vCores": 8, "resourceInformations": {"resourceInformation": items}})
    assert size
    return size


def test_gpus() -> None:
    """GPUs are read from the list of resource types."""
    assert sized(vcores=8, gpus=2).gpus == 2
    assert sized(vcores=8).gpus == 0
    # Hadoop before 3.1 lists no types, and Java's largest integer means no limit.
    assert Resources(4096, 8) == as_resources({"memory": 4096, "vCores": 8})
    assert sized(gpus=2**63 - 1).gpus is None


def test_gpu_limits() -> None:
    """The number of GPUs is limited by the queue and by the nodes."""
    assert smaller(Resources(1, 1), Resources(1, 1, 4)).gpus == 4
    assert smaller(Resources(1, 1, 2), Resources(1, 1, 4)).gpus == 2
    assert largest([Resources(1, 1, 2), Resources(1, 1)]) == Resources(1, 1, 2)
