"""The hub's access to YARN through skein: nothing else of the hub speaks to a driver or a key-value store."""

from yarnspawner.cluster.client import (
    ApplicationUnknown,
    Cluster,
    ClusterError,
    ClusterNode,
    ClusterRefused,
    ClusterUnavailable,
    Queue,
    Report,
    Store,
)

__all__ = [
    "ApplicationUnknown",
    "Cluster",
    "ClusterError",
    "ClusterNode",
    "ClusterRefused",
    "ClusterUnavailable",
    "Queue",
    "Report",
    "Store",
]
