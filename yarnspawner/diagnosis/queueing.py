"""Causes of an application waiting in ACCEPTED."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause

# YARN gives these reasons for a moment in every start, also on an idle cluster: a node gets work when it next sends its
# heartbeat, every second by default.
_HEARTBEATS = 5.0

# Each message follows "Waiting in queue <name>, ".
QUEUEING = [
    Cause(
        "queue-no-node",
        "cluster resource is empty",
        message="because no node of the cluster is up and healthy",
        admin="check the nodes with `yarn node -list -all`.",
    ),
    Cause(
        "queue-no-label",
        r"AM Partition = (?P<label>[^<;]\S{0,200}?) ?;.{0,2000}?Partition Resource = <memory:0\b",
        message="because no node with the label {label} is up",
        admin="check the nodes' labels with `yarn cluster --list-node-labels`.",
    ),
    Cause(
        "queue-masters",
        "Queue's AM resource limit exceeded",
        message="because the queue has reached its limit for application masters",
        admin='raise maximum-am-resource-percent of the queue, or set server_container = "service".',
    ),
    Cause(
        "queue-masters-user",
        "User's AM resource limit exceeded",
        message="because {user} has reached the queue's limit for application masters of one user",
        admin="raise maximum-am-resource-percent or user-limit-factor of the queue.",
    ),
    Cause(
        "queue-masters",
        "exceeds maximum AM resource allowed",
        message="because the queue has reached its limit for application masters",
        admin='raise maximum-am-resource-percent of the queue, or set server_container = "service".',
    ),
    Cause(
        "queue-running",
        "has reached the maximum limit of runnable applications",
        "parallel limit reached",
        message="because the queue or the user has reached its limit of running applications",
        admin="check max-parallel-apps of the queue and of the user.",
    ),
    Cause(
        "queue-full",
        "queue's absolute max-capacity",
        "Queue hits max-capacity limit",
        "maximum resource allowed",
        message="because the queue is full",
        admin="check maximum-capacity of the queue.",
    ),
    Cause(
        "queue-user-full",
        "User capacity has reached its maximum limit",
        "Queue hits user max-capacity limit",
        message="because {user} has reached the queue's limit for one user",
        admin="check user-limit-factor of the queue.",
    ),
    Cause(
        "queue-nodes-full",
        "request locality is not matching",
        "black ?listed",
        message="because the nodes on which it may run have no free resources",
        admin="check the nodes' free resources on YARN's pages.",
        lasting=_HEARTBEATS,
    ),
    Cause(
        "queue-no-room",
        "exceeds the available resources of the node",
        "does not have sufficient resource",
        message="because no node has enough free resources for its container",
        admin="check the nodes' free resources on YARN's pages.",
        lasting=_HEARTBEATS,
    ),
    Cause(
        "queue-no-room",
        "Application is Activated, waiting for resources to be assigned for AM",
        message="because no node that the queue can use has enough free resources",
        admin="check the nodes' free resources on YARN's pages.",
        lasting=_HEARTBEATS,
    ),
    Cause(
        "queue-inactive",
        "not yet activated",
        message="because YARN has not activated it yet",
        admin="check the scheduler's page if this lasts.",
        lasting=_HEARTBEATS,
    ),
]

# The application has left its queue, although YARN still calls it ACCEPTED. Each message begins a sentence.
STARTING = [
    Cause(
        "queue-starting",
        "waiting for AM container to be launched",
        message="YARN has found a node for the container",
        admin="check the NodeManager's log if this lasts.",
    ),
    Cause(
        "queue-registering",
        "waiting for AM container to register",
        message="The container is starting",
        admin="check the application master's log if this lasts.",
    ),
]

WAITING = [*QUEUEING, *STARTING]
