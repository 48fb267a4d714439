"""Applications of one script on a real cluster, submitted as a hub submits them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import skein

from localhadoop import LocalHadoop
from tests.support.skein_client import MASTER_ENVIRONMENT
from yarnspawner.skein_driver import Cluster, ClusterUnavailable, Report

SECURITY = skein.Security.new_credentials()
# Seconds; the machine may be busy with the clusters of other tests.
LONG = 120


def use(hadoop: LocalHadoop, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make a cluster the one that this process finds.

    Returns:
        The hub's principal and keytab, as arguments; none where there is no Kerberos.
    """
    for name, value in hadoop.environment().items():
        monkeypatch.setenv(name, value)
    if not hadoop.kerberos:
        return {}
    return {"principal": hadoop.principal("jupyterhub"), "keytab": str(hadoop.keytab("jupyterhub"))}


def specification(script: str, user: str = "alice", queue: str = "default", memory: int = 256) -> skein.ApplicationSpec:
    """An application whose master runs a script; ``memory`` in MiB."""
    hub = ["jupyterhub", "root"]
    return skein.ApplicationSpec(
        name="test",
        user=user,
        queue=queue,
        max_attempts=1,
        acls=skein.ACLs(enable=True, view_users=hub, modify_users=hub),
        master=skein.Master(
            script=script,
            resources=skein.Resources(memory=memory, vcores=1),
            security=SECURITY,
            env={**MASTER_ENVIRONMENT, "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
        ),
    )


async def reach(cluster: Cluster, application_id: str, there: Callable[[Report], bool]) -> Report:
    """Wait until an application's report is as wanted; that report.

    On a busy machine a call can wait too long in its queue. As in the package, the next one is tried.
    """
    deadline = time.monotonic() + LONG
    report: Report | ClusterUnavailable
    while True:
        try:
            report = await cluster.report(application_id)
            if there(report):
                return report
        except ClusterUnavailable as error:
            report = error
        assert time.monotonic() < deadline, report
        await asyncio.sleep(0.3)
