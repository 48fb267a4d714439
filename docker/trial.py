"""The steps of docker/try: what `scripts/demo --check` does, then three failures while a user works."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import websocket
from containers import ENGINE, Containers, TrialError, engine, healthy, logs, name, wait

from demo.check import HDFS
from demo.terminal import Terminal
from demo.visitor import VisitError, Visitor

WHERE = "import os, pwd, socket; print(pwd.getpwuid(os.getuid()).pw_name, os.getuid(), socket.getfqdn())"
CHECKOUT = Path(__file__).resolve().parent.parent


class Worker(Visitor):
    """A visitor whose connection to a kernel stays open."""

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="docker/try")
    parser.add_argument("--keep", action="store_true", help="leave the containers running at the end")
    parser.add_argument("--environment", type=Path, metavar="FILE", help="archive of docker/make-environment")
    options = parser.parse_args()
    terminal = Terminal()
    folder = Path(tempfile.mkdtemp(prefix="yarnspawner-try-", dir="/var/tmp"))
    folder.chmod(0o755)
    containers = Containers(folder)
    kept = False
    try:
        archive = options.environment or make_environment(folder, terminal)
        with terminal.timed("The cluster's seven hosts are up"):
            containers.start_cluster()
        with terminal.timed("The hub and its proxy are up"):
            containers.start_hub(archive.absolute())
        steps(containers, terminal)
        if options.keep:
            kept = True
            terminal.step(f"{containers.address}: alice, with the password {containers.password}")
            terminal.step(
                f"To remove all: {ENGINE} rm --force $({ENGINE} ps --all --quiet --filter name=yarnspawner-try)"
            )
        return 0
    except (TrialError, VisitError, subprocess.CalledProcessError) as error:
        terminal.step(f"Failed: {error}")
        for host in ("hub", "nn", "rm1", "rm2", "worker1", "worker2"):
            (Path(tempfile.gettempdir()) / f"yarnspawner-try-{host}.log").write_text(logs(host))
        terminal.step(f"All logs: {tempfile.gettempdir()}/yarnspawner-try-*.log")
        return 1
    finally:
        if not kept:
            containers.remove()


def make_environment(folder: Path, terminal: Terminal) -> Path:
    with terminal.timed("An environment for users' servers is built") as result:
        command = [str(CHECKOUT / "docker" / "make-environment"), "--output", str(folder)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise TrialError("the environment was not built")
        archive = folder / done.stdout.split()[-1]
        result(f"{archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    return archive


def steps(containers: Containers, terminal: Terminal) -> None:
    alice = Worker(containers.address, "alice", containers.password)
    with terminal.timed("alice logs in and starts a server") as result:
        alice.log_in()
        result(start(alice))
    with terminal.timed("She runs a cell") as result:
        account, uid, host = alice.run(WHERE).split()
        if account != "alice":
            raise VisitError(f"the cell ran as {account}")
        result(f"as alice (uid {uid}) on {host}")
    with terminal.timed("She writes a file to HDFS and reads it back") as result:
        printed = alice.run(HDFS).strip()
        if printed != "alice: hello from a notebook":
            raise VisitError(f"the cell printed {printed!r}")
        result(printed)
    firewall(host, terminal)
    with terminal.timed("The hub restarts, and her websocket goes on") as result:
        result(hub_restart(containers, alice))
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


def start(visitor: Worker) -> str:
    messages = list(visitor.start(timeout=400))
    return messages[-1]


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


def hub_restart(containers: Containers, alice: Worker) -> str:
    connection = alice.connect()
    alice.cell(connection, "x = 41")
    engine("stop", "--time", "30", name("hub"))
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
    return f"from {active} to {standby}; her cells were answered {answered} times meanwhile, and bob starts a server"


def is_active(host: str) -> bool:
    """Say whether a ResourceManager's last transition was to the active state."""
    lines = [line for line in logs(host).splitlines() if "Transitioned to " in line]
    return bool(lines) and "Transitioned to active" in lines[-1]


def worker_failure(alice: Worker, host: str) -> str:
    engine("kill", name(host.partition(".")[0]))
    wait("the end of alice's server in the hub", 240, lambda: alice.server() is None)
    page = alice.home()
    return "the hub has noticed" + (" and says that YARN lost contact" if "lost contact" in page else "")


if __name__ == "__main__":
    sys.exit(main())
