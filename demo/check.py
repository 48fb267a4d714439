"""What a person would do with the demo, step by step."""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING

from demo.visitor import VisitError, Visitor

if TYPE_CHECKING:
    from demo.hub import Hub
    from demo.terminal import Terminal
    from localhadoop import LocalHadoop

USER = "alice"
END_TIMEOUT = 30  # seconds until YARN says that the application has ended

WHO = "import os; print(os.getuid(), os.environ.get('CONTAINER_ID') or 'no container')"
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


def check(hub: Hub, cluster: LocalHadoop, terminal: Terminal) -> None:
    """Go through all steps.

    Raises:
        VisitError: the first that went wrong.
    """
    visitor = Visitor(hub.address, USER, hub.password)
    with terminal.timed(f"{USER} logs in"):
        visitor.log_in()
    with terminal.timed(f"{USER} starts her server"):
        for message in visitor.start():
            terminal.step(f"    {message}")
    with terminal.timed("She opens it") as result:
        result(visitor.open_lab())
    with terminal.timed("She runs a cell") as result:
        uid, _, container = visitor.run(WHO).strip().partition(" ")
        expected = pwd.getpwnam(USER).pw_uid if cluster.kerberos else os.getuid()
        if not container.startswith("container_") or int(uid) != expected:
            raise VisitError(f"it ran as uid {uid} in {container}, where uid {expected} in a container was expected")
        result(f"uid {uid} ({pwd.getpwuid(int(uid)).pw_name}) in {container}")
    with terminal.timed("She writes a file to HDFS and reads it back") as result:
        printed = visitor.run(HDFS).strip()
        if printed != f"{USER}: hello from a notebook":
            raise VisitError(f"the cell printed {printed!r}")
        result(printed)
    with terminal.timed("She stops her server"):
        visitor.stop()
    with terminal.timed("YARN says that the application has ended in order") as result:
        result(_end_of_application(cluster))


def _end_of_application(cluster: LocalHadoop) -> str:
    end = time.monotonic() + END_TIMEOUT
    while True:
        found = [(app["id"], app["user"], app["state"], app["finalStatus"]) for app in cluster.applications()]
        if [application[1:] for application in found] == [(USER, "FINISHED", "SUCCEEDED")]:
            return " ".join(found[0])
        if time.monotonic() > end:
            raise VisitError(f"YARN has these applications: {found}")
        time.sleep(0.5)
