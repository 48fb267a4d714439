"""Causes of an application waiting in ACCEPTED. Each message follows "Waiting in queue <name>, "."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause

# YARN gives these reasons for a moment in every start, also on an idle cluster: a node gets work when it next sends its
# heartbeat, every second by default.
_HEARTBEATS = 5.0

QUEUEING = [
    Cause(
        "cluster resource is empty",
        message="because no node of the cluster is up and healthy",
    ),
    Cause(
        r"AM Partition = (?P<label>[^<;]\S{0,200}?) ?;.{0,2000}?Partition Resource = <memory:0\b",
        message="because no node with the label {label} is up",
    ),
    Cause(
        "Queue's AM resource limit exceeded",
        message="because the queue has reached its limit for application masters",
    ),
    Cause(
        "User's AM resource limit exceeded",
        message="because {user} has reached the queue's limit for application masters of one user",
    ),
    Cause(
        "exceeds maximum AM resource allowed",
        message="because the queue has reached its limit for application masters",
    ),
    Cause(
        "has reached the maximum limit of runnable applications",
        "parallel limit reached",
        message="because the queue or the user has reached its limit of running applications",
    ),
    Cause(
        "queue's absolute max-capacity",
        "Queue hits max-capacity limit",
        "maximum resource allowed",
        message="because the queue is full",
    ),
    Cause(
        "User capacity has reached its maximum limit",
        "Queue hits user max-capacity limit",
        message="because {user} has reached the queue's limit for one user",
    ),
    Cause(
        "request locality is not matching",
        "black ?listed",
        message="because the nodes on which it may run have no free resources",
        lasting=_HEARTBEATS,
    ),
    Cause(
        "exceeds the available resources of the node",
        "does not have sufficient resource",
        message="because no node has enough free resources for its container",
        lasting=_HEARTBEATS,
    ),
    Cause(
        "waiting for AM container to be launched",
        message="because the node is starting its container",
    ),
    Cause(
        "waiting for AM container to register",
        message="because its container has not registered with YARN yet",
    ),
    Cause(
        "Application is Activated, waiting for resources to be assigned for AM",
        message="because no node that the queue can use has enough free resources",
        lasting=_HEARTBEATS,
    ),
    Cause(
        "not yet activated",
        message="because YARN has not activated it yet",
        lasting=_HEARTBEATS,
    ),
]
