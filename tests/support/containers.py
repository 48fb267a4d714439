"""The processes of containers on this machine's nodes, found and ended as a test wants it."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from localhadoop import LocalHadoop
from localhadoop.daemons import Daemon
from tests.support.hub_user import unfinished


def application_of(cluster: LocalHadoop, user: str) -> dict[str, Any]:
    """The only unfinished application of a user, as the ResourceManager describes it."""
    (application_id,) = unfinished(cluster, user)
    return next(app for app in cluster.applications() if app["id"] == application_id)


def node_of(cluster: LocalHadoop, application_id: str) -> Daemon:
    """The NodeManager that has an application's master."""
    attempts = cluster.get(f"{cluster.active_resource_manager_url()}/ws/v1/cluster/apps/{application_id}/appattempts")
    latest = max(attempts["appAttempts"]["appAttempt"], key=lambda attempt: int(attempt["id"]))
    return next(node for node in cluster.node_managers if node.address == latest["nodeId"])


def processes(application_id: str) -> dict[int, str]:
    """The command lines of all processes of an application's containers, kernels included, by their process ids."""
    found = {}
    # After a restart of the ResourceManager its epoch stands before the application's number: container_e02_...
    number = application_id.removeprefix("application").encode()
    mark = re.compile(rb"(?:^|\0)CONTAINER_ID=container(?:_e\d+)?" + number + rb"_")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if mark.search((process / "environ").read_bytes()):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended meanwhile
    return found


def kill(application_id: str, which: str = "") -> None:
    """End those of an application's processes whose command line has a word in it: all without one."""
    chosen = [pid for pid, command in processes(application_id).items() if which in command]
    assert chosen, f"{application_id} has no process {which}"
    for pid in chosen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
