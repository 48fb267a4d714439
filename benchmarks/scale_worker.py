"""A hub's spawners without the rest of the hub, for `scale`: what they take of memory and time, as JSON on standard output.

``python -m benchmarks.scale_worker SPAWNER SERVERS STARTING SECONDS PORT``, where the spawner is ``yarn``, or ``none`` for
one that does nothing, which is JupyterHub's own part.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import statistics
import sys
import time
from typing import Any

from jupyterhub import orm
from jupyterhub.auth import Authenticator
from jupyterhub.objects import Hub
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from traitlets.config import Config

from benchmarks.fake_yarn import application_id
from benchmarks.processes import cpu_seconds, resident_bytes
from yarnspawner import YarnSpawner
from yarnspawner.launch.recovery import Phase
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.seal import Seal
from yarnspawner.state.server_state import ServerState

# Seconds between two ticks of the task by which lateness is measured.
TICK = 0.005
SECRET = b"0" * 32


class Idle(Spawner):  # type: ignore[misc]
    """Does nothing: what is left is JupyterHub's own."""

    starts_take = 0.0

    async def start(self) -> str:
        await asyncio.sleep(self.starts_take)
        return "http://127.0.0.1:1"

    async def poll(self) -> None:
        return None

    async def stop(self, now: bool = False) -> None:
        return


def running_state(number: int, port: int, credentials: Credentials, seal: Seal) -> dict[str, Any]:
    """What the hub keeps of a server that runs since before."""
    server = ServerState.new(f"user{number}", "default", credentials).with_application_id(application_id(number))
    return server.with_url(f"http://127.0.0.1:{port}").to_dict(seal)


def pending_state(number: int, credentials: Credentials, seal: Seal) -> dict[str, Any]:
    """What the hub keeps of a server whose application waits in its queue."""
    server = ServerState.new(f"user{number}", "default", credentials).with_application_id(application_id(number))
    return server.to_dict(seal)


class Site:
    """A number of users, each with a spawner."""

    def __init__(self, spawner: type[Spawner], servers: int, starting: int, port: int, poll: float) -> None:
        config = Config()
        config.Spawner.poll_interval = poll
        config.YarnSpawner.resource_manager_url = f"http://127.0.0.1:{port}"
        config.YarnSpawner.hadoop_user = "{username}"
        self._settings = {
            "config": config,
            "spawner_class": spawner,
            "cookie_secret": SECRET,
            "hub": Hub(),
            "authenticator": Authenticator(),
        }
        self._db = orm.new_session_factory("sqlite:///:memory:")()
        seal = Seal(SECRET)
        # As they come out of a database, each has its own; making as many would take long.
        self._credentials = Credentials.new()
        states: list[dict[str, Any] | None] = [None] * starting
        states += [
            running_state(number, port, self._credentials, seal) if spawner is YarnSpawner else {}
            for number in range(servers)
        ]
        orms = []
        for number, state in enumerate(states):
            user = orm.User(name=f"user{number - starting}" if state is not None else f"new{number}")
            self._db.add(user)
            server = orm.Server(base_url=f"/user/{user.name}/", proto="http", ip="127.0.0.1", port=port)
            self._db.add(orm.Spawner(name="", user=user, state=state or {}, server=server))
            orms.append(user)
        self._db.commit()
        self.spawners = []
        self.users = []
        for user_row in orms:
            user = User(user_row, self._settings)
            self.users.append(user)
            self.spawners.append(user.spawners[""])
        self.tasks: set[asyncio.Task[None]] = set()
        self.starts: list[float] = []
        self.ended = 0
        self._starting = starting

    def begin(self, within: float) -> None:
        """Start to poll, and to start servers: spread over some seconds, as users come."""
        loop = asyncio.get_running_loop()
        for number, spawner in enumerate(self.spawners):
            begin = self._start if number < self._starting else self._watch
            loop.call_later(random.uniform(0, within), begin, spawner)  # noqa: S311

    def _watch(self, spawner: Any) -> None:
        spawner.add_poll_callback(self._ended, spawner)
        spawner.start_polling()

    async def _ended(self, spawner: Any) -> None:
        self.ended += 1
        spawner.clear_state()
        self._start(spawner)

    def _start(self, spawner: Any) -> None:
        task = asyncio.create_task(self._started(spawner))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _started(self, spawner: Any) -> None:
        began = time.monotonic()
        spawner.api_token = "0" * 32
        spawner.orm_spawner.started = None
        try:
            await spawner.start()
        except asyncio.CancelledError:
            raise
        except Exception:
            logging.getLogger("benchmarks.scale").exception("a start failed")
            return
        self.starts.append(time.monotonic() - began)
        self._watch(spawner)

    async def close(self) -> None:
        for spawner in self.spawners:
            spawner.stop_polling()
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)


class Ticks:
    """How late the event loop is."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.busy: list[float] = []

    async def run(self) -> None:
        while True:
            due, used = time.monotonic() + TICK, time.thread_time()
            await asyncio.sleep(TICK)
            self.late.append(max(time.monotonic() - due, 0.0))
            # What the loop's own thread has worked: how late it would be on a machine with nothing else to do.
            self.busy.append(time.thread_time() - used)


def quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[int(share * 1000) - 1]


async def measure(kind: str, servers: int, starting: int, seconds: float, port: int, poll: float) -> dict[str, Any]:
    before = resident_bytes()
    site = Site(YarnSpawner if kind == "yarn" else Idle, servers, starting, port, poll)
    if kind == "yarn" and servers:
        spawner = site.spawners[-1]
        # A list has come, so all have their report.
        await spawner.hub_context.access.reflector.find("")
        for spawner in site.spawners[starting:]:
            spawner.recovery.phase = Phase.CONFIRMED  # as JupyterHub's check at the hub's start leaves it
    gc.collect()
    result: dict[str, Any] = {"memory": resident_bytes() - before}
    if seconds:
        Idle.starts_take = 3.0
        ticks = Ticks()
        site.begin(poll)
        await asyncio.sleep(poll + 5)  # the first round of everything
        ticking = asyncio.create_task(ticks.run())
        cpu, began = cpu_seconds(), time.monotonic()
        site.ended, site.starts = 0, []
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        result["cpu"] = (cpu_seconds() - cpu) / took
        ticking.cancel()
        result["seconds"] = took
        result["late"] = {name: quantile(ticks.late, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
        result["late"]["max"] = max(ticks.late)
        result["busy"] = {name: quantile(ticks.busy, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
        result["busy"]["max"] = max(ticks.busy)
        result["ended"], result["started"] = site.ended, len(site.starts)
        result["starting"] = len(site.tasks)
        result["start"] = statistics.median(site.starts) if site.starts else 0
    await site.close()
    return result


def main() -> None:
    kind, servers, starting, seconds, port, poll = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    result = asyncio.run(measure(kind, int(servers), int(starting), float(seconds), int(port), float(poll)))
    print(json.dumps(result), flush=True)
    os._exit(0)  # drivers leave with this process


if __name__ == "__main__":
    main()
