"""What keeps YARN from giving a container. The documents have the form that Hadoop 3.1 and 3.4 write."""

from __future__ import annotations

from typing import Any

import pytest

from yarnspawner.hadoop.headroom import Headroom
from yarnspawner.hadoop.scheduler import Resources

WANTED = Resources(400, 1)


def node(free: int, cores: int = 8, *, state: str = "RUNNING", labels: Any = None, gpus: int = 0) -> dict[str, Any]:
    """A node with 4096 MiB and 8 cores."""
    types = [{"name": "yarn.io/gpu", "value": gpus}]
    return {
        "state": state,
        "usedMemoryMB": 4096 - free,
        "availMemoryMB": free,
        "usedVirtualCores": 8 - cores,
        "availableVirtualCores": cores,
        "availableResource": {
            "memory": free,
            "vCores": cores,
            "resourceInformations": {"resourceInformation": types},
        },
        **({"nodeLabels": labels} if labels else {}),
    }


def capacity(used: float, largest: float = 100, *, root_used: float = 0, **more: Any) -> dict[str, Any]:
    leaf = {
        "type": "capacitySchedulerLeafQueueInfo",
        "queueName": "alice",
        "absoluteUsedCapacity": used,
        "absoluteMaxCapacity": largest,
        **more,
    }
    users = {"queueName": "users", "absoluteUsedCapacity": used, "absoluteMaxCapacity": 75, "queues": {"queue": leaf}}
    root = {"queueName": "root", "usedCapacity": root_used, "maxCapacity": 100, "queues": {"queue": [users]}}
    return {"scheduler": {"schedulerInfo": {"type": "capacityScheduler", **root}}}


def found(scheduler: dict[str, Any], *nodes: dict[str, Any], wanted: Resources = WANTED, **more: str) -> str:
    headroom = Headroom.read(scheduler, {"nodes": {"node": list(nodes)} if nodes else None})
    return headroom.constraint(wanted, more.pop("queue", "root.users.alice"), user="alice", **more)


def test_nothing() -> None:
    """A container that fits everywhere comes with the next heartbeat."""
    assert found(capacity(10), node(4096)) == ""
    assert found(capacity(10), node(300), node(400, 1)) == ""


@pytest.mark.parametrize(
    "scheduler",
    [
        capacity(21, 25),  # 400 of 4096 MiB are 9.8 %
        capacity(70, 100),  # the queue above has 75 %
        capacity(10, 100, root_used=95),
    ],
    ids=["the queue", "the queue above", "the cluster"],
)
def test_full_queue(scheduler: dict[str, Any]) -> None:
    """The queue, or one above it, has no room for the container."""
    assert found(scheduler, node(4096)) == "queue-full"
    assert found(scheduler, node(4096), queue="alice") == "queue-full"


def test_unknown_queue() -> None:
    """A queue that the ResourceManager does not show is left out; the nodes still tell."""
    assert found(capacity(100), node(4096), queue="other") == ""
    assert found({}, node(300), queue="other") == "queue-no-room"


def test_limit_of_the_user() -> None:
    """As in YARN, a user may exceed the limit with the last container."""

    def user(used: int) -> dict[str, Any]:
        limits = {"resourcesUsed": {"memory": used, "vCores": 1}, "userResourceLimit": {"memory": 2048, "vCores": 1}}
        return {"user": [{"username": "bob"}, {"username": "alice", **limits}]}

    assert found(capacity(10, users=user(2000)), node(4096)) == ""
    assert found(capacity(10, users=user(2049)), node(4096)) == "queue-user-full"


def test_nodes() -> None:
    """No single node has enough of everything."""
    assert found(capacity(10), node(300), node(399)) == "queue-no-room"
    assert found(capacity(10), node(4096, 0), node(300, 8)) == "queue-no-room"
    assert found(capacity(10), node(4096), wanted=Resources(400, 1, 1)) == "queue-no-room"
    assert found(capacity(10), node(4096, gpus=1), wanted=Resources(400, 1, 1)) == ""
    assert found(capacity(10), node(4096, state="LOST")) == "queue-no-node"
    assert found(capacity(10)) == "queue-no-node"


def test_cores_of_a_queue() -> None:
    """A scheduler that counts cores may say no, although the memory is there."""
    cores = {"maxEffectiveCapacity": {"memory": 4096, "vCores": 4}, "resourcesUsed": {"memory": 0, "vCores": 2}}
    assert found(capacity(20, 100, **cores), node(4096), wanted=Resources(100, 3)) == "queue-full"
    assert found(capacity(20, 100, **cores), node(4096), wanted=Resources(100, 2)) == ""


def test_labels() -> None:
    """Only nodes with the label count, and the queue's share of them."""
    labelled = node(4096, labels=["gpu"])
    partitions = [
        {"partitionName": "", "absoluteUsedCapacity": 10, "absoluteMaxCapacity": 100},
        {"partitionName": "gpu", "absoluteUsedCapacity": 95, "absoluteMaxCapacity": 100},
    ]
    full = capacity(10, capacities={"queueCapacitiesByPartition": partitions})
    assert found(full, node(4096), labelled, label="gpu") == "queue-full"
    assert found(full, node(4096), labelled) == ""
    assert found(capacity(10), node(4096), labelled, label="gpu") == ""
    assert found(capacity(10), node(4096), label="gpu") == "queue-no-label"
    assert found(capacity(10), node(300), labelled) == "queue-no-room"
    assert found(capacity(10), labelled) == ""
    assert found(capacity(10, defaultNodeLabelExpression="ssd"), node(4096)) == ""
    assert found(capacity(10, defaultNodeLabelExpression="gpu"), node(300), node(4096, labels="gpu")) == ""


def test_fair_scheduler() -> None:
    """The fair scheduler has amounts instead of shares."""

    def queue(name: str, used: int, largest: int, **more: Any) -> dict[str, Any]:
        amounts = {"clusterResources": 4096, "usedResources": used, "maxResources": largest}
        return {"queueName": name, **{key: {"memory": n, "vCores": n // 512} for key, n in amounts.items()}, **more}

    def scheduler(used: int, largest: int) -> dict[str, Any]:
        leaf = queue("root.users.alice", used, largest, type="fairSchedulerLeafQueueInfo")
        users = queue("root.users", used, 3000, childQueues={"queue": leaf})
        root = queue("root", used, 4096, childQueues={"queue": [users]})
        return {"scheduler": {"schedulerInfo": {"type": "fairScheduler", "rootQueue": root}}}

    assert found(scheduler(600, 1024), node(4096)) == ""
    assert found(scheduler(600, 1024), node(4096), wanted=Resources(400, 2)) == "queue-full"
    assert found(scheduler(700, 1024), node(4096)) == "queue-full"
    assert found(scheduler(2700, 4096), node(4096)) == "queue-full"
