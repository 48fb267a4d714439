"""One kernel's process, with its connection file and its ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from yarnspawner.common.kernel_protocol import CONNECTION_FILE, KernelLaunch
from yarnspawner.singleuser.descendants import reap_children
from yarnspawner.singleuser.environment import node_address
from yarnspawner.singleuser.failure import RecipeError
from yarnspawner.singleuser.kernel_ports import ReservedPorts
from yarnspawner.singleuser.kernel_supervisor import failure_from_exit_code
from yarnspawner.singleuser.listening import PORT_RANGE_VARIABLE, parse_port_range

# Seconds that a kernel has to end after SIGTERM.
_GRACE = 3.0
# Bytes at the end of its output that can have the reason of a failed start.
_TAIL = 4096


class KernelProcess:
    """A kernel's process, and the processes that replace it after restarts, at the same address.

    A kernel that encrypts its connections itself listens on the node's address. Any other one listens on private UNIX
    sockets, and a relay encrypts.

    Args:
        keys: of the connection.
        folder: private folder with a short path.

    Raises:
        RecipeError: there are not five free ports.
    """

    def __init__(self, keys: Mapping[str, str], folder: Path) -> None:
        self._keys = keys
        self._folder = folder
        self.ports = ReservedPorts(node_address(), parse_port_range(os.environ.get(PORT_RANGE_VARIABLE, "")))
        self._relay: Any = None
        self._pid = 0
        self._output_start = 0
        self.status: int | None = None
        """Exit status of the ended process as in a shell; None while it runs."""
        self._code = 0

    def start(self, launch: KernelLaunch) -> None:
        """Start the process.

        Raises:
            RecipeError: the command cannot be executed.
        """
        file = self._folder / "connection.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(self._connection(launch.can_encrypt)))
        argv = [word.replace(CONNECTION_FILE, str(file)) for word in launch.argv]
        self.status = None
        self._output_start = _output_size()
        try:
            # A session of its own, as jupyter_client gives it: signals are for all that the kernel has started there.
            child = subprocess.Popen(
                argv,
                env={**os.environ, **launch.env, "JPY_PARENT_PID": str(os.getpid())},
                cwd=next((path for path in (launch.cwd, os.environ["HOME"]) if path and Path(path).is_dir()), None),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise RecipeError(f"The kernel's command {argv[0]} cannot be executed: {error.strerror}.") from error
        self._pid = child.pid
        # It is reaped with the orphans that this process adopts, not by subprocess.
        child.returncode = 0

    def listening(self) -> bool:
        return bool(self._relay.listening()) if self._relay else self.ports.listening()

    def poll(self) -> None:
        """Set the status if the process has ended."""
        if self.status is None and (ended := reap_children(self._pid)) is not None:
            self._code = os.waitstatus_to_exitcode(ended)
            self.status = self._code if self._code >= 0 else 128 - self._code

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel's process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)

    def stop(self) -> None:
        """Stop the process, by force after some seconds."""
        self.send_signal(signal.SIGTERM)
        until = time.monotonic() + _GRACE
        self.poll()
        while self.status is None:
            if time.monotonic() > until:
                self.send_signal(signal.SIGKILL)
            time.sleep(0.05)
            self.poll()

    def end_message(self, *, listened: bool) -> str:
        """Return why the process ended; "" if it exited with status 0.

        Args:
            listened: False if it has never accepted connections, so the last line of its output tells the reason.
        """
        failure = failure_from_exit_code(self._code) if self._code else None
        if listened:
            return failure.message if failure else ""
        lines = [line for line in _output(self._output_start).splitlines() if line.strip()]
        reason = failure.message if failure else "The kernel ended before it accepted connections."
        return f"{reason} {lines[-1].strip()}" if lines else reason

    def _connection(self, can_encrypt: bool) -> dict[str, Any]:
        if can_encrypt:
            return {"transport": "tcp", "ip": self.ports.address, **self.ports.by_name, **self._keys}
        if self._relay is None:
            # Deferred: most kernels need no relay.
            from yarnspawner.singleuser.kernel_relay import Relay

            self._relay = Relay(self.ports.address, self.ports.by_name, self._folder, self._keys["curve_secretkey"])
        self._relay.clean()
        plain = {name: value for name, value in self._keys.items() if not name.startswith("curve_")}
        return {**self._relay.connection, **plain}


def _output_size() -> int:
    try:
        return os.fstat(2).st_size
    except OSError:
        return 0


def _output(start: int) -> str:
    """Return what was written to stderr, if it is a file, since it had this size."""
    try:
        with Path("/proc/self/fd/2").open("rb") as file:
            file.seek(max(start, _output_size() - _TAIL))
            return file.read(_TAIL).decode(errors="replace")
    except OSError:
        return ""
