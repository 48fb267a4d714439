"""What a user does and sees in docker/try: the demo's check, then work through three failures."""

from __future__ import annotations

import html
import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import websocket
from containers import ENGINE, Containers, TrialError, engine, healthy, is_active, name, wait

from demo.check import check
from demo.terminal import Terminal
from demo.visitor import VisitError, Visitor

WHERE = "import os, pwd, socket; print(pwd.getpwuid(os.getuid()).pw_name, os.getuid(), socket.getfqdn())"


class Worker(Visitor):
    """A visitor whose connection to a kernel stays open."""

    def start(self, timeout: float = 900) -> Iterator[str]:
        """Start a server. The first start also copies the environment to HDFS and to the worker."""
        return super().start(timeout)

    def connect(self) -> websocket.WebSocket:
        if not self._kernel:
            self.run("pass")
        path = f"/user/{self.name}/api/kernels/{self._kernel}/channels"
        return websocket.create_connection(
            self._url(path).replace("http", "ws", 1), cookie=self._cookies(path), timeout=60
        )

    def cell(self, connection: websocket.WebSocket, code: str) -> str:
        return self._execute(connection, code, 60).strip()

    def forget(self) -> None:
        """Have no kernel: its server has ended."""
        self._kernel = ""

    def server(self) -> dict[str, Any] | None:
        """Return what the hub says about the server; None if it has none."""
        found: dict[str, Any] | None = self._call("GET", f"/hub/api/users/{self.name}")["servers"].get("")
        return found

    def is_ready(self) -> bool:
        server = self.server()
        return server is not None and bool(server["ready"])

    def home(self) -> str:
        """Return the hub's home page."""
        return self._get("/hub/home").text


class TriedCluster:
    """The cluster as the demo's check sees it."""

    def applications(self) -> list[dict[str, Any]]:
        host = next(host for host in ("rm1", "rm2") if is_active(host))
        answer = json.loads(engine("exec", name(host), "python3", "/opt/cluster/role.py", "applications"))
        return list((answer["apps"] or {}).get("app", []))


def steps(containers: Containers, terminal: Terminal) -> None:
    alice = Worker(containers.address, "alice", containers.password)
    alice.log_in()
    if alice.server():  # of an earlier trial
        alice.stop()
    check(alice, TriedCluster(), "alice", terminal)
    alice.forget()
    with terminal.timed("alice starts a server again") as result:
        start(alice)
        account, uid, host = alice.run(WHERE).split()
        result(f"as {account} (uid {uid}) on {host}")
    firewall(host, terminal)
    with terminal.timed("The hub restarts, and her websocket goes on") as result:
        result(hub_restart(alice))
    with terminal.timed("The active ResourceManager fails while she works") as result:
        result(failover(containers, alice))
    with terminal.timed("Her worker fails under her session") as result:
        result(worker_failure(alice, host))
    with terminal.timed("She starts again, on another worker") as result:
        alice.forget()
        start(alice)
        other = alice.run(WHERE).split()[2]
        if other == host:
            raise VisitError(f"the server is on {host}, which is down")
        result(other)
    with terminal.timed("She stops her server"):
        alice.stop()


def start(visitor: Worker) -> None:
    for _ in visitor.start():
        pass
    visitor.open_lab()  # the server's own cookies


def firewall(host: str, terminal: Terminal) -> None:
    """Between the hub and a worker, only documented ports are open."""
    with terminal.timed("Other ports of her worker are closed to the hub") as result:
        reached = {port: reaches(host, port) for port in (8040, 8042, 8041)}
        if reached[8040] or reached[8042] or not reached[8041]:
            raise TrialError(f"ports of {host} that the hub reaches: {reached}")
        result("8041 open, 8040 closed")


def reaches(host: str, port: int) -> bool:
    code = f"import socket; socket.create_connection(({host!r}, {port}), 3)"
    command = [ENGINE, "exec", name("hub"), "python3", "-c", code]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def hub_restart(alice: Worker) -> str:
    connection = alice.connect()
    alice.cell(connection, "x = 41")
    engine("stop", "-t", "30", name("hub"))
    # While there is no hub:
    if alice.cell(connection, "x += 1; print(x)") != "42":
        raise VisitError("the kernel lost its variable")
    engine("start", name("hub"))
    wait("the hub", 180, lambda: healthy("hub"))
    if alice.cell(connection, "print(x)") != "42":
        raise VisitError("the connection did not survive")
    connection.close()
    wait("alice's server in the hub", 120, alice.is_ready)
    return "the same connection before, during and after"


def failover(containers: Containers, alice: Worker) -> str:
    connection = alice.connect()
    alice.cell(connection, "y = 1")
    active = next(host for host in ("rm1", "rm2") if is_active(host))
    engine("kill", name(active))
    standby = "rm2" if active == "rm1" else "rm1"
    answered = 0
    deadline = time.monotonic() + 120
    while not is_active(standby):
        if alice.cell(connection, "print(y)") != "1":
            raise VisitError("the kernel lost its variable")
        answered += 1
        if time.monotonic() > deadline:
            raise TrialError(f"{standby} did not become active")
        time.sleep(1)
    connection.close()
    bob = Worker(containers.address, "bob", containers.password)
    bob.log_in()
    start(bob)
    bob.run("print(1)")
    bob.stop()
    engine("start", name(active))
    return f"from {active} to {standby}; her cells were answered {answered} times, and bob starts a server"


def worker_failure(alice: Worker, host: str) -> str:
    engine("kill", name(host.partition(".")[0]))
    wait("the end of alice's server in the hub", 240, lambda: alice.server() is None)
    told = re.search(r'class="yarnspawner-last-end">(.*?)</p>', alice.home(), re.DOTALL)
    if not told:
        raise VisitError("the hub's home page does not say how her server ended")
    return html.unescape(told[1]).strip()
