"""skein on a cluster, and the applications of these tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import skein

from localhadoop import LocalHadoop
from tests.support.skein_client import MASTER_ENVIRONMENT, skein_client

ENDED = ("FINISHED", "FAILED", "KILLED")


class Skein:
    """A driver on a cluster, as a hub has one."""

    def __init__(self, cluster: LocalHadoop, log: Path) -> None:
        login = {}
        if cluster.kerberos:
            login = {"keytab": str(cluster.keytab("jupyterhub")), "principal": cluster.principal("jupyterhub")}
        self.cluster = cluster
        self.submitted: list[str] = []
        self.hub = "jupyterhub" if cluster.kerberos else "root"
        self.client = skein_client(log=str(log), **login)

    def submit(self, script: str, user: str = "alice", queue: str = "default", memory: int = 512) -> str:
        """Submit an application whose master runs ``script``; its id."""
        specification = skein.ApplicationSpec(
            name="test",
            queue=queue,
            user=user,
            acls=skein.ACLs(enable=True, view_users=[self.hub], modify_users=[self.hub]),
            master=skein.Master(
                resources=skein.Resources(memory=memory, vcores=1), script=script, env=MASTER_ENVIRONMENT
            ),
        )
        self.submitted.append(self.client.submit(specification))
        return self.submitted[-1]

    def close(self) -> None:
        """Leave nothing running on a cluster that others use after this."""
        # Where the cluster is gone, its applications are, and the driver would look for them for a quarter of an hour.
        for application in self.submitted if self.cluster.control.guard() else []:
            if self.state(application) not in ENDED:
                self.client.kill_application(application)
        self.client.close()

    def state(self, application: str) -> str:
        return str(self.client.application_report(application).state)

    def wait(self, application: str, *states: str, timeout: float = 120) -> str:
        """Wait until an application has one of the states, or has ended."""
        end = time.monotonic() + timeout
        while (state := self.state(application)) not in (*states, *ENDED):
            assert time.monotonic() < end, f"{application} is {state} after {timeout} s"
            time.sleep(0.2)
        return state

    def log(self, application: str, user: str = "alice", timeout: float = 60) -> str:
        """What an ended application wrote, as ``yarn logs`` shows it to its user."""
        end = time.monotonic() + timeout
        while True:
            answer = self.cluster.run(["yarn", "logs", "-applicationId", application], user=user)
            if "End of LogType:application.driver.log" in answer.stdout:
                return answer.stdout
            assert time.monotonic() < end, answer.stdout[-1000:] + answer.stderr[-1000:]
            time.sleep(1)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[LocalHadoop], Skein]]:
    """Starts a driver on a cluster; at the end it kills what was submitted and stops the driver."""
    with contextlib.ExitStack() as stack:

        def start(cluster: LocalHadoop) -> Skein:
            for name, value in {**cluster.environment(), "SKEIN_CONFIG": str(tmp_path / "skein")}.items():
                monkeypatch.setenv(name, value)
            driver = Skein(cluster, tmp_path / "driver.log")
            stack.callback(driver.close)
            return driver

        yield start
