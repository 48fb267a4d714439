"""One daemon of a cluster: start it, stop it, kill it, wait for it."""

from __future__ import annotations

import re
import signal
import socket
import time
from pathlib import Path

from localhadoop.commands import kind_of
from localhadoop.control import Control
from localhadoop.errors import LocalHadoopError
from localhadoop.settings import Settings

#: What a daemon logs once it does its work. A port alone says less: a NameNode listens long before it leaves safe mode.
READY = {
    "namenode": r"STATE\* Leaving safe mode|STATE\* Safe mode is OFF",
    "datanode": r"successfully registered with NN",
    "resourcemanager": r"Transitioned to (active|standby) state",
    "nodemanager": r"Registered with ResourceManager as",
    "kdc": r"commencing operation",
    "zookeeper": r"",
}

#: The ports that must be open then.
PORTS = {
    "namenode": ("", "-web"),
    "datanode": ("",),
    "resourcemanager": ("-web",),  # a standby one has no other
    "nodemanager": ("", "-web"),
    "kdc": ("",),
    "zookeeper": ("",),
}


class Daemon:
    """A process of the cluster.

    * Its ports, folders and state are the same after each start.
    * ``pid`` is None exactly while it does not run.
    """

    def __init__(self, name: str, settings: Settings, control: Control) -> None:
        self.name = name
        self._settings = settings
        self._control = control

    def __repr__(self) -> str:
        return f"<Daemon {self.name} pid={self.pid}>"

    @property
    def log_file(self) -> Path:
        """What the daemon wrote, over all its starts."""
        return self._settings.folder / "logs" / f"{self.name}.log"

    @property
    def host(self) -> str:
        """The host name or address that it listens on."""
        return self._settings.host(self.name)

    @property
    def address(self) -> str:
        """``host:port`` of its main port; of a NodeManager, its node id."""
        return self._settings.address(self.name)

    @property
    def pid(self) -> int | None:
        """The process id, None while it does not run."""
        pid: int | None = self._control.ask(status=True)["pids"].get(self.name)
        return pid

    @property
    def running(self) -> bool:
        return self.pid is not None

    @property
    def exit_status(self) -> int | None:
        """How its last run ended, negative for a signal; None while it runs."""
        status: int | None = self._control.ask(status=True)["exits"].get(self.name)
        return status

    def start(self) -> None:
        """Start the process; raises :class:`LocalHadoopError` if it runs. See :meth:`wait_ready`."""
        self._control.ask(start=self.name)

    def stop(self, timeout: float = 30) -> None:
        """End it in order (SIGTERM), within ``timeout`` seconds, else with SIGKILL. It may be down already."""
        if self.running:
            self._signal(signal.SIGTERM)
            if not self._wait_gone(timeout):
                self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would. It may be down already."""
        if self.running:
            self._signal(signal.SIGKILL)
            if not self._wait_gone(20):
                raise LocalHadoopError(f"{self.name} did not end after SIGKILL")

    def suspend(self) -> None:
        """Stop its execution (SIGSTOP): it keeps its connections and answers nothing.

        Returns when all its threads have stopped, which takes a moment on a busy machine; at most ten seconds.
        """
        self._signal(signal.SIGSTOP)
        end = time.monotonic() + 10
        while not self._is_stopped() and time.monotonic() < end:
            time.sleep(0.02)

    def _is_stopped(self) -> bool:
        try:
            tasks = [file.read_text() for file in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        except OSError:
            return False  # a thread has just ended
        # The state follows the command's name, which stands in parentheses and may have some itself.
        return bool(tasks) and all(task.rpartition(") ")[2].startswith(("T", "Z")) for task in tasks)

    def resume(self) -> None:
        """Let it go on after :meth:`suspend`."""
        self._signal(signal.SIGCONT)

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until it does its work, at most ``timeout`` seconds.

        Raises :class:`TimeoutError`, or :class:`LocalHadoopError` with what it logged if it ended.
        """
        end = time.monotonic() + timeout
        while not self._is_ready():
            if not self.running:
                raise LocalHadoopError(
                    f"{self.name} ended with status {self.exit_status}: {self.last_words()} (see {self.log_file})"
                )
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} is not ready after {timeout:.0f} s (see {self.log_file})")
            time.sleep(0.1)

    def last_words(self) -> str:
        """The line of the log that says best why the daemon ended."""
        lines = self._log_of_this_start().decode(errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"Exception|Error|\bERROR\b|\bFATAL\b", line)]
        causes = [line for line in lines if line.startswith("Caused by:")]
        return (causes or telling or lines or ["it wrote nothing"])[-1].strip()

    def _signal(self, number: signal.Signals) -> None:
        self._control.ask(signal=self.name, number=number)

    def _wait_gone(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def _is_ready(self) -> bool:
        kind = kind_of(self.name)
        if not all(self._answers(f"{self.name}{use}") for use in PORTS[kind]):
            return False
        return re.search(READY[kind].encode(), self._log_of_this_start()) is not None

    def _log_of_this_start(self) -> bytes:
        with self.log_file.open("rb") as log:
            log.seek(self._control.ask(status=True)["offsets"].get(self.name, 0))
            return log.read()

    def _answers(self, port: str) -> bool:
        if self._settings.isolated:
            # Its firewall refuses connections from outside to some of them.
            return is_listening(self.pid, self._settings.ports[port])
        try:
            socket.create_connection((self.host, self._settings.ports[port]), timeout=2).close()
        except OSError:
            return False
        return True


def is_listening(pid: int | None, port: int) -> bool:
    """Whether something in the network namespace of process ``pid`` listens on ``port`` over IPv4."""
    try:
        sockets = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return False
    return any(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in sockets)
