"""Parse ``/ws/v1/cluster/scheduler``: the queues of a capacity or fair scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

# YARN reports Java's largest integer for no limit.
_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Resources:
    """The size of a container.

    Attributes:
        memory: memory in MiB.
        vcores: number of virtual cores.
        gpus: number of ``yarn.io/gpu``; None if it is not limited or not known.
    """

    memory: int
    vcores: int
    gpus: int | None = None


@dataclass(frozen=True)
class Queue:
    """A leaf queue, which accepts applications.

    Attributes:
        name: last part of its path.
        path: full path, such as ``root.users.alice``.
        state: RUNNING, STOPPED or DRAINING.
        capacity: guaranteed share of the cluster, in percent.
        maximum: maximum share of the cluster, in percent.
        used: used share of the cluster, in percent.
        running: number of running applications.
        pending: number of pending applications.
        maximum_allocation: size of the largest container; None if only the cluster's limit applies, or if it is not known.
    """

    name: str
    path: str
    state: str
    capacity: float
    maximum: float
    used: float
    running: int
    pending: int
    maximum_allocation: Resources | None = None


class NamedQueue(Protocol):
    """A record with the last part of a queue's path."""

    @property
    def name(self) -> str: ...


AnyQueue = TypeVar("AnyQueue", bound=NamedQueue)


def read_queues(document: dict[str, Any]) -> Iterator[Queue]:
    """Yield the leaf queues of the ResourceManager's document."""
    scheduler = scheduler_information(document)
    if "rootQueue" in scheduler:
        return _fair_queues(scheduler["rootQueue"])
    return _capacity_queues(scheduler, "")


def scheduler_information(document: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the ResourceManager's document that describes the queues."""
    found: dict[str, Any] = (document.get("scheduler") or {}).get("schedulerInfo") or {}
    return found


def queue_of(queues: Mapping[str, AnyQueue], name: str) -> AnyQueue | None:
    """Return the queue with a path or an unambiguous name, or None if there is none.

    YARN accepts both. Before Hadoop 3.4, the capacity scheduler accepts only the name.

    Args:
        queues: the leaf queues by path.
        name: path or name.
    """
    if name in queues:
        return queues[name]
    found = [queue for queue in queues.values() if queue.name == name]
    return found[0] if len(found) == 1 else None


def as_list(document: dict[str, Any] | None, *names: str) -> list[dict[str, Any]]:
    """Return a nested list of a document. Some versions of YARN write a list with one item as the item."""
    found: Any = document
    for name in names:
        found = (found or {}).get(name)
    return found if isinstance(found, list) else [found] if found else []


def as_resources(document: dict[str, Any] | None) -> Resources | None:
    """Parse a container size, or return None if there is none."""
    return Resources(int(document["memory"]), int(document["vCores"]), _gpus(document)) if document else None


def smaller(one: Resources, other: Resources) -> Resources:
    """Return the minimum of each resource of two sizes."""
    gpus = [size.gpus for size in (one, other) if size.gpus is not None]
    return Resources(min(one.memory, other.memory), min(one.vcores, other.vcores), min(gpus, default=None))


def largest(sizes: Iterable[Resources | None]) -> Resources | None:
    """Return the maximum of each resource of some sizes, or None if there are no sizes."""
    known = [size for size in sizes if size]
    if not known:
        return None
    gpus = [size.gpus for size in known if size.gpus is not None]
    return Resources(max(size.memory for size in known), max(size.vcores for size in known), max(gpus, default=None))


def _gpus(document: dict[str, Any]) -> int | None:
    # If the document lists resource types, a missing type means zero.
    types = as_list(document, "resourceInformations", "resourceInformation")
    if not types:
        return None
    number = next((int(item["value"]) for item in types if item.get("name") == "yarn.io/gpu"), 0)
    return number if number < _NO_LIMIT else None


def _capacity_queues(parent: dict[str, Any], path: str) -> Iterator[Queue]:
    name = str(parent.get("queueName", ""))
    own = str(parent.get("queuePath") or (f"{path}.{name}" if path else name))
    children = as_list(parent, "queues", "queue")
    for child in children:
        yield from _capacity_queues(child, own)
    if parent.get("type") == "capacitySchedulerLeafQueueInfo":
        yield Queue(
            name,
            own,
            str(parent.get("state", "RUNNING")),
            float(parent.get("absoluteCapacity", 0)),
            float(parent.get("absoluteMaxCapacity", 100)),
            float(parent.get("absoluteUsedCapacity", 0)),
            int(parent.get("numActiveApplications", 0)),
            int(parent.get("numPendingApplications", 0)),
            as_resources(parent.get("maximumAllocation")),
        )


def _fair_queues(parent: dict[str, Any]) -> Iterator[Queue]:
    children = as_list(parent, "childQueues", "queue")
    for child in children:
        yield from _fair_queues(child)
    if parent.get("type") == "fairSchedulerLeafQueueInfo":
        path = str(parent.get("queueName", ""))
        cluster = as_resources(parent.get("clusterResources"))
        yield Queue(
            path.rpartition(".")[2],
            path,
            "RUNNING",
            memory_share(parent.get("steadyFairResources"), cluster),
            memory_share(parent.get("maxResources"), cluster),
            memory_share(parent.get("usedResources"), cluster),
            int(parent.get("numActiveApps", 0)),
            int(parent.get("numPendingApps", 0)),
            as_resources(parent.get("maxContainerAllocation")),
        )


def memory_share(part: dict[str, Any] | None, whole: Resources | None) -> float:
    """Return the share of the cluster's memory, in percent."""
    return min(100.0, 100 * int((part or {}).get("memory", 0)) / whole.memory) if whole and whole.memory else 0.0
