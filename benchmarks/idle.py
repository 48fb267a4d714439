"""The processor time of idle servers: of application masters, and of the recipe, beside a plain Jupyter server.

The plain server idles on the same machine at the same time. What a user's own server uses more than it, is the recipe's. All
figures are means for each server. Processor times are those of the processes, so other work on the machine disturbs them little.
With ``--old``, as many servers of an older revision idle at the same time. With ``--kernels``, each server has as many idle kernels
in containers of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.memory import processes_of
from benchmarks.processes import cpu_seconds
from benchmarks.results import OURS, USER, Results

if TYPE_CHECKING:
    from benchmarks.person import Person
    from localhadoop import LocalHadoop

DEFAULT_RUNS = 1
MASTER, SERVER, KERNELS, PLAIN = "application master", "server", "kernels' containers", "plain jupyter-server"
# Seconds after a start until nothing of it is left to do: the compiler of the application master is the last.
_SETTLED = 30.0
# Seconds for some servers to start, and for YARN to end all.
_LIMIT = 900.0
# MiB of a kernel's container.
_KERNEL_MEMORY = 300
# Servers that start at the same time. More than this, and some are not ready within the timeout of a start.
_AT_ONCE = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from benchmarks import revision

    revision.add_argument(parser)
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="of each run (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=1, metavar="N", help="on one node (default: %(default)s)")
    parser.add_argument("--kernels", type=int, default=0, metavar="N", help="of each server (default: %(default)s)")


def run(options: argparse.Namespace, results: Results) -> None:
    from benchmarks import clusters, revision
    from benchmarks.person import Person

    table = results.table("CPU while idle, for each server", unit="% of a core")
    with ExitStack() as stack:
        # Room for all servers; nothing is used of it until they need it.
        memory = max(4096, 4096 * options.servers) + 2 * options.servers * options.kernels * _KERNEL_MEMORY
        hadoop = stack.enter_context(
            clusters.cluster(
                kerberos=options.kerberos,
                nodes=1,
                memory=memory,
                vcores=32 + 4 * options.servers * (1 + options.kernels),
            )
        )
        # A request for a start does not wait for its server, so that all start at once.
        unlimited = (
            "c.JupyterHub.named_server_limit_per_user = 0\nc.JupyterHub.tornado_settings = {'slow_spawn_timeout': 0}\n"
        )
        if options.kernels:
            unlimited += f'c.YarnSpawner.kernel_profiles = [{{"slug": "small", "memory": "{_KERNEL_MEMORY} M"}}]\n'
        people = {OURS: Person(stack.enter_context(clusters.hub(hadoop, configuration=unlimited)), USER)}
        if options.old:
            code = stack.enter_context(revision.unpacked(options.old))
            hub = stack.enter_context(clusters.hub(hadoop, configuration=unlimited, code=code))
            people[options.old] = Person(hub, USER)
        for turn in range(options.runs):
            found = _idle_together(hadoop, people, options)
            for name, share in found.items():
                table.add(name, share)
            for name in people:
                more = found[f"{name}: {MASTER}"] + found[f"{name}: {SERVER}"] - found[PLAIN]
                table.add(f"{name}: more than the plain server", more)
            results.progress(turn, found)
    if not options.kernels:
        row = f"{OURS}: more than the plain server"
        table.goal(row, table.median(row), 0.3)


def _idle_together(hadoop: LocalHadoop, people: dict[str, Person], options: argparse.Namespace) -> dict[str, float]:
    """Start the servers of all hubs, let them idle and stop them. Return the processor time of each part."""
    processes: dict[str, list[int]] = {}
    known: set[str] = set()
    servers = options.servers
    try:
        for name, person in people.items():
            person.start_many(servers, _LIMIT, at_once=_AT_ONCE)
            person.start_kernels(servers, options.kernels, "yarn-small", _LIMIT)
            running = {application["id"] for application in hadoop.applications(states="RUNNING", user=USER)} - known
            known |= running
            for application in running:
                for part, pids in by_part(application).items():
                    processes.setdefault(f"{name}: {part}", []).extend(pids)
        with plain_server() as plain:
            time.sleep(_SETTLED)
            shares = idle({**processes, PLAIN: [plain]}, options.minutes * 60)
    finally:
        for person in people.values():
            person.stop_many(_LIMIT)
    return {name: share / (1 if name == PLAIN else servers) for name, share in shares.items()}


def by_part(application_id: str) -> dict[str, list[int]]:
    """Return the processes of an application: the Java ones, those of the server, and those of its kernels' containers."""
    parts: dict[str, list[int]] = {}
    for pid, program in processes_of(application_id).items():
        part = MASTER if "java" in program else KERNELS if _in_service(pid) else SERVER
        parts.setdefault(part, []).append(pid)
    return parts


def _in_service(pid: int) -> bool:
    """Return True if a process runs in a container of a skein service. The server runs in the application master's."""
    with suppress(OSError):
        return b"\0SKEIN_CONTAINER_ID=" in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return False


def idle(processes: dict[str, list[int]], seconds: float) -> dict[str, float]:
    """Return the share of a core that processes use, in percent."""
    before = {name: sum(map(cpu_seconds, pids)) for name, pids in processes.items()}
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {name: 100 * (sum(map(cpu_seconds, pids)) - before[name]) / took for name, pids in processes.items()}


@contextmanager
def plain_server() -> Iterator[int]:
    """Run a Jupyter server that nothing has been added to, and yield its process id."""
    with tempfile.TemporaryDirectory(prefix="yarnspawner-benchmark-") as folder:
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--port=0", "--ServerApp.port_retries=0"]
        if os.getuid() == 0:
            command.append("--allow-root")
        environment = {**os.environ, "HOME": folder, "JUPYTER_RUNTIME_DIR": folder}
        with (Path(folder) / "log").open("w") as log:
            server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield server.pid
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)
            server.kill()
            server.wait()
