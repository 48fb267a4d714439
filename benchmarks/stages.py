"""What took how long in a start, read out of the logs of YARN's daemons and of the container."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path

from localhadoop import LocalHadoop

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d{3})")

#: The stages of a start, each with what ends it.
STAGES = (
    "submission",
    "allocation",
    "localization",
    "application master",
    "recipe",
    "Jupyter",
    "address seen by the hub",
    "hub's own check",
)


def moments(cluster: LocalHadoop, application_id: str) -> dict[str, float]:
    """When each stage up to Jupyter ended, in seconds since the epoch.

    - submission: the ResourceManager has the application
    - allocation: a NodeManager was told to run its container
    - localization: the container's files are there
    - application master: it has registered, which is when it runs its script
    - recipe: Jupyter writes its first line, and so the imports are done
    - Jupyter: it listens; without yarnspawner's recipe, the line that says that it runs
    """
    number = application_id.removeprefix("application_")
    container = f"container_{number}_01_000001"
    daemons = "\n".join(
        line
        for log in sorted((cluster.directory / "logs").glob("*.log"))
        if log.name.startswith(("nodemanager", "resourcemanager"))
        for line in log.read_text(errors="replace").splitlines()
        if number in line
    )
    found = {
        "submission": _when(daemons, f"Storing application with id {application_id}"),
        "allocation": _when(daemons, f"{container} transitioned from NEW to LOCALIZING"),
        "localization": _when(daemons, f"{container} transitioned from LOCALIZING to SCHEDULED"),
        "application master": _when(daemons, f"{application_id} State change from ACCEPTED to RUNNING"),
    }
    jupyter = "\n".join(
        log.read_text(errors="replace")
        for log in cluster.directory.glob(f"nodes/*/logs/{application_id}/{container}/*.log")
    )
    found["recipe"] = _when(jupyter, r"\[[A-Z] ")
    listening = "Listening on" if "Listening on" in jupyter else "is running at"
    found["Jupyter"] = _when(jupyter, listening)
    return found


def durations(asked: float, at: dict[str, float]) -> dict[str, float]:
    """How long each stage took, from moments of which each is the end of a stage.

    A stage that ends before the one above it took no time of its own: they ran side by side.
    """
    took, before = {}, asked
    for stage in STAGES:
        if stage in at:
            took[stage] = max(at[stage] - before, 0.0)
            before = max(at[stage], before)
    return took


def container_log(cluster: LocalHadoop, application_id: str) -> list[Path]:
    """The log files of an application's containers, while the nodes have them."""
    return sorted(cluster.directory.glob(f"nodes/*/logs/{application_id}/*/*"))


def _when(log: str, words: str) -> float:
    """The moment of the first line with these words.

    Raises:
        ValueError: there is none.
    """
    for line in log.splitlines():
        if re.search(words, line) and (stamp := _STAMP.search(line)):
            return _seconds(stamp[1])
    raise ValueError(f"the logs have no line with {words!r}")


def _seconds(stamp: str) -> float:
    moment = datetime.strptime(stamp.replace(",", "."), "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007 - local, as the logs
    return time.mktime(moment.timetuple()) + moment.microsecond / 1e6
