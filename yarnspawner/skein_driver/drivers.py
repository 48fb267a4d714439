"""The driver JVMs through which the hub talks to YARN: how one is started, watched and ended.

skein can start a driver itself, but its start has no deadline and its client waits for ever for the end of the JVM. Here
the hub holds the JVM by a pipe to its standard input: a driver reads from it and leaves at the end of file, so it ends
with the hub however the hub dies.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import logging
import os
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import skein

from yarnspawner.common.text import sanitize
from yarnspawner.skein_driver.driver_process import (
    DriverSettings,
    driver_classpath,
    driver_command,
    driver_environment,
    forget_classpath,
)
from yarnspawner.skein_driver.rpc import (
    LONGEST_MESSAGE,
    MEBIBYTE,
    Channel,
    ClusterUnavailable,
    DriverEnded,
    Request,
    RpcError,
)

# Room for the reports of some 50,000 applications.
_LARGEST_RESPONSE = 64 * MEBIBYTE
_LOG_LINES_KEPT = 50
_REFUSALS_KEPT = 20
_REASON_LINES = 10
_SAY_NOTHING = (
    "at ",
    "... ",
    "Error: Could not create the Java Virtual Machine",
    "Error: A fatal exception has occurred",
)
# What skein says when YARN refuses another user: its exception is wrapped in one that has no message.
_NO_REASON = "exception:\nnull"
_REFUSED = re.compile(r"PrivilegedActionException as: ?(?P<user>\S+) \(auth:PROXY\)")

_T = TypeVar("_T")


class Driver:
    """One driver JVM.

    - `start` returns once it answers, or raises ClusterUnavailable with what to do about it.
    - `alive` is False as soon as the JVM has left, and `on_exit` is then called on the event loop, once.
    - `close` ends it; it also ends when the hub does, in whatever way.
    """

    def __init__(self, settings: DriverSettings, log: logging.Logger) -> None:
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._ending = threading.Event()
        self._left = threading.Event()
        self._last_lines: collections.deque[str] = collections.deque(maxlen=_LOG_LINES_KEPT)
        self._refused: tuple[str, list[str]] | None = None
        self._refusals: collections.deque[tuple[float, str, str]] = collections.deque(maxlen=_REFUSALS_KEPT)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.on_exit: Callable[[], None] | None = None
        self.calls_in_flight = 0

    @property
    def pid(self) -> int:
        """The JVM's process id; 0 before there is one."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None and not self._ending.is_set()

    async def start(self) -> None:
        """Start the JVM and wait until it listens. Call once. Raises ClusterUnavailable."""
        self._loop = asyncio.get_running_loop()
        # A new pair for each driver: whoever reads an old one out of a crash dump can do nothing with it.
        security = await in_thread(skein.Security.new_credentials)
        launch = asyncio.ensure_future(in_thread(lambda: self._launch(security)))
        try:
            port = await asyncio.shield(launch)
        except asyncio.CancelledError:
            self._ending.set()  # the thread sees it and ends the JVM
            await asyncio.wait({launch})
            await in_thread(self.end)
            raise
        self._channel = Channel(
            f"ipv4:127.0.0.1:{port}", security.cert_bytes, security.key_bytes, largest_response=_LARGEST_RESPONSE
        )
        self._log.info("Started YARN driver %d", self.pid)

    async def call(self, request: Request, timeout: float) -> bytes:
        """Make a call, within ``timeout`` seconds. Raises RpcError."""
        assert self._channel is not None, "started"  # noqa: S101
        self.calls_in_flight += 1
        began = time.monotonic()
        try:
            return await self._channel.call(f"/skein.Driver/{request.method}", request.message, timeout)
        except RpcError as failure:
            if request.user and failure.details.endswith(_NO_REASON):
                reason = await self._reason(request.user, began)
                raise RpcError(failure.code, reason or failure.details) from None
            raise
        finally:
            self.calls_in_flight -= 1

    async def answers(self, timeout: float) -> bool:
        """Whether it answers a ping within ``timeout`` seconds."""
        try:
            await self.call(Request("ping", b""), timeout)
        except RpcError:
            return False
        return True

    async def has_ended(self) -> bool:
        """Whether the JVM ended by itself; waits for that half a second, since a lost call is noticed first."""
        for _ in range(10):
            if self._ending.is_set() or self._left.is_set():
                break
            await asyncio.sleep(0.05)
        return self._left.is_set() and not self._ending.is_set()

    async def close(self) -> None:
        """End the JVM, within ten seconds whatever state it is in. Idempotent."""
        self._ending.set()
        if self._channel is not None:
            await self._channel.close()
        await in_thread(self.end)

    def end(self, grace: float = 3.0) -> None:
        """Close the JVM's standard input; after ``grace`` seconds terminate it, then kill it. Blocks."""
        self._ending.set()
        process = self._process
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101
        process.stdin.close()
        for insist in (process.terminate, process.kill, None):
            try:
                process.wait(grace)
                break
            except subprocess.TimeoutExpired:
                if insist:
                    insist()
        _running.discard(self)

    async def _reason(self, user: str, since: float) -> str:
        """Return why YARN refused ``user``, which is in the JVM's log: skein's answer has it only for the hub's own user."""
        for _ in range(20):
            for when, whom, reason in reversed(self._refusals):
                if whom == user and when >= since:
                    return reason
            await asyncio.sleep(0.05)  # the answer overtook the log
        return ""

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
            # A session of its own, so that Ctrl-C in the hub's terminal reaches the hub only, which then ends the driver.
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
                return self._await_port(callback, deadline)
            except BaseException:
                self.end(grace=1.0)
                raise

    def _await_port(self, callback: socket.socket, deadline: float) -> int:
        callback.settimeout(0.2)
        while time.monotonic() < deadline:
            if not self.alive:
                forget_classpath()
                raise DriverEnded(f"The YARN driver did not start: {self.last_words()}", "\n".join(self._last_lines))
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
            f"The YARN driver did not start within {self._settings.start_timeout:.0f} s: {self.last_words()}"
        )

    def _read_log(self) -> None:
        """Hand the JVM's lines to the hub's log and notice its end. Runs in a thread of its own."""
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        with self._process.stdout as lines:
            for raw in lines:
                line = sanitize(raw.decode(errors="replace"), LONGEST_MESSAGE, keep_stack=True)
                if line:
                    self._last_lines.append(line)
                    self._log.debug("driver %d: %s", self.pid, line)
                    self._note_refusal(line)
        self._process.wait()
        self._left.set()
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._exited)
            except RuntimeError:  # the event loop is gone, and with it whoever would want to know
                return

    def _note_refusal(self, line: str) -> None:
        """Collect what follows Hadoop's line on a failure as another user, up to the stack trace."""
        if refused := _REFUSED.search(line):
            self._refused = (refused["user"], [])
        elif self._refused is not None:
            user, reason = self._refused
            if line.startswith("at ") or len(reason) == _REASON_LINES:
                self._refusals.append((time.monotonic(), user, "\n".join(reason)))
                self._refused = None
            else:
                reason.append(line)

    def _exited(self) -> None:
        assert self._process is not None  # noqa: S101
        _running.discard(self)
        if self._channel is not None and not self._ending.is_set():
            self._log.warning(
                "YARN driver %d left with status %d: %s", self.pid, self._process.returncode, self.last_words()
            )
            if self.on_exit is not None:
                self.on_exit()

    def last_words(self) -> str:
        """Return the line of the JVM's log that says most: the last cause in a stack trace, else the last line."""
        lines = [line for line in self._last_lines if not line.startswith(_SAY_NOTHING)]
        causes = [line for line in lines if "Exception: " in line or "Error: " in line]
        words = (causes or lines or ["it said nothing"])[-1]
        return words.removeprefix("Caused by: ")


async def in_thread(function: Callable[[], _T]) -> _T:
    """Run what blocks in a thread of its own, which delays neither the event loop nor the end of the hub."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
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
        except BaseException as raised:  # noqa: BLE001  # it is raised where the result is awaited
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="yarn-driver-start").start()
    return await future


_running: set[Driver] = set()
_owner = os.getpid()


@atexit.register
def _end_all() -> None:
    # A forked child leaves through here as well, and the drivers are not its own.
    if os.getpid() == _owner:
        for driver in list(_running):
            driver.end(grace=1.0)
