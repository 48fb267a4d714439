"""A cluster whose nodes have nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import skein

from localhadoop import LocalHadoop
from tests.support.hub_user import START, until
from tests.support.skein_client import MASTER_ENVIRONMENT, skein_client


@contextmanager
def full(cluster: LocalHadoop) -> Iterator[None]:
    """On each node, an application of bob takes all memory that is left."""
    login = {"principal": cluster.principal("jupyterhub"), "keytab": str(cluster.keytab("jupyterhub"))}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment().items():
            patch.setenv(name, value)
        client = skein_client(log=False, **(login if cluster.kerberos else {}))
    taken: list[str] = []
    try:
        # The largest first, so that each fits on one node only.
        for memory in sorted((node["availMemoryMB"] for node in cluster.nodes()), reverse=True):
            if memory:
                taken.append(client.submit(_holder(memory)))
                until(lambda: str(client.application_report(taken[-1]).state) == "RUNNING", START, "running")
        yield
    finally:
        for application in taken:
            client.kill_application(application, user="bob")
        client.close()


def _holder(memory: int) -> skein.ApplicationSpec:
    resources = skein.Resources(memory=memory, vcores=1)
    master = skein.Master(resources=resources, script="sleep 600", env=MASTER_ENVIRONMENT)
    return skein.ApplicationSpec(name="holder", user="bob", master=master)
