"""Thousands of servers, and a hub that restarts under a thousand.

YARN is a stand-in here (see `fake_yarn`): no machine runs as many servers. Three things are measured, each beside a spawner
that does nothing, which is JupyterHub's own part:

- memory for each server, from the difference between two numbers of servers
- half an hour of a busy hub in some minutes: servers run, start and fail, and all rates but the view's own are as many times
  higher. How late the event loop is, what CPU it takes, and how often YARN is asked
- how long a real hub needs until it serves logins, with a thousand servers and two hundred pending starts, and until all
  servers are its own again

"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from benchmarks.fake_yarn import CHECKOUT, Behaviour, installed, said
from benchmarks.restart import restart
from benchmarks.results import Results

DEFAULT_RUNS = 3
NAMES = {"none": "JupyterHub alone", "yarn": "with YarnSpawner"}
OURS = "YarnSpawner's part"
# Seconds: longer than any measurement, and of the one in which nothing changes.
_NEVER = 1e6
_STANDING = 60.0
# Seconds between two polls of a server, as JupyterHub makes them.
_POLL = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--servers", type=int, default=5000, metavar="N", help="that run (default: %(default)s)")
    parser.add_argument("--starting", type=int, default=200, metavar="N", help="that start (default: %(default)s)")
    parser.add_argument("--failures", type=float, default=50, metavar="N", help="each minute (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=5, metavar="N", help="for half an hour (default: %(default)s)")
    parser.add_argument("--users", type=int, default=1000, metavar="N", help="of the hub that restarts (%(default)s)")
    parser.add_argument("--only", choices=["memory", "load", "restart"], help="default: all three")


def run(options: argparse.Namespace, results: Results) -> None:
    """Measure, and put tables into ``results``."""
    if options.only in {None, "memory"}:
        measure_memory(options, results)
        results.show()
    if options.only in {None, "load"}:
        measure_load(options, results)
        results.show()
    if options.only in {None, "restart"}:
        measure_restart(options, results)


def measure_memory(options: argparse.Namespace, results: Results) -> None:
    few, many = options.servers // 5, options.servers
    table = results.table(f"Memory for each server, from {few} and {many}", unit="kB", digits=1)
    for _ in range(options.runs):
        slopes = {}
        for kind, name in NAMES.items():
            used = {}
            for servers in (few, many):
                with fake(servers, driver_start=0) as (behaviour, environment):
                    used[servers] = worker(kind, behaviour, environment)["memory"]
            slopes[kind] = (used[many] - used[few]) / (many - few) / 1000
            table.add(name, slopes[kind])
        table.add(OURS, slopes["yarn"] - slopes["none"])
    table.goal(f"{OURS}, kB", table.median(OURS), 30)
    results.facts["memory of YarnSpawner's part at 20,000 servers, MB"] = table.median(OURS) * 20


def measure_load(options: argparse.Namespace, results: Results) -> None:
    hurry = 30 / options.minutes
    poll = max(round(_POLL / hurry), 1)  # whole seconds are all that JupyterHub takes
    late = results.table(f"The event loop with {options.servers} servers: late at p99", unit="ms", digits=1)
    busy = results.table("The event loop's own work between two ticks, at p99", unit="ms", digits=1)
    cpu = results.table("CPU", unit="% of a core", digits=1)
    calls = results.table(
        "Calls to YARN, beside one submission and one report for each start and end", unit="per minute"
    )
    for servers in (options.servers // 5, options.servers):
        for kind, name in NAMES.items():
            start = options.starting * 60 / (options.failures * hurry)
            with fake(
                servers,
                accepted=0.9 * start,
                starting=0.1 * start,
                failures=options.failures * hurry if kind == "yarn" else 0,
                driver_start=0,
            ) as (behaviour, environment):
                starting = options.starting
                found = worker(kind, behaviour, environment, starting, options.minutes * 60, poll)
                counted = said(behaviour)["calls"]
            row = f"{servers} servers, {name}"
            late.add(row, found["late"]["p99"] * 1000)
            busy.add(row, found["busy"]["p99"] * 1000)
            cpu.add(row, found["cpu"] * 100)
            results.facts[row] = {**found, "calls": counted}
            if kind == "yarn":
                minutes = (found["seconds"] + poll + 5) / 60
                calls.add(f"{servers} servers", counted.get("getApplications", 0) / minutes)
    # With nothing that starts well or ends: what lists and polls take, with polls at their real rate and at the one above.
    stands = {}
    for interval in (_POLL, poll):
        standing = {}
        for kind, name in NAMES.items():
            with fake(options.servers, accepted=_NEVER, driver_start=0) as (behaviour, environment):
                found = worker(kind, behaviour, environment, options.starting, _STANDING, interval)
            standing[kind] = found["cpu"] * 100
            row = f"{options.servers} servers, {name}, no starts and ends, a poll every {interval} s"
            cpu.add(row, standing[kind])
        stands[interval] = standing["yarn"] - standing["none"]
    whole = f"{options.servers} servers, "
    ours = cpu.median(whole + NAMES["yarn"]) - cpu.median(whole + NAMES["none"])
    late.goal("with YarnSpawner, ms", late.median(whole + NAMES["yarn"]), 20)
    # Starts, ends and polls came as many times as often as on the hub that this is about; lists did not.
    cpu.goal(f"{OURS} in half an hour, % of a core", stands[_POLL] + max(ours - stands[poll], 0) / hurry, 5)
    calls.goal(
        "in terms of those with a fifth of the servers",
        calls.ratio(f"{options.servers} servers", f"{options.servers // 5} servers"),
        1.1,
    )


def measure_restart(options: argparse.Namespace, results: Results) -> None:
    pending = f"{options.users} servers run, and {options.starting} starts are pending"
    serves = results.table(f"A hub restarts, {pending}: until it serves logins", baseline=NAMES["none"], digits=1)
    owns = results.table("Until all running servers are its own again", baseline=NAMES["none"], digits=1)
    later = results.table("How much later it serves logins than JupyterHub alone, in the same turn", digits=1)
    for _ in range(options.runs):
        logins = {}
        for kind, name in NAMES.items():
            with fake(options.users, pending=options.starting) as (behaviour, environment):
                found = restart(kind, behaviour, environment)
            logins[kind] = found.serves
            serves.add(name, found.serves)
            owns.add(name, found.owns)
            results.facts[f"shown as pending, {name}"] = found.pending
        later.add(NAMES["yarn"], logins["yarn"] - logins["none"])
    owns.goal("with YarnSpawner, seconds", owns.median(NAMES["yarn"]), 10)
    later.goal("with YarnSpawner, seconds", later.median(NAMES["yarn"]), 1.5)


@contextmanager
def fake(servers: int, **behaviour: Any) -> Iterator[tuple[Behaviour, dict[str, str]]]:
    """A stand-in for YARN, and the environment in which a hub finds it."""
    from demo.ports import Ports

    ports = Ports()
    with tempfile.TemporaryDirectory(prefix="yarnspawner-benchmark-") as folder:
        chosen = Behaviour(folder, ports.claim(28000), servers, version=version("jupyterhub"), **behaviour)
        try:
            with installed(chosen) as environment:
                yield chosen, {**os.environ, **environment}
        finally:
            ports.close()


def worker(
    kind: str,
    behaviour: Behaviour,
    environment: dict[str, str],
    starting: int = 0,
    seconds: float = 0,
    poll: float = 30,
) -> dict[str, Any]:
    """What `scale_worker` finds."""
    arguments = [kind, behaviour.running, starting, seconds, behaviour.port, poll]
    command = [sys.executable, "-m", "benchmarks.scale_worker", *map(str, arguments)]
    answer = subprocess.run(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return dict(json.loads(answer.stdout))
