"""The client's side of the supervisor: start one, and ask it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localhadoop.errors import LocalHadoopError

SUPERVISOR = Path(__file__).with_name("supervisor.py")


class Control:
    """Requests to the supervisor of the cluster in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owner: int | None = None  # the end of the pipe that keeps an owned cluster alive

    def launch(self, claim: socket.socket, remove: bool, wrap: Callable[[list[str]], list[str]] = list) -> None:
        """Start guard and supervisor, bound to this process; ``remove``: they remove the folder at their end.

        ``wrap`` makes their command line the one that puts them into namespaces, and then becomes them.

        Raises :class:`LocalHadoopError` if they do not come up.
        """
        run = self.folder / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        read, write = os.pipe()
        options = ["--owner", str(read), "--claim", str(claim.fileno()), *(["--remove"] if remove else [])]
        with (run / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                wrap([sys.executable, "-I", "-S", str(SUPERVISOR), str(self.folder), *options]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(read, claim.fileno()),
                cwd="/",
                start_new_session=True,
            )
        os.close(read)
        assert process.stdout is not None  # noqa: S101
        with process.stdout:
            ready = process.stdout.readline()
        process.returncode = 0  # it outlives this object, and perhaps this process
        self._owner = write
        # A child that was forked without exec (multiprocessing) must not keep the cluster alive.
        os.register_at_fork(after_in_child=self._let_go)
        if not ready:
            raise LocalHadoopError(f"the supervisor did not start; see {run / 'supervisor.log'}")

    def _let_go(self) -> None:
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    def guard(self) -> int | None:
        """The process id of a living guard, None if the cluster is not running."""
        try:
            guard, _ = (self.folder / "run" / "supervisor.pid").read_text().split()
            arguments = Path(f"/proc/{guard}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # The number may be another process's by now.
        return int(guard) if os.fsencode(self.folder) in arguments else None

    def ask(self, timeout: float = 10, **request: Any) -> dict[str, Any]:
        """The supervisor's answer; raises :class:`LocalHadoopError` if it does not answer or refuses."""
        try:
            run = os.open(self.folder / "run", os.O_RDONLY)
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(timeout)
                    connection.connect(f"/proc/self/fd/{run}/supervisor.sock")
                    with connection.makefile("rwb") as stream:
                        stream.write(json.dumps(request).encode() + b"\n")
                        stream.flush()
                        answer: dict[str, Any] = json.loads(stream.readline())
            finally:
                os.close(run)
        except PermissionError:
            raise LocalHadoopError(f"the cluster in {self.folder} belongs to another user") from None
        except (OSError, ValueError):
            raise LocalHadoopError(f"the cluster in {self.folder} is not running") from None
        if error := answer.get("error"):
            raise LocalHadoopError(error)
        return answer

    def release(self) -> None:
        """Let the cluster live on when this process ends."""
        self.ask(release=True)
        self._let_go()

    def shutdown(self, timeout: float = 40) -> None:
        """End everything and wait until nothing of it is left; a cluster that does not run is no error."""
        guard = self.guard()
        try:
            self.ask(shutdown=True)
        except LocalHadoopError:
            if guard is None:
                return
            # A supervisor that was stopped or hangs does not answer; its guard then takes everything down.
            os.kill(guard, signal.SIGTERM)
        self._let_go()
        end = time.monotonic() + timeout
        while self.guard() is not None or (guard is not None and is_alive(guard, self.folder)):
            if time.monotonic() > end:
                raise LocalHadoopError(f"the cluster in {self.folder} did not end within {timeout:.0f} s")
            time.sleep(0.05)


def is_alive(pid: int, folder: Path) -> bool:
    """Whether ``pid`` is still the guard of ``folder``, and no zombie."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(folder) in arguments
