"""What a list of YARN's applications costs, on a ResourceManager with a thousand that have ended and two hundred that wait.

One list of all that has not ended is the one call by which the hub follows its servers, so its cost decides how often it is
made. Measured: the hub's own call through a driver, its size, the CPU time that the ResourceManager, the driver and the hub
spend on it, and beside it a report of a single application. The applications are real, but run nowhere: the cluster's nodes
are taken away.

With ``--others``, as many applications of other programs wait as well, as on a busy cluster: up to a thousand in the queue of the
hub, more in other queues. Then the count of the applications that wait in a queue is measured too.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from benchmarks.burst import USER, specification, waiting
from benchmarks.clusters import cluster as some_cluster
from benchmarks.clusters import until
from benchmarks.processes import cpu_seconds
from benchmarks.results import Results
from localhadoop import LocalHadoop
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.resourcemanager import ResourceManager
from yarnspawner.launch.specification import environment_file
from yarnspawner.skein_driver import Cluster
from yarnspawner.state.credentials import Credentials

DEFAULT_RUNS = 5
# Lists in a row, for which CPU time is counted.
IN_A_ROW = 20
# Room for all applications in one queue.
_MANY = "100000"
# Queues of the applications of others. For each application that comes, the scheduler looks at all that wait in its queue, so
# ten thousand in one queue take it many minutes.
_IN_A_QUEUE = 1000
# How many are submitted, or ended, at a time.
_AT_ONCE = 16
# Seconds for the scheduler to accept the applications of others.
_LIMIT = 900.0
# In the driver's and the ResourceManager's terms; what the view asks for.
INTERVALS = {"soon": 0.2, "fast": 0.5, "slow": 5.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ended", type=int, default=1000, metavar="N", help="default: %(default)s")
    parser.add_argument("--waiting", type=int, default=200, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--others", type=int, default=0, metavar="N", help="of other programs, on the simple cluster (default: none)"
    )


def run(options: argparse.Namespace, results: Results) -> None:
    """Measure, and put tables into ``results``."""
    if options.others and options.kerberos:
        raise SystemExit("benchmarks: --others submits without Kerberos; leave out --kerberos")
    with (
        some_cluster(
            kerberos=options.kerberos, memory=65536, vcores=1000, properties=properties(options.others)
        ) as hadoop,
        waiting(hadoop, containers=False),
        tempfile.TemporaryDirectory() as folder,
    ):
        asyncio.run(measure(options, results, hadoop, Path(folder)))
        # The end of a ResourceManager with thousands of applications takes long, and may fail.
        results.show()


def properties(others: int) -> dict[str, str]:
    """Return the properties of a cluster with room for all applications, and queues for those of others."""
    prefix = "yarn.scheduler.capacity"
    more = [name for name in other_queues(others) if name != "default"]
    made = {
        f"{prefix}.maximum-applications": _MANY,
        f"{prefix}.root.default.maximum-applications": _MANY,
        f"{prefix}.root.queues": ",".join(["default", "small", "stopped", *more]),
    }
    for name in more:
        made[f"{prefix}.root.{name}.capacity"] = "0"
        made[f"{prefix}.root.{name}.maximum-applications"] = _MANY
    return made


def other_queues(others: int) -> list[str]:
    """Return the queues in which so many applications of others wait: the hub's, or other ones if they are too many for it."""
    if others <= _IN_A_QUEUE:
        return ["default"]
    return [f"busy{number}" for number in range(math.ceil(others / _IN_A_QUEUE))]


async def measure(options: argparse.Namespace, results: Results, hadoop: LocalHadoop, folder: Path) -> None:
    identity: dict[str, Any] = {}
    if hadoop.kerberos:
        identity = {"principal": str(hadoop.principal("jupyterhub")), "keytab": str(hadoop.keytab("jupyterhub"))}
    hub_user = hub_account(hadoop.principal("jupyterhub") or "")
    environment = folder / "environment"
    environment.write_text(environment_file({"VARIABLE": "value"}))
    cluster = Cluster(submission_drivers=3, **identity)
    kept: list[str] = []

    async def submit() -> str:
        application_id = await cluster.submit(specification(environment, Credentials.new(), hub_user))
        kept.append(application_id)
        return application_id

    async def come_and_go() -> None:
        application_id = await submit()
        await cluster.kill(application_id, USER)
        kept.remove(application_id)

    try:
        empty = await lists(cluster, hadoop, options.runs)
        await in_turns(come_and_go, options.ended)
        print(f"{options.ended} applications have ended", flush=True)
        await in_turns(submit, options.waiting)
        print(f"{options.waiting} applications wait", flush=True)
        # Last, because the scheduler is busy with them for minutes, and YARN answers slowly meanwhile.
        if options.others:
            await asyncio.to_thread(submit_others, hadoop.active_resource_manager_url(), options.others)
            waiting_now = options.others + options.waiting
            await asyncio.to_thread(wait_accepted, hadoop.active_resource_manager_url(), waiting_now)
            print(f"{options.others} applications of others wait", flush=True)
        full = await lists(cluster, hadoop, options.runs)
        reports = [await timed(cluster.report(kept[0])) for _ in range(options.runs * IN_A_ROW)]
        counted = await counts(hadoop, options.runs) if options.others else {}
    finally:
        await asyncio.gather(*(cluster.kill(application_id, USER) for application_id in kept), return_exceptions=True)
        await cluster.close()

    table = results.table("One call", unit="ms", digits=1)
    there = f"a list: {options.ended} have ended, {options.waiting} wait"
    table.extend("a list: no applications", (1000 * took for took in empty["took"]))
    table.extend(there, (1000 * took for took in full["took"]))
    table.extend("a report of one", (1000 * took for took in reports))
    cpu = results.table(f"CPU time of a list: {options.ended} have ended, {options.waiting} wait", unit="ms", digits=2)
    for name in ("ResourceManager", "driver", "hub"):
        cpu.extend(name, (1000 * used for used in full[name]))
    shares = results.table("The view's share of a core of the ResourceManager", unit="%", digits=2)
    for name, interval in INTERVALS.items():
        shares.extend(
            f"{name}: a list every {interval:g} s", (100 * used / interval for used in full["ResourceManager"])
        )
    if counted:
        results.facts["applications of others"] = options.others
        table = results.table("A count of the applications that wait in a queue", unit="ms", digits=1)
        for name, values in counted.items():
            table.extend(name, (1000 * value for value in values))
    results.facts["bytes"] = {"empty": empty["bytes"], "full": full["bytes"]}
    # By the view's own rule, a list of this length decides how soon the next one is made.
    soon = 20 * statistics.median(full["took"]) <= INTERVALS["soon"]
    name = "soon: a list every 0.2 s" if soon else "fast: a list every 0.5 s"
    shares.goal("while something starts, %", shares.median(name), 5)


async def lists(cluster: Cluster, hadoop: LocalHadoop, runs: int) -> dict[str, Any]:
    """How long lists take, how long they are, and what CPU time they take of whom, for each."""
    await cluster.active()
    driver = cluster._slots[0]._driver  # noqa: SLF001
    assert driver is not None
    pids = {"ResourceManager": hadoop.daemons["resourcemanager"].pid, "driver": driver.pid, "hub": "self"}
    found: dict[str, Any] = {"took": [], **{name: [] for name in pids}}
    for _ in range(runs):
        before = {name: cpu_seconds(pid) for name, pid in pids.items() if pid}
        found["took"] += [await timed(cluster.active()) for _ in range(IN_A_ROW)]
        for name, used in before.items():
            found[name].append((cpu_seconds(pids[name] or "self") - used) / IN_A_ROW)
    found["bytes"] = len(await cluster._list(("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")))  # noqa: SLF001
    return found


async def counts(hadoop: LocalHadoop, runs: int) -> dict[str, list[float]]:
    """What it takes to count the applications that wait in a queue, until the answer and of the processes' CPU time."""
    client = ResourceManager([hadoop.active_resource_manager_url()])
    found: dict[str, list[float]] = {"took": [], "ResourceManager": [], "hub": []}
    pids: dict[str, int | str] = {"ResourceManager": hadoop.daemons["resourcemanager"].pid or 0, "hub": "self"}
    try:
        for _ in range(runs):
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            found["took"].append(await timed(client.pending_applications("default")))
            for name, used in before.items():
                found[name].append(cpu_seconds(pids[name]) - used)
    finally:
        client.close()
    return found


def submit_others(resource_manager: str, count: int) -> None:
    """Submit applications that are not skein's, as another user, by the ResourceManager's web service."""
    queues = other_queues(count)

    def submit(number: int) -> None:
        with requests.Session() as session:
            made = session.post(f"{resource_manager}/ws/v1/cluster/apps/new-application?user.name=bob", timeout=60)
            made.raise_for_status()
            document = {
                "application-id": made.json()["application-id"],
                "application-name": f"query {number}",
                "application-type": "SPARK",
                "am-container-spec": {"commands": {"command": "sleep 1"}},
                "resource": {"memory": 256, "vCores": 1},
                "queue": queues[number % len(queues)],
            }
            address = f"{resource_manager}/ws/v1/cluster/apps?user.name=bob"
            session.post(address, json=document, timeout=60).raise_for_status()

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(submit, range(count)))


def wait_accepted(resource_manager: str, count: int) -> None:
    """Wait until the scheduler has so many applications. It takes them one after the other."""

    def accepted() -> bool:
        metrics = requests.get(f"{resource_manager}/ws/v1/cluster/metrics", timeout=60).json()
        return int(metrics["clusterMetrics"]["appsPending"]) >= count

    until(accepted, _LIMIT, "applications to be accepted", pause=5)


async def timed(call: Any) -> float:
    began = time.monotonic()
    await call
    return time.monotonic() - began


async def in_turns(what: Any, count: int) -> None:
    """Do something that many times, some at a time."""
    left = iter(range(count))

    async def go_on() -> None:
        for _ in left:
            await what()

    await asyncio.gather(*(go_on() for _ in range(_AT_ONCE)))
