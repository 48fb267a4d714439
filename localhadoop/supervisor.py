"""The process that starts a cluster's daemons, and ends with them all however it ends.

It runs as a script of its own, with nothing but the standard library: ``python supervisor.py CLUSTER_FOLDER OPTIONS``.

* It holds the read end of a pipe; the owner (a program, a test) holds the other. When the owner dies, however it dies, the
  pipe ends and so does the cluster. ``up`` releases its cluster once it is ready.
* It is a *subreaper* (prctl(2)): containers, which leave the NodeManager's session and outlive it, become its children
  when their parent dies, so that it can end them.
* A *guard*, its parent, is one as well. It only waits, and when the supervisor is gone (SIGKILL included) it kills whatever
  is left below it.
* If the guard dies, the kernel tells the supervisor (PR_SET_PDEATHSIG); if both die, the kernel kills the daemons.

Requests are one line of JSON on a Unix socket in the cluster's folder, which only its owner can enter; each answer is one
line: ``{"start": NAME}``, ``{"signal": NAME, "number": N}``, ``{"status": true}``, ``{"release": true}`` (live on without
the owner), ``{"shutdown": true}``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)


def descendants(root: int) -> list[int]:
    """The living processes below ``root``, from /proc."""
    parents = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                # The command stands in parentheses and may contain anything; the state and the parent follow it.
                state, parent = (process / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            except OSError:
                continue
            if state != b"Z":
                parents[int(process.name)] = int(parent)
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below and pid not in below}:
        below |= more
    return sorted(below - {root})


def kill_descendants(root: int, spare: tuple[int, ...] = (), seconds: float = 20) -> None:
    """SIGKILL everything below ``root`` until there is nothing more, reaping its own children."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        alive = [pid for pid in descendants(root) if pid not in spare]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        reap()
        if not alive:
            return
        time.sleep(0.02)


def reap() -> dict[int, int]:
    """Exit statuses by pid of the children that ended."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


class Supervisor:
    """Starts daemons as their files say, and answers requests until a request to stop, or until its owner is gone."""

    def __init__(self, folder: Path, owner: int | None) -> None:
        self.folder = folder
        self.owner = owner
        self.pids: dict[str, int] = {}
        self.exits: dict[str, int] = {}
        self.offsets: dict[str, int] = {}  # where in its log a daemon's present start begins
        self.ending = False
        self.selector = selectors.DefaultSelector()
        self.listener = self._listen()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        run = os.open(self.folder / "run", os.O_RDONLY)
        # The path of a Unix socket has at most 107 characters; temporary folders of tests are longer.
        path = Path(f"/proc/self/fd/{run}/supervisor.sock")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        os.close(run)
        listener.listen(16)
        return listener

    def serve(self) -> None:
        """Answer until the end."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._end)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(wake_read, selectors.EVENT_READ, lambda: os.read(wake_read, 512))
        if self.owner is not None:
            self.selector.register(self.owner, selectors.EVENT_READ, self._owner_is_gone)
        while not self.ending:
            for key, _ in self.selector.select(timeout=5):
                key.data()
            self._reap()

    def _end(self, *_: Any) -> None:
        self.ending = True

    def _owner_is_gone(self) -> None:
        assert self.owner is not None  # noqa: S101
        if not os.read(self.owner, 64):
            self.ending = True

    def _reap(self) -> None:
        ended = reap()
        for name, pid in list(self.pids.items()):
            if pid in ended:
                self.exits[name] = ended[pid]
                del self.pids[name]

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.settimeout(5)
        with connection, connection.makefile("rwb") as stream:
            try:
                answer = self._answer(json.loads(stream.readline()))
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()
            except (OSError, ValueError, KeyError) as error:
                print(f"request failed: {error!r}", file=sys.stderr, flush=True)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self._reap()
        if "start" in request:
            return self._start(request["start"])
        if "signal" in request:
            return self._signal(request["signal"], request["number"])
        if "release" in request and self.owner is not None:
            self.selector.unregister(self.owner)
            self.owner = None
        if "shutdown" in request:
            self.ending = True
        return {"pids": self.pids, "exits": self.exits, "offsets": self.offsets}

    def _start(self, name: str) -> dict[str, Any]:
        if name in self.pids:
            return {"error": f"{name} is running already (pid {self.pids[name]})"}
        description = json.loads((self.folder / "daemons" / name / "daemon.json").read_text())
        with Path(description["log"]).open("ab") as log:
            self.offsets[name] = log.tell()
            try:
                process = subprocess.Popen(
                    description["command"],
                    env=description["environment"],
                    cwd=self.folder / "daemons" / name,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
                )
            except OSError as error:
                return {"error": f"cannot start {name}: {error}"}
        process.returncode = 0  # reaped by the loop above, not by this object
        self.pids[name] = process.pid
        self.exits.pop(name, None)
        return {"pid": process.pid}

    def _signal(self, name: str, number: int) -> dict[str, Any]:
        if name not in self.pids:
            return {"error": f"{name} is not running"}
        os.kill(self.pids[name], number)  # it is a child that was not reaped yet: the pid is its own
        return {"pid": self.pids[name]}


def die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--owner", type=int, help="file descriptor that ends when the owner does")
    parser.add_argument("--claim", type=int, required=True, help="file descriptor of the port that claims the block")
    parser.add_argument("--remove", action="store_true", help="remove the folder at the end")
    arguments = parser.parse_args()
    guard = os.getpid()
    os.umask(0o022)  # containers of other users read what daemons write
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready_read)
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guard:
            os._exit(1)
        supervisor = Supervisor(arguments.folder, arguments.owner)
        os.write(ready_write, b"1")
        os.close(ready_write)
        try:
            supervisor.serve()
        finally:
            kill_descendants(os.getpid())
        return
    os.close(ready_write)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(pid, signal.SIGTERM))
    if os.read(ready_read, 1):
        (arguments.folder / "run" / "supervisor.pid").write_text(f"{guard} {pid}\n")
        print("ready", flush=True)
    os.close(1)
    while True:
        # Orphans come here only once the supervisor is gone; until then it alone can end.
        ended, _ = os.wait()
        if ended == pid:
            break
    kill_descendants(guard)
    if arguments.remove:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    else:
        (arguments.folder / "run" / "supervisor.pid").unlink(missing_ok=True)
        (arguments.folder / "run" / "supervisor.sock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
