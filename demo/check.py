"""What a person would do with the demo, step by step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from demo.visitor import VisitError, Visitor

if TYPE_CHECKING:
    from demo.terminal import Terminal

USER = "alice"
END_TIMEOUT = 30  # seconds until YARN says that the application has ended

WHO = """
import os, pwd
print(os.getuid(), pwd.getpwuid(os.getuid()).pw_name, os.environ.get("CONTAINER_ID") or "no container")
"""
HDFS = """
import subprocess
def hdfs(*arguments, **options):
    done = subprocess.run(["hdfs", "dfs", *arguments], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
hdfs("-put", "-f", "-", "greeting.txt", input="hello from a notebook")
owner = hdfs("-stat", "%u", "greeting.txt").strip()
print(f"{owner}: {hdfs('-cat', 'greeting.txt')}")
"""


class Cluster(Protocol):
    """What the check asks a cluster for."""

    def applications(self) -> list[dict[str, Any]]:
        """Return all applications as the ResourceManager's REST interface describes them."""


def check(visitor: Visitor, cluster: Cluster, account: str, terminal: Terminal) -> None:
    """Go through all steps. Containers are expected to run as ``account``.

    Raises:
        VisitError: the first that went wrong.
    """
    name = visitor.name
    earlier = {application["id"] for application in cluster.applications()}
    with terminal.timed(f"{name} logs in"):
        visitor.log_in()
    with terminal.timed(f"{name} starts her server"):
        for message in visitor.start():
            terminal.step(f"    {message}")
    with terminal.timed("She opens it") as result:
        result(visitor.open_lab())
    with terminal.timed("She runs a cell") as result:
        uid, found, container = visitor.run(WHO).strip().split(" ", 2)
        if not container.startswith("container_") or found != account:
            raise VisitError(f"it ran as {found} in {container}, where {account} in a container was expected")
        result(f"uid {uid} ({found}) in {container}")
    with terminal.timed("She writes a file to HDFS and reads it back") as result:
        printed = visitor.run(HDFS).strip()
        if printed != f"{name}: hello from a notebook":
            raise VisitError(f"the cell printed {printed!r}")
        result(printed)
    with terminal.timed("She stops her server"):
        visitor.stop()
    with terminal.timed("YARN says that the application has ended in order") as result:
        result(_end_of_application(cluster, name, earlier))


def _end_of_application(cluster: Cluster, name: str, earlier: set[str]) -> str:
    end = time.monotonic() + END_TIMEOUT
    while True:
        found = [
            (app["id"], app["user"], app["state"], app["finalStatus"])
            for app in cluster.applications()
            if app["id"] not in earlier
        ]
        if [application[1:] for application in found] == [(name, "FINISHED", "SUCCEEDED")]:
            return " ".join(found[0])
        if time.monotonic() > end:
            raise VisitError(f"YARN has these applications: {found}")
        time.sleep(0.5)
