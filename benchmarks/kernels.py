"""Kernels in containers of their own: from the request to the first reply.

The baseline is what skein alone needs for the same: a bare ``add_container`` in the same application, whose container runs an
IPython kernel. The third variant is an application for each kernel, as ``yarnspawner kernel`` starts it, and the fourth a kernel
for which a spare container is ready (``warm_kernels``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.clusters import cluster, hub
from benchmarks.person import Person
from benchmarks.results import USER, Results
from localhadoop import LocalHadoop, kdc

DEFAULT_RUNS = 5

OURS, FLOOR, APPLICATION = "kernel in a container", "bare add_container", "application for each kernel"
SPARE = "kernel with a spare container"
# Kernels that are requested at the same time.
_TOGETHER = 10

_KERNEL, _WARM_KERNEL = "yarn-small", "yarn-warm"
_CONFIGURATION = f"""
import skein
c.YarnSpawner.kernel_profiles = [
    {{"slug": "small", "memory": "300 M"}},
    {{"slug": "warm", "memory": "300 M", "warm_kernels": 1}},
]

def add_bare_service(spawner, specification):
    kernel = specification.services["kernel-small"]
    specification.services["bare"] = skein.Service(
        resources=kernel.resources, instances=0, allow_failures=True, max_restarts=0, files=kernel.files,
        script="exec {sys.executable} -m yarnspawner.singleuser.kernel --kernel-info-key=$KEY",
    )

c.YarnSpawner.modify_spec_hook = add_bare_service
"""

# Runs in an ordinary kernel of the server.
_BARE = """
import json, time
from jupyter_client import BlockingKernelClient
from yarnspawner.singleuser.store import Store
store, began = Store(), time.time()
key = f"bare-{began}"
store.add_container("bare", {"KEY": key})
while not (published := store.get(key)):
    time.sleep(0.05)
client = BlockingKernelClient()
client.load_connection_info(json.loads(published))
client.start_channels()
client.wait_for_ready(timeout=60)
client.execute("1", reply=True, timeout=60)
print(time.time() - began)
client.shutdown(reply=True, timeout=10)
client.stop_channels()
"""

# Runs in an ordinary kernel of the server: wait until a spare container is ready.
_READY = """
import time
from yarnspawner.common.spare_protocol import READY, SPARES_PREFIX
from yarnspawner.singleuser.store import Store
store = Store()
while not any(key.endswith(READY) for key in store.get_prefix(SPARES_PREFIX)):
    time.sleep(0.2)
"""


def run(options: argparse.Namespace, results: Results) -> None:
    """Measure, and put tables into ``results``."""
    table = results.table("From the request for a kernel to its first reply", baseline=FLOOR)
    together = results.table(f"{_TOGETHER} kernels at once: until the last one replies")
    with cluster(kerberos=options.kerberos) as hadoop, hub(hadoop, configuration=_CONFIGURATION) as started:
        person = KernelPerson(started, USER)
        person.start()
        person.open_lab()
        # The first container of an application copies its files to the node.
        person.time_kernels(1)
        together.extend(OURS, [person.time_kernels(_TOGETHER)])
        person.time_kernels(1, _WARM_KERNEL)
        for turn in range(options.runs):
            person.run(_READY)
            variants: dict[str, Callable[[], float]] = {
                OURS: lambda: person.time_kernels(1),
                FLOOR: lambda: float(person.run(_BARE)),
            }
            # The first one waits longer, because an idle application master asks YARN less often.
            order = sorted(variants, reverse=turn % 2 == 0)
            values = {name: variants[name]() for name in order}
            values[APPLICATION] = time_application(hadoop)
            # Last, because the server requests the next spare container some seconds later.
            values[SPARE] = person.time_kernels(1, _WARM_KERNEL)
            for name, value in values.items():
                table.extend(name, [value])
            results.progress(turn + 1, values)
        person.stop()
    table.goal("times a bare add_container", table.median(OURS) / table.median(FLOOR), 1.3)
    table.goal("part of an application for each kernel", table.median(OURS) / table.median(APPLICATION), 1 / 3)


class KernelPerson(Person):
    """Opens kernels of the launcher and watches the clock."""

    def time_kernels(self, number: int, name: str = _KERNEL) -> float:
        """Seconds until all these kernels have run a cell; they are shut down afterwards."""
        began = time.monotonic()
        with ThreadPoolExecutor(number) as threads:
            kernels = list(threads.map(lambda _: self._start_kernel(name), range(number)))
        took = time.monotonic() - began
        for kernel in kernels:
            self._call("DELETE", f"/user/{self.name}/api/kernels/{kernel}")
        return took

    def _start_kernel(self, name: str) -> str:
        made: dict[str, Any] = self._call("POST", f"/user/{self.name}/api/kernels", {"name": name})
        kernel = str(made["id"])
        other = Person.__new__(KernelPerson)
        other.__dict__.update(self.__dict__, _kernel=kernel)
        assert other.run("print(6 * 7)").strip() == "42"
        return kernel


def time_application(hadoop: LocalHadoop) -> float:
    """Seconds of ``yarnspawner kernel`` until its kernel has run a cell."""
    from jupyter_client.blocking.client import BlockingKernelClient

    with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
        identity: dict[str, Any] = kdc.identity(USER) if hadoop.kerberos else {}
        os.chown(home, identity.get("user", -1), identity.get("group", -1))
        ticket = kdc.ticket(hadoop.settings, USER) if hadoop.kerberos else {"HADOOP_USER_NAME": USER}
        environment = {**os.environ, **hadoop.environment(), **ticket, "HOME": home}
        command = [sys.executable, "-W", "ignore", "-m", "yarnspawner.cli.main", "kernel"]
        began = time.monotonic()
        started = subprocess.run(
            [*command, "--memory", "300MiB", "--no-console"],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
            **identity,
        )
        file = Path(started.stdout.strip())
        client = BlockingKernelClient()
        client.load_connection_info(json.loads(file.read_text()))
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute("1", reply=True, timeout=60)
        took = time.monotonic() - began
        client.shutdown(reply=True, timeout=10)
        client.stop_channels()
        return took
