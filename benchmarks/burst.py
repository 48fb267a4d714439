"""Fifty users press start in the same second, and then stop.

The hub's way (a :class:`yarnspawner.skein_driver.Cluster`, with one or more submission drivers) beside today's skein (one
``skein.Client``, asked by fifty threads at once), in turns, on a real ResourceManager and HDFS. Both submit the same
application, the one that the spawner makes; the hub's way also makes the credentials of each, as a start does.

The cluster's nodes are taken away first, so that what is submitted waits in its queue: on a site the containers start on
other machines than the hub's, and here fifty application masters on the same cores would be most of what is measured.
With ``--containers`` the nodes stay.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import skein

from benchmarks.clusters import cluster as some_cluster
from benchmarks.processes import cpu_seconds
from benchmarks.results import Results
from localhadoop import LocalHadoop
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.launch.specification import ServerRequest, application_specification, environment_file
from yarnspawner.skein_driver import Cluster
from yarnspawner.state.credentials import Credentials
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.terminator import ApplicationTerminator

DEFAULT_RUNS = 3
BASELINE = "skein.Client, one driver"
USER = "alice"
# Seconds between two reports that are asked for meanwhile.
REPORT_PAUSE = 0.05
_LOG = logging.getLogger("benchmarks.burst")


@dataclass
class Burst:
    """What one burst took, in seconds."""

    way: str
    submitted: float = 0
    stopped: float = 0
    report_while_starting: float = 0  # the longest wait
    report_while_stopping: float = 0
    cpu_of_start: float = 0  # of the drivers, for each application
    cpu_of_stop: float = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users", type=int, default=50, metavar="N", help="how many at once (default: %(default)s)")
    parser.add_argument(
        "--drivers", type=int, nargs="+", default=[1, 2, 3, 4], metavar="N", help="submission drivers to compare"
    )
    parser.add_argument("--containers", action="store_true", help="let the applications' containers start")


def run(options: argparse.Namespace, results: Results) -> None:
    """Measure each way in turns, and put tables into ``results``."""
    titles = {
        "submitted": f"{options.users} starts at once: until YARN has taken the last",
        "stopped": f"{options.users} stops at once: until the last has ended",
        "report_while_starting": "The longest wait for a report while they start",
        "report_while_stopping": "The longest wait for a report while they stop",
        "cpu_of_start": "The drivers' CPU time for a start",
        "cpu_of_stop": "The drivers' CPU time for a stop",
    }
    tables = {name: results.table(title, baseline=BASELINE) for name, title in titles.items()}
    with (
        some_cluster(kerberos=options.kerberos, nodes=2, memory=65536, vcores=1000) as hadoop,
        waiting(hadoop, containers=options.containers),
        tempfile.TemporaryDirectory() as folder,
    ):
        hub_user = hub_account(hadoop.principal("jupyterhub") or "")
        identity: dict[str, Any] = {}
        if hadoop.kerberos:
            identity = {"principal": str(hadoop.principal("jupyterhub")), "keytab": str(hadoop.keytab("jupyterhub"))}
        environment = Path(folder) / "environment"
        environment.write_text(environment_file({f"VARIABLE_{number}": "value" * 8 for number in range(40)}))

        def make(credentials: Credentials) -> skein.ApplicationSpec:
            return specification(environment, credentials, hub_user)

        for _ in range(options.runs):
            with closing(SkeinBurst(identity, make, options.users)) as burst:
                note(tables, burst.run())
            for drivers in options.drivers:
                note(tables, HubBurst(identity, make, options.users, drivers).run())
    default = way(2)
    if 2 in options.drivers:
        tables["submitted"].goal("with the default, in terms of today's skein", tables["submitted"].ratio(default), 0.5)
        tables["stopped"].goal("with the default, in terms of today's skein", tables["stopped"].ratio(default), 0.5)
        for name in ("report_while_starting", "report_while_stopping"):
            tables[name].goal("with the default, seconds", max(tables[name].rows[default]), 0.5)


def note(tables: dict[str, Any], burst: Burst) -> None:
    print(f"{burst.way}: started in {burst.submitted:.1f} s, stopped in {burst.stopped:.1f} s", flush=True)
    for name, table in tables.items():
        table.add(burst.way, getattr(burst, name))


def way(drivers: int) -> str:
    return f"{drivers} submission driver{'s' * (drivers > 1)}"


@contextmanager
def waiting(hadoop: LocalHadoop, *, containers: bool) -> Iterator[None]:
    """A cluster without nodes for the time of the context."""
    if not containers:
        for node in hadoop.node_managers:
            node.stop()
    try:
        yield
    finally:
        if not containers and os.environ.get("LOCALHADOOP_KERBEROS" if hadoop.kerberos else "LOCALHADOOP_SIMPLE"):
            hadoop.restore()


def specification(environment: Path, credentials: Credentials, hub_user: str) -> skein.ApplicationSpec:
    """The application of a server, whose script only waits."""
    request = ServerRequest(
        name="burst",
        user=USER,
        hub_user=hub_user,
        queue="default",
        memory=64 << 20,
        application_master_memory=192 << 20,
        vcores=1,
        tags=frozenset({"burst"}),
        script="sleep 3600",
        environment_path=str(environment),
        credentials=credentials,
        java_options="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto",
    )
    return application_specification(request)


class SkeinBurst:
    """Today's skein: one client with one driver, and a thread for each user."""

    def __init__(
        self, identity: dict[str, Any], make: Callable[[Credentials], skein.ApplicationSpec], count: int
    ) -> None:
        self._client: Any = skein.Client(security=skein.Security.new_credentials(), log=False, **identity)
        credentials = Credentials.new()
        self._make: Callable[[], skein.ApplicationSpec] = lambda: make(credentials)
        self._count = count

    def close(self) -> None:
        self._client.close()

    def run(self) -> Burst:
        result = Burst(BASELINE)
        self._warm_up()
        specs = [self._make() for _ in range(self._count)]
        watched = self._client.submit(self._make())
        cpu = [self._cpu()]
        with ThreadPoolExecutor(self._count) as threads:
            took, waits, ids = self._meanwhile(watched, lambda: list(threads.map(self._client.submit, specs)))
            result.submitted, result.report_while_starting = took, waits
            cpu.append(self._cpu())
            took, waits, _ = self._meanwhile(watched, lambda: list(threads.map(self._kill, ids)))
            result.stopped, result.report_while_stopping = took, waits
            cpu.append(self._cpu())
        result.cpu_of_start, result.cpu_of_stop = (used / self._count for used in differences(cpu))
        self._kill(watched)
        return result

    def _cpu(self) -> float:
        return cpu_seconds(self._client._proc.pid)  # noqa: SLF001

    def _warm_up(self) -> None:
        for application_id in [self._client.submit(self._make()) for _ in range(2)]:
            self._kill(application_id)

    def _kill(self, application_id: str) -> None:
        self._client.kill_application(application_id, user=USER)

    def _meanwhile(self, watched: str, what: Callable[[], Any]) -> tuple[float, float, Any]:
        waits, done = [0.0], threading.Event()

        def report() -> None:
            while not done.wait(REPORT_PAUSE):
                asked = time.monotonic()
                self._client.application_report(watched)
                waits.append(time.monotonic() - asked)

        reporting = threading.Thread(target=report, daemon=True)
        reporting.start()
        began = time.monotonic()
        try:
            answer = what()
            return time.monotonic() - began, max(waits), answer
        finally:
            done.set()
            reporting.join()


class HubBurst:
    """The hub's way: lanes, and the view of all applications."""

    def __init__(
        self, identity: dict[str, Any], make: Callable[[Credentials], skein.ApplicationSpec], count: int, drivers: int
    ) -> None:
        self._identity = identity
        self._make = make
        self._count = count
        self._drivers = drivers

    def run(self) -> Burst:
        return asyncio.run(self._run())

    async def _run(self) -> Burst:
        result = Burst(way(self._drivers))
        cluster = Cluster(submission_drivers=self._drivers, log=_LOG, **self._identity)
        view = ApplicationReflector(cluster, log=_LOG)
        ending = ApplicationTerminator(cluster, view, log=_LOG)

        async def start() -> str:
            return await cluster.submit(self._make(Credentials.new()))

        async def stop(application_id: str) -> None:
            await ending.terminate(application_id, USER)

        try:
            warm = await asyncio.gather(*(start() for _ in range(2 * self._drivers)))
            await asyncio.gather(*(stop(application_id) for application_id in warm))
            watched = await start()
            view.watch(watched)
            cpu = [_cpu_of_drivers(cluster)]
            took, wait, ids = await self._meanwhile(cluster, watched, [start() for _ in range(self._count)])
            result.submitted, result.report_while_starting = took, wait
            cpu.append(_cpu_of_drivers(cluster))
            for application_id in ids:
                view.watch(application_id)
            await view.status(ids[-1])
            took, wait, _ = await self._meanwhile(cluster, watched, [stop(application_id) for application_id in ids])
            result.stopped, result.report_while_stopping = took, wait
            cpu.append(_cpu_of_drivers(cluster))
            result.cpu_of_start, result.cpu_of_stop = (used / self._count for used in differences(cpu))
            await stop(watched)
        finally:
            await view.close()
            await cluster.close()
        return result

    async def _meanwhile(self, cluster: Cluster, watched: str, what: list[Any]) -> tuple[float, float, list[str]]:
        waits = [0.0]

        async def report() -> None:
            while True:
                await asyncio.sleep(REPORT_PAUSE)
                asked = time.monotonic()
                await cluster.report(watched)
                waits.append(time.monotonic() - asked)

        reporting = asyncio.create_task(report())
        began = time.monotonic()
        try:
            answers = await asyncio.gather(*what)
            return time.monotonic() - began, max(waits), answers
        finally:
            reporting.cancel()
            await asyncio.wait({reporting})


def _cpu_of_drivers(cluster: Cluster) -> float:
    drivers = [slot._driver for slot in cluster._slots]  # noqa: SLF001
    return sum(cpu_seconds(driver.pid) for driver in drivers if driver is not None)


def differences(values: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]
