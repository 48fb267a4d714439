"""Why an application waits in ACCEPTED: each follows "It waits in the queue, "."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause

WAITING = [
    Cause(
        "cluster resource is empty",
        says="because no node of the cluster is up and healthy",
    ),
    Cause(
        r"AM Partition = (?P<label>[^<;]\S{0,200}?) ?;.{0,2000}?Partition Resource = <memory:0\b",
        says="because no node with the label {label} is up",
    ),
    Cause(
        "Queue's AM resource limit exceeded",
        says="because its queue starts no more applications until another one ends",
    ),
    Cause(
        "User's AM resource limit exceeded",
        says="because its queue starts no more applications of {user} until another one of them ends",
    ),
    Cause(
        "exceeds maximum AM resource allowed",
        says="because its queue starts no more applications until another one ends",
    ),
    Cause(
        "has reached the maximum limit of runnable applications",
        "parallel limit reached",
        says="because the queue or the user has reached its limit of running applications",
    ),
    Cause(
        "queue's absolute max-capacity",
        "Queue hits max-capacity limit",
        "maximum resource allowed",
        says="because its queue is full",
    ),
    Cause(
        "User capacity has reached its maximum limit",
        "Queue hits user max-capacity limit",
        says="because {user} already has all that one user may have of its queue",
    ),
    Cause(
        "request locality is not matching",
        "black ?listed",
        says="because the nodes that it may run on are not free",
    ),
    Cause(
        "exceeds the available resources of the node",
        "does not have sufficient resource",
        says="because no node has room for a container of its size",
    ),
    Cause(
        "waiting for AM container to be launched",
        says="because its node is just starting the container",
    ),
    Cause(
        "waiting for AM container to register",
        says="because its container has not reported back yet",
    ),
    Cause(
        "Application is Activated, waiting for resources to be assigned for AM",
        says="because no node that its queue may use has room for it now",
    ),
    Cause(
        "not yet activated",
        says="because it is not its turn yet",
    ),
]
