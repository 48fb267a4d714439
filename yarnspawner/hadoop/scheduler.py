"""The queues that a scheduler of YARN tells of in ``/ws/v1/cluster/scheduler``: capacity and fair scheduler alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# Java's largest number stands for no limit.
_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Resources:
    """The size of a container.

    Attributes:
        memory: MiB.
        vcores: virtual cores.
        gpus: of ``yarn.io/gpu``; None if there is no limit to them, or none is told.
    """

    memory: int
    vcores: int
    gpus: int | None = None


@dataclass(frozen=True)
class Queue:
    """A queue that takes applications.

    Attributes:
        name: last part of its path.
        path: such as ``root.users.alice``.
        state: RUNNING, STOPPED or DRAINING.
        capacity: share of the cluster that it is promised, in percent.
        maximum: share of the cluster that it may take, in percent.
        used: share of the cluster that it takes now, in percent.
        running: applications that were started.
        pending: applications that wait.
        maximum_allocation: largest container; None if only the cluster's limit holds, or none is told.
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


def read_queues(document: dict[str, Any]) -> Iterator[Queue]:
    """The queues that take applications, of the ResourceManager's answer."""
    scheduler = (document.get("scheduler") or {}).get("schedulerInfo") or {}
    if "rootQueue" in scheduler:
        return _fair_queues(scheduler["rootQueue"])
    return _capacity_queues(scheduler, "")


def as_list(document: dict[str, Any] | None, *names: str) -> list[dict[str, Any]]:
    """A list somewhere in a document. Some versions write a list of one as the one."""
    found: Any = document
    for name in names:
        found = (found or {}).get(name)
    return found if isinstance(found, list) else [found] if found else []


def as_resources(document: dict[str, Any] | None) -> Resources | None:
    """A size in a document."""
    return Resources(int(document["memory"]), int(document["vCores"]), _gpus(document)) if document else None


def smaller(one: Resources, other: Resources) -> Resources:
    """What is within both."""
    gpus = [size.gpus for size in (one, other) if size.gpus is not None]
    return Resources(min(one.memory, other.memory), min(one.vcores, other.vcores), min(gpus, default=None))


def largest(sizes: Iterable[Resources | None]) -> Resources | None:
    """The most of each resource in some sizes, None if there are none."""
    known = [size for size in sizes if size]
    if not known:
        return None
    gpus = [size.gpus for size in known if size.gpus is not None]
    return Resources(max(size.memory for size in known), max(size.vcores for size in known), max(gpus, default=None))


def _gpus(document: dict[str, Any]) -> int | None:
    # Where a document names the kinds of resources at all, what it does not name is not there.
    kinds = as_list(document, "resourceInformations", "resourceInformation")
    if not kinds:
        return None
    number = next((int(kind["value"]) for kind in kinds if kind.get("name") == "yarn.io/gpu"), 0)
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
            _share(parent.get("steadyFairResources"), cluster),
            _share(parent.get("maxResources"), cluster),
            _share(parent.get("usedResources"), cluster),
            int(parent.get("numActiveApps", 0)),
            int(parent.get("numPendingApps", 0)),
            as_resources(parent.get("maxContainerAllocation")),
        )


def _share(part: dict[str, Any] | None, whole: Resources | None) -> float:
    """Of the cluster's memory, in percent."""
    return min(100.0, 100 * int((part or {}).get("memory", 0)) / whole.memory) if whole and whole.memory else 0.0
