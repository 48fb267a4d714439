"""The hub's access to YARN through skein: nothing else of the hub speaks to a driver or a key-value store."""

from yarnspawner.cluster.calls import (
    AnswerTooLarge,
    ApplicationUnknown,
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
)
from yarnspawner.cluster.client import Cluster
from yarnspawner.cluster.launch import SKEIN_JAR, SKEIN_JAR_NAME
from yarnspawner.cluster.reports import ClusterNode, Queue, Report
from yarnspawner.cluster.store import Store

__all__ = [
    "SKEIN_JAR",
    "SKEIN_JAR_NAME",
    "AnswerTooLarge",
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
