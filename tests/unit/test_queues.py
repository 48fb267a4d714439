"""What YARN's schedulers tell of their queues. The samples are answers of Hadoop 3.4.3, without parts that nobody reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yarnspawner.hadoop.queues import Queue, Resources, as_list, largest, read_queues

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
