"""What a user's container holds beside the user's own server: application master, recipe and shells.

The baseline is skein's application master with default options beside a bare ``jupyterhub-singleuser``, in turns. PSS, a
process's own pages and its share of those that it shares with others, and RSS are read when the server has been idle for
some seconds.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import FLOOR, OURS, USER, Results

DEFAULT_RUNS = 5

IDLE = 10.0  # seconds until both measure, which is after the last of their garbage


@dataclass(frozen=True)
class Resident:
    """MiB of one container's processes.

    Attributes:
        master: the application master's Java process.
        server: the Python process that is the user's server; the recipe is in it.
        rest: shells and the like.
    """

    master: float
    server: float
    rest: float


def run(options: argparse.Namespace, results: Results) -> None:
    from benchmarks.turns import Ground

    with Ground.prepared(kerberos=options.kerberos) as ground:
        person, script = ground.person, ground.script
        found: dict[str, list[dict[str, Resident]]] = {OURS: [], FLOOR: []}
        for turn in range(options.runs):
            person.start()
            (application,) = ground.cluster.applications(states="RUNNING", user=USER)
            time.sleep(IDLE)
            found[OURS].append(resident(application["id"]))
            person.stop()
            server = script.submit()
            script.wait(server)
            time.sleep(IDLE)
            found[FLOOR].append(resident(server.application_id))
            script.end(server)
            time.sleep(2)
            results.progress(turn, {name: taken[-1]["Pss"].master for name, taken in found.items()})
    for kind in ("Pss", "Rss"):
        _tell(results, kind, {name: [taken[kind] for taken in all_taken] for name, all_taken in found.items()})


def _tell(results: Results, kind: str, found: dict[str, list[Resident]]) -> None:
    parts: dict[str, Callable[[Resident], float]] = {
        "application master": lambda taken: taken.master,
        "server": lambda taken: taken.server,
        "shells": lambda taken: taken.rest,
    }
    table = results.table(f"{kind.upper()} by process", unit="MiB", digits=0)
    for name, all_taken in found.items():
        for part, of in parts.items():
            table.extend(f"{name}: {part}", [of(taken) for taken in all_taken])
    server = table.median(f"{FLOOR}: server")
    beside = results.table(f"{kind.upper()} beside the user's own server", unit="MiB", digits=0, baseline=FLOOR)
    beside.extend(FLOOR, [taken.master + taken.rest for taken in found[FLOOR]])
    # The recipe is what the server takes more than a bare one.
    beside.extend(OURS, [taken.master + taken.rest + taken.server - server for taken in found[OURS]])
    if kind == "Pss":
        beside.goal("the median, in terms of the bare script's", beside.ratio(OURS), 0.67)


def resident(application_id: str) -> dict[str, Resident]:
    """What an application's processes on this machine hold, by ``Pss`` and ``Rss``.

    Processes are found by the application's id in their environment, which this account must be able to read.
    """
    sizes: dict[str, dict[str, float]] = {kind: {"java": 0.0, "python": 0.0, "": 0.0} for kind in ("Pss", "Rss")}
    for pid, program in processes_of(application_id).items():
        kind = next((kind for kind in ("java", "python") if kind in program), "")
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            for name, size in re.findall(r"^(Pss|Rss): +(\d+) kB", rollup, re.MULTILINE):
                sizes[name][kind] += int(size) / 1024
    return {name: Resident(size["java"], size["python"], size[""]) for name, size in sizes.items()}


def processes_of(application_id: str) -> dict[int, str]:
    """Return the names of the programs of an application's processes on this machine, by process id."""
    mark = f"SKEIN_APPLICATION_ID={application_id}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                program = (process / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                found[int(process.name)] = Path(program).name
    return found
