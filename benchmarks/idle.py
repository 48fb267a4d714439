"""The processor time of an idle server: of its application master, and of the recipe, beside a plain Jupyter server.

The plain server idles on the same machine at the same time. What the user's own server uses more than it, is the recipe's.
Processor times are those of the processes, so other work on the machine disturbs them little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.memory import processes_of
from benchmarks.processes import cpu_seconds
from benchmarks.results import USER, Results

DEFAULT_RUNS = 1
MASTER, SERVER, PLAIN = "application master", "server with the recipe", "plain jupyter-server"
# Seconds after a start until nothing of it is left to do: the compiler of the application master is the last.
_SETTLED = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="of each run (default: %(default)s)")


def run(options: argparse.Namespace, results: Results) -> None:
    from benchmarks import clusters
    from benchmarks.person import Person

    table = results.table("CPU while idle", unit="% of a core")
    with clusters.cluster(kerberos=options.kerberos) as hadoop, clusters.hub(hadoop) as hub:
        person = Person(hub, USER)
        for turn in range(options.runs):
            person.start()
            (application,) = hadoop.applications(states="RUNNING", user=USER)
            with plain_server() as plain:
                time.sleep(_SETTLED)
                found = idle({**by_part(application["id"]), PLAIN: [plain]}, options.minutes * 60)
            person.stop()
            for name, share in found.items():
                table.add(name, share)
            table.add("more than the plain server", found[MASTER] + found[SERVER] - found[PLAIN])
            results.progress(turn, found)
    table.goal("more than the plain server", table.median("more than the plain server"), 0.3)


def by_part(application_id: str) -> dict[str, list[int]]:
    """Return the processes of an application: the Java ones, and all others, which are of the server."""
    found = processes_of(application_id)
    return {
        MASTER: [pid for pid, program in found.items() if "java" in program],
        SERVER: [pid for pid, program in found.items() if "java" not in program],
    }


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
