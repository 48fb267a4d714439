"""Thousands of servers, and a hub that restarts under a thousand.

YARN is a stand-in here (see `fake_yarn`): no machine runs as many servers. Three things are measured, each beside a spawner
that does nothing, which is JupyterHub's own part:

- memory for each server, from the difference between two numbers of servers
- half an hour of a busy hub in some minutes: servers run, start and fail, and all rates but the view's own are as many times
  higher. How late the event loop is, what CPU it takes, and how often YARN is asked
- how long a real hub needs until all of a thousand servers are its own again

"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.fake_yarn import CHECKOUT, Behaviour, installed, said
from benchmarks.results import Results

DEFAULT_RUNS = 3
NAMES = {"none": "JupyterHub alone", "yarn": "with YarnSpawner"}
OURS = "YarnSpawner's part"
# Seconds for a hub to find a thousand servers again; after that something is wrong.
_RESTART = 300.0
# Seconds: longer than any measurement, and of the one in which nothing changes.
_NEVER = 1e6
_STANDING = 60.0


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
    poll = max(round(30 / hurry), 1)  # whole seconds are all that JupyterHub takes
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
    # With nothing that starts well or ends: what lists and polls take, which come at their real rate there.
    standing = {}
    for kind, name in NAMES.items():
        with fake(options.servers, accepted=_NEVER, driver_start=0) as (behaviour, environment):
            found = worker(kind, behaviour, environment, options.starting, _STANDING, 30)
        standing[kind] = found["cpu"] * 100
        cpu.add(f"{options.servers} servers, {name}, and no starts and ends", standing[kind])
    whole = f"{options.servers} servers, "
    ours = cpu.median(whole + NAMES["yarn"]) - cpu.median(whole + NAMES["none"])
    stands = standing["yarn"] - standing["none"]
    late.goal("with YarnSpawner, ms", late.median(whole + NAMES["yarn"]), 20)
    # Starts and ends came as many times as often as on the hub that this is about; lists did not.
    cpu.goal(f"{OURS} in half an hour, % of a core", stands + max(ours - stands, 0) / hurry, 5)
    calls.goal(
        "in terms of those with a fifth of the servers",
        calls.ratio(f"{options.servers} servers", f"{options.servers // 5} servers"),
        1.1,
    )


def measure_restart(options: argparse.Namespace, results: Results) -> None:
    table = results.table(
        f"A hub restarts: until all of {options.users} servers are its own again", baseline=NAMES["none"], digits=1
    )
    for _ in range(options.runs):
        for kind, name in NAMES.items():
            with fake(options.users) as (behaviour, environment):
                table.add(name, restart(kind, behaviour, environment))
    table.goal("with YarnSpawner, seconds", table.median(NAMES["yarn"]), 10)


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


CONFIGURATION = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{proxy}"
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.JupyterHub.db_url = "sqlite:///{folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "{spawner}"
c.YarnSpawner.resource_manager_url = "http://127.0.0.1:{web}"
"""
SPAWNERS = {"none": "benchmarks.scale_worker.Idle", "yarn": "yarnspawner.YarnSpawner"}


def restart(kind: str, behaviour: Behaviour, environment: dict[str, str]) -> float:
    """Seconds from the start of a hub until all users' servers, that its database has, are found to run."""
    from demo.ports import Ports

    ports = Ports()
    folder = Path(behaviour.folder)
    fill_database(kind, behaviour)
    configuration = folder / "jupyterhub_config.py"
    configuration.write_text(
        CONFIGURATION.format(
            proxy=ports.claim(18000),
            hub=ports.claim(18100),
            api=ports.claim(18200),
            folder=folder,
            spawner=SPAWNERS[kind],
            web=behaviour.port,
        )
    )
    environment = {
        **environment,
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
    }
    found = 0
    began = time.monotonic()
    hub = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(configuration)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert hub.stdout is not None
        for line in hub.stdout:
            found += bool(re.search(r"\] user\d+ still running", line))
            if found == behaviour.running:
                return time.monotonic() - began
            if time.monotonic() - began > _RESTART:
                break
        raise RuntimeError(f"the hub found {found} of {behaviour.running} servers")
    finally:
        hub.terminate()
        hub.communicate()
        ports.close()


def fill_database(kind: str, behaviour: Behaviour) -> None:
    """What a hub leaves behind that had all these servers."""
    from jupyterhub import orm, roles

    from benchmarks.scale_worker import running_state
    from yarnspawner.state.credentials import Credentials
    from yarnspawner.state.seal import Seal

    folder = Path(behaviour.folder)
    secret = secrets.token_bytes(32)
    file = folder / "cookie_secret"
    file.write_text(secret.hex())
    file.chmod(0o600)
    seal, credentials = Seal(secret), Credentials.new()
    with orm.new_session_factory(f"sqlite:///{folder}/jupyterhub.sqlite")() as db:
        # Without them it would be taken for the database of a version without roles, and converted user by user.
        for role in roles.get_default_roles():
            roles.create_role(db, role)
        member = orm.Role.find(db, "user")
        for number in range(behaviour.running):
            user = orm.User(name=f"user{number}", roles=[member])
            db.add(user)
            state = running_state(number, behaviour.port, credentials, seal) if kind == "yarn" else {}
            server = orm.Server(base_url=f"/user/user{number}/", proto="http", ip="127.0.0.1", port=behaviour.port)
            db.add(orm.Spawner(name="", user=user, state=state, server=server))
        db.commit()
