"""Access to YARN through skein. No other part of the hub uses a driver or a key-value store."""

from yarnspawner.skein_driver.client import Cluster
from yarnspawner.skein_driver.driver_process import SKEIN_JAR, SKEIN_JAR_NAME
from yarnspawner.skein_driver.key_value_store import Store
from yarnspawner.skein_driver.reports import ClusterNode, Report
from yarnspawner.skein_driver.rpc import (
    AnswerTooLarge,
    ApplicationUnknown,
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
)

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
    "Report",
    "Store",
]
