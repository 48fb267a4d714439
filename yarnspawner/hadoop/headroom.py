"""Find what keeps YARN from giving a container, in the ResourceManager's documents about queues and nodes.

YARN tells why an application waits for its first container, but not why a running one waits for more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from yarnspawner.hadoop.scheduler import Resources, as_list, as_resources, memory_share, queue_of, scheduler_information

# YARN's shares are rounded, in percent.
_ROUNDING = 0.01


@dataclass(frozen=True)
class QueueRoom:
    """What a queue can still give.

    Attributes:
        name: last part of its path.
        room: unused part of the maximum of the queue and of the queues above it, by node label ("" for nodes without one),
            in percent of the nodes with that label.
        label: label of the nodes that containers get by default.
        users: used memory and its limit for each user, in MiB.
        vcores: unused part of the queue's own maximum of vcores, which not every scheduler counts; None if it is not known.
    """

    name: str
    room: Mapping[str, float]
    label: str = ""
    users: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    vcores: int | None = None


@dataclass(frozen=True)
class NodeRoom:
    """A running node: its memory in MiB, its unused resources and its labels."""

    memory: int
    free: Resources
    labels: tuple[str, ...] = ()

    def can_run(self, wanted: Resources) -> bool:
        """Return True if a container fits into the unused resources."""
        enough = wanted.memory <= self.free.memory and wanted.vcores <= self.free.vcores
        return enough and (wanted.gpus or 0) <= (self.free.gpus or 0)


class Headroom:
    """The unused resources of a cluster's queues and nodes, at one moment.

    Args:
        queues: leaf queues by path.
        nodes: nodes that run.
    """

    def __init__(self, queues: Mapping[str, QueueRoom], nodes: list[NodeRoom]) -> None:
        self._queues = queues
        self._nodes = nodes

    @classmethod
    def read(cls, scheduler: dict[str, Any], nodes: dict[str, Any]) -> Headroom:
        """Parse ``/ws/v1/cluster/scheduler`` and ``/ws/v1/cluster/nodes``."""
        information = scheduler_information(scheduler)
        root = information.get("rootQueue")
        queues = _fair_queues(root, 100.0) if root else _capacity_queues(information, "", {})
        running = (node for node in as_list(nodes, "nodes", "node") if node.get("state") == "RUNNING")
        return cls(dict(queues), [_node(node) for node in running])

    def constraint(self, wanted: Resources, queue: str, *, user: str, label: str = "") -> str:
        """Return what keeps YARN from giving a container, as the code of a row of :mod:`~yarnspawner.diagnosis.queueing`.

        The order is the scheduler's: the queue, the user's limit in it, the nodes. The rules are those of Hadoop's
        ``AbstractCSQueue.accept``, ``AbstractLeafQueue.canAssignToUser`` and ``FSLeafQueue.assignContainer``.

        Args:
            wanted: the container's size.
            queue: path or name of the queue.
            user: Hadoop user of the application.
            label: label of the nodes; "" for the queue's default.

        Returns:
            "" if nothing does: a node gets the container with one of its next heartbeats.
        """
        found = queue_of(self._queues, queue)
        asked, label = label, label or (found.label if found else "")
        nodes = [node for node in self._nodes if (label in node.labels if label else not node.labels)]
        if not nodes and asked:
            return "queue-no-label"
        if not nodes:
            # With other nodes, the sentence would be wrong; the queue's own label is not named to users.
            return "" if self._nodes else "queue-no-node"
        room = found.room.get(label, 100.0) + _ROUNDING if found else 100.0
        if _percent(wanted.memory, sum(node.memory for node in nodes)) > room:
            return "queue-full"
        used, limit = found.users.get(user, (0, 0)) if found and not label else (0, 0)
        if used > limit:
            return "queue-user-full"
        if not any(node.can_run(wanted) for node in nodes):
            return "queue-no-room"
        full = found and found.vcores is not None and not label and wanted.vcores > found.vcores
        return "queue-full" if full else ""


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _capacity_queues(parent: dict[str, Any], path: str, above: Mapping[str, float]) -> Iterator[tuple[str, QueueRoom]]:
    name = str(parent.get("queueName", ""))
    own = str(parent.get("queuePath") or (f"{path}.{name}" if path else name))
    partitions = as_list(parent, "capacities", "queueCapacitiesByPartition")
    room = {str(one.get("partitionName") or ""): _unused(one) for one in partitions} | {"": _unused(parent)}
    room = {label: min(unused, above.get(label, unused)) for label, unused in room.items()}
    for child in as_list(parent, "queues", "queue"):
        yield from _capacity_queues(child, own, room)
    if parent.get("type") == "capacitySchedulerLeafQueueInfo":
        label = str(parent.get("defaultNodeLabelExpression") or "")
        users = {str(user.get("username")): _memory_limit(user) for user in as_list(parent, "users", "user")}
        vcores = _unused_vcores(parent.get("maxEffectiveCapacity"), parent.get("resourcesUsed"))
        yield own, QueueRoom(name, room, label, users, vcores)


def _unused(queue: dict[str, Any]) -> float:
    """Return the unused part of a queue's maximum. The root has no absolute shares."""
    largest = queue.get("absoluteMaxCapacity", queue.get("maxCapacity", 100))
    return float(largest) - float(queue.get("absoluteUsedCapacity", queue.get("usedCapacity", 0)))


def _memory_limit(user: dict[str, Any]) -> tuple[int, int]:
    used, limit = as_resources(user.get("resourcesUsed")), as_resources(user.get("userResourceLimit"))
    return (used.memory, limit.memory) if used and limit else (0, 0)


def _fair_queues(parent: dict[str, Any], above: float) -> Iterator[tuple[str, QueueRoom]]:
    cluster = as_resources(parent.get("clusterResources"))
    unused = memory_share(parent.get("maxResources"), cluster) - memory_share(parent.get("usedResources"), cluster)
    room = min(above, unused)
    for child in as_list(parent, "childQueues", "queue"):
        yield from _fair_queues(child, room)
    if parent.get("type") == "fairSchedulerLeafQueueInfo":
        path = str(parent.get("queueName", ""))
        vcores = _unused_vcores(parent.get("maxResources"), parent.get("usedResources"))
        yield path, QueueRoom(path.rpartition(".")[2], {"": room}, vcores=vcores)


def _unused_vcores(largest: dict[str, Any] | None, used: dict[str, Any] | None) -> int | None:
    limit, taken = as_resources(largest), as_resources(used)
    return limit.vcores - taken.vcores if limit and taken else None


def _node(node: dict[str, Any]) -> NodeRoom:
    free = Resources(int(node.get("availMemoryMB", 0)), int(node.get("availableVirtualCores", 0)))
    labels = node.get("nodeLabels") or ()
    return NodeRoom(
        free.memory + int(node.get("usedMemoryMB", 0)),
        as_resources(node.get("availableResource")) or free,
        (labels,) if isinstance(labels, str) else tuple(str(label) for label in labels),
    )
