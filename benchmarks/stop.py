"""A user presses Stop: the time until the server is gone, in order or killed.

In order: the server ends its idle kernel and itself, as the hub asks it to. Killed: YARN ends the container at once, which is
what ``stop_timeout = 0`` does. Both are seen by the user: from the request to the hub that has no such server any more.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.clusters import cluster, hub
from benchmarks.person import Person
from benchmarks.results import Results
from demo.hub import Hub
from localhadoop import LocalHadoop

DEFAULT_RUNS = 10
# Seconds between two looks at the hub, which answers in some milliseconds.
LOOK = 0.02
# Seconds after which something is wrong.
_LONG = 120.0
WAYS = {"in order": ("", 2.0), "killed": ("c.YarnSpawner.stop_timeout = 0", 1.0)}


def run(options: argparse.Namespace, results: Results) -> None:
    """Measure, and put tables into ``results``."""
    table = results.table("From Stop to gone")
    with cluster(kerberos=options.kerberos) as hadoop:
        for name, (configuration, limit) in WAYS.items():
            with hub(hadoop, configuration=configuration) as started:
                table.extend(name, stops(hadoop, started, options.runs))
            table.goal(f"{name}, seconds", table.median(name), limit)


def stops(hadoop: LocalHadoop, started: Hub, runs: int) -> list[float]:
    """How long each stop took."""
    took = []
    for _ in range(runs):
        person = Stopper(started, "alice")
        person.start()
        person.open_lab()
        assert person.run("print(6 * 7)").strip() == "42"
        took.append(person.press_stop())
        print(f"stopped in {took[-1]:.2f} s", flush=True)
    return took


class Stopper(Person):
    """Presses Stop and watches the clock."""

    def press_stop(self) -> float:
        """Seconds until the server is gone."""
        address = f"/hub/api/users/{self.name}"
        began = time.monotonic()
        self._call("DELETE", f"{address}/server")
        while self._call("GET", address)["servers"]:
            if time.monotonic() - began > _LONG:
                raise TimeoutError("the server is not gone")
            time.sleep(LOOK)
        return time.monotonic() - began
