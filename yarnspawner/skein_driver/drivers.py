"""Start, monitor and stop a driver: the JVM through which the hub talks to YARN.

skein can start a driver itself, but without a deadline, and its client waits for the JVM's exit without a limit. Here the
hub keeps a pipe to the JVM's standard input. A driver exits at the end of that input, so it always exits with the hub.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import logging
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import skein

from yarnspawner.common.metrics import DRIVERS
from yarnspawner.common.tasks import consume_exception
from yarnspawner.common.text import sanitize
from yarnspawner.skein_driver.driver_process import (
    DriverSettings,
    clear_classpath_cache,
    driver_classpath,
    driver_command,
    driver_environment,
)
from yarnspawner.skein_driver.refusals import Refusals
from yarnspawner.skein_driver.rpc import (
    LONGEST_MESSAGE,
    MEBIBYTE,
    Channel,
    ClusterUnavailable,
    DriverExited,
    Request,
    RpcError,
)

# Enough for the reports of about 50,000 applications.
_LARGEST_RESPONSE = 64 * MEBIBYTE
_LOG_LINES_KEPT = 50
_NOISE = (
    "at ",
    "... ",
    "Error: Could not create the Java Virtual Machine",
    "Error: A fatal exception has occurred",
)

_T = TypeVar("_T")


class Driver:
    """One driver JVM.

    - `start` returns once the JVM listens, or raises ClusterUnavailable with a remedy.
    - `alive` is False once the JVM has exited. `on_exit` is then called once, on the event loop.
    - `close` stops the JVM. It also exits when the hub exits or is killed.
    """

    def __init__(self, settings: DriverSettings, log: logging.Logger) -> None:
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._stopping = threading.Event()
        self._exited = threading.Event()
        self._last_lines: collections.deque[str] = collections.deque(maxlen=_LOG_LINES_KEPT)
        self._refusals = Refusals()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.on_exit: Callable[[], None] | None = None
        self.calls_in_flight = 0
        self.rehearsed = False

    @property
    def pid(self) -> int:
        """The JVM's process id, 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """True while the JVM runs and was not asked to stop."""
        return self._process is not None and self._process.poll() is None and not self._stopping.is_set()

    async def start(self) -> None:
        """Start the JVM and wait until it listens. Call only once.

        Raises:
            ClusterUnavailable: it could not be started; the message is the reason.
        """
        self._loop = asyncio.get_running_loop()
        # Each driver has new credentials, so those in an old crash dump are useless.
        security = await in_thread(skein.Security.new_credentials)
        launch = asyncio.ensure_future(in_thread(lambda: self._launch(security)))
        launch.add_done_callback(consume_exception)
        try:
            port = await asyncio.shield(launch)
        except asyncio.CancelledError:
            self._stopping.set()  # the thread checks this and stops the JVM
            await asyncio.wait({launch})
            await in_thread(self.terminate)
            raise
        self._channel = Channel(
            f"ipv4:127.0.0.1:{port}", security.cert_bytes, security.key_bytes, largest_response=_LARGEST_RESPONSE
        )
        self._log.info("Started YARN driver %d", self.pid)

    async def call(self, request: Request, timeout: float) -> bytes:
        """Make a call within ``timeout`` seconds.

        Raises:
            RpcError: the call failed.
        """
        channel = self._channel
        assert channel is not None, "started"  # noqa: S101
        self.calls_in_flight += 1
        try:
            return await self._refusals.explained(
                request.user, lambda: channel.call(f"/skein.Driver/{request.method}", request.message, timeout)
            )
        finally:
            self.calls_in_flight -= 1

    async def is_responsive(self, timeout: float) -> bool:
        """Return True if the driver answers a ping within ``timeout`` seconds."""
        try:
            await self.call(Request("ping", b""), timeout)
        except RpcError:
            return False
        return True

    async def has_exited(self) -> bool:
        """Return True if the JVM exited by itself.

        Waits up to half a second for the exit, since a call fails before the exit is detected.
        """
        for _ in range(10):
            if self._stopping.is_set() or self._exited.is_set():
                break
            await asyncio.sleep(0.05)
        return self._exited.is_set() and not self._stopping.is_set()

    async def close(self) -> None:
        """Stop the JVM within ten seconds, even if it hangs. Idempotent."""
        self._stopping.set()
        if self._channel is not None:
            await self._channel.close()
        await in_thread(self.terminate)

    def terminate(self, grace: float = 3.0) -> None:
        """Close the JVM's standard input. If it does not exit, send SIGTERM and then SIGKILL. Blocks.

        Args:
            grace: seconds to wait after each step.
        """
        self._stopping.set()
        process = self._process
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101
        process.stdin.close()
        for escalate in (process.terminate, process.kill, None):
            try:
                process.wait(grace)
                break
            except subprocess.TimeoutExpired:
                if escalate:
                    escalate()
        _running.discard(self)

    def _launch(self, security: skein.Security) -> int:
        deadline = time.monotonic() + self._settings.start_timeout
        command = driver_command(self._settings)
        environment = {
            **driver_environment(os.environ),
            "CLASSPATH": driver_classpath(),
            "SKEIN_CERTIFICATE": security.cert_bytes.decode(),
            "SKEIN_KEY": security.key_bytes.decode(),
        }
        with socket.create_server(("127.0.0.1", 0)) as callback:
            environment["SKEIN_CALLBACK_PORT"] = str(callback.getsockname()[1])
            # In a session of its own, so that Ctrl-C in a terminal reaches only the hub, which then stops the driver.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            _running.add(self)
            threading.Thread(target=self._read_log, daemon=True, name=f"yarn-driver-{self.pid}").start()
            try:
                return self._wait_for_port(callback, deadline)
            except BaseException:
                self.terminate(grace=1.0)
                raise

    def _wait_for_port(self, callback: socket.socket, deadline: float) -> int:
        callback.settimeout(0.2)
        while time.monotonic() < deadline:
            if not self.alive:
                clear_classpath_cache()
                raise DriverExited(f"The YARN driver did not start: {self.last_error()}", "\n".join(self._last_lines))
            try:
                connection, _ = callback.accept()
                with connection:
                    connection.settimeout(5)
                    answer = connection.recv(4, socket.MSG_WAITALL)
            except TimeoutError:
                continue
            if len(answer) == 4:
                return int(struct.unpack("!i", answer)[0])
        raise ClusterUnavailable(
            f"The YARN driver did not start within {self._settings.start_timeout:.0f} s: {self.last_error()}"
        )

    def _read_log(self) -> None:
        """Copy the JVM's output to the hub's log until it exits. Runs in a thread of its own."""
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        with self._process.stdout as lines:
            for raw in lines:
                line = sanitize(raw.decode(errors="replace"), LONGEST_MESSAGE, keep_stack=True)
                if line:
                    self._last_lines.append(line)
                    self._log.debug("driver %d: %s", self.pid, line)
                    self._refusals.collect(line)
        self._process.wait()
        self._exited.set()
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._report_exit)
            except RuntimeError:  # the event loop is closed
                return

    def _report_exit(self) -> None:
        assert self._process is not None  # noqa: S101
        _running.discard(self)
        if self._channel is not None and not self._stopping.is_set():
            self._log.warning(
                "YARN driver %d exited with status %d: %s", self.pid, self._process.returncode, self.last_error()
            )
            if self.on_exit is not None:
                self.on_exit()

    def last_error(self) -> str:
        """Return the most useful line of the JVM's log: the last cause of a stack trace, or the last line."""
        lines = [line for line in self._last_lines if not line.startswith(_NOISE)]
        causes = [line for line in lines if "Exception: " in line or "Error: " in line]
        line = (causes or lines or ["it wrote no output"])[-1]
        return line.removeprefix("Caused by: ")


async def in_thread(function: Callable[[], _T]) -> _T:
    """Run a blocking function in a daemon thread, which delays neither the event loop nor the hub's exit."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def set_outcome(result: _T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001  # the caller raises it
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_outcome, result, error)

    threading.Thread(target=run, daemon=True, name="yarn-driver-start").start()
    return await future


_running: set[Driver] = set()
DRIVERS.set_function(lambda: len(_running))
_owner = os.getpid()


@atexit.register
def _terminate_all() -> None:
    # A forked child runs this at its exit as well, but the drivers belong to its parent.
    if os.getpid() == _owner:
        for driver in list(_running):
            driver.terminate(grace=1.0)
