"""The recipe of a kernel's container: run any kernel for a Jupyter server in another container of the same application.

``python -m yarnspawner.singleuser.kernel_container``; `yarnspawner.provisioner` adds the container and reads what this
publishes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from yarnspawner.common.kernel_protocol import (
    CONTAINER_FOLDER,
    KERNEL_ID_VARIABLE,
    LAUNCH_VARIABLE,
    SECRET_FILE,
    KernelAddress,
    KernelCommand,
    KernelEnd,
    KernelKeys,
    address_key,
    command_key,
    end_key,
)
from yarnspawner.common.protocol import ADDRESS_KEY, ProtocolError
from yarnspawner.common.spare_protocol import SPARE_VARIABLE
from yarnspawner.singleuser.ancestors import Ancestors
from yarnspawner.singleuser.descendants import adopt_orphans, leave_process_group, terminate_descendants
from yarnspawner.singleuser.environment import ensure_writable_dirs, node_name
from yarnspawner.singleuser.failure import RecipeError, say
from yarnspawner.singleuser.kernel_process import KernelProcess
from yarnspawner.singleuser.key_news import KeyNews
from yarnspawner.singleuser.log import LogLimit
from yarnspawner.singleuser.spare_kernel import await_assignment
from yarnspawner.singleuser.store import NotInContainer, Store, StoreError

_NAME = "yarnspawner.singleuser.kernel_container"

# Seconds between two looks at the kernel and the store: while the kernel starts, and later.
_START_INTERVAL = 0.05
_INTERVAL = 0.25
# Seconds that a container waits for a restart after its kernel has ended, and for the server to read a final end.
_RESTART_LIMIT = 20.0
_READ_LIMIT = 2.0
# Seconds between two checks that the server is still there.
_SERVER_INTERVAL = 30.0


def main() -> int:
    """Run the kernel until the server releases the container; return the exit status."""
    try:
        store = Store(lazy=True)  # the kernel starts at the same time
    except NotInContainer as error:
        say(_NAME, str(error))
        return 1
    kernel_id, launch = os.environ.get(KERNEL_ID_VARIABLE, ""), os.environ.pop(LAUNCH_VARIABLE, "")
    spare = bool(os.environ.pop(SPARE_VARIABLE, ""))
    if not kernel_id and not spare:
        say(_NAME, "only a Jupyter server starts this, through yarnspawner's kernel provisioner")
        return 1
    adopt_orphans()
    leave_process_group()
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="kernel-"))  # private, and its path is short enough for UNIX sockets
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(terminate_descendants)
        container = KernelContainer(store, kernel_id, folder)
        try:
            container.run(container.await_launch() if spare else launch)
        except (NotInContainer, ImportError) as error:
            say(_NAME, str(error))
            return 1
        except (RecipeError, ProtocolError, OSError) as error:
            say(_NAME, str(error))
            container.fail(str(error))
            return 1
    return 0


class KernelContainer:
    """Run a kernel, obey the server's commands, and publish where the kernel listens and how it ends.

    - The kernel's end is published at once; the application master learns of a container's end seconds later.
    - After the kernel's end, the container waits for a restart, so that the kernel keeps its address.
    - If YARN stops the container or the server is gone, the kernel ends, with all that it started.

    Args:
        store: the application's key-value store.
        kernel_id: the kernel's id; "" for a spare container.
        folder: private folder with a short path.
    """

    def __init__(self, store: Store, kernel_id: str, folder: Path) -> None:
        self._store = store
        self._kernel_id = kernel_id
        self._folder = folder
        self._ancestors = Ancestors()
        self._logs = LogLimit()
        self._run = 0
        self._serial = 0
        self._news: KeyNews | None = None
        self._server_seen = False
        self._server_check = 0.0
        self._stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stopped.set())

    def await_launch(self) -> str:
        """Wait until the server assigns a kernel to this spare container.

        Returns:
            The kernel's encrypted command; "" if the container is to end.
        """
        assignment = await_assignment(self._store, self._reason_to_stop)
        if assignment is None:
            return ""
        self._kernel_id = os.environ[KERNEL_ID_VARIABLE] = assignment.kernel_id
        return assignment.launch

    def run(self, launch: str) -> None:
        """Run the kernel until the container is released.

        Args:
            launch: the encrypted command; "" to do nothing.

        Raises:
            RecipeError, ProtocolError: it cannot be started.
        """
        if not launch:
            return
        container = self._store.container_folder
        ensure_writable_dirs(os.environ, container)
        keys = KernelKeys(Path(container, SECRET_FILE).read_bytes(), self._kernel_id)
        process = KernelProcess(keys.connection, self._folder)
        while launch:
            self._run += 1
            process.start(keys.unseal(launch).with_folder(CONTAINER_FOLDER, container))
            launch = self._supervise(process)
        self._store.discard(address_key(self._kernel_id))

    def fail(self, message: str) -> None:
        """Publish why the kernel cannot run, and give the server time to read it."""
        with contextlib.suppress(StoreError):
            self._publish_end(KernelEnd(max(self._run, 1), 1, message, final=True))

    def _supervise(self, process: KernelProcess) -> str:
        """Wait until the process ends, and return the command of a restart; "" for none."""
        published = False
        while process.status is None:
            if not published and process.listening():
                published = self._publish(process)
            if reason := self._reason_to_stop():
                process.stop()
                self._publish_end(KernelEnd(self._run, process.status or 0, reason, final=True))
                return ""
            command = self._command()
            if command and command.action == "exit":
                process.stop()
                return ""
            if command and command.action == "signal":
                process.send_signal(command.signal)
            self._logs.keep()
            if published:
                self._wait_for_command()
            else:
                time.sleep(_START_INTERVAL)
            process.poll()
        terminate_descendants()
        message = process.end_message(listened=published)
        say(_NAME, message or "the kernel has ended")
        final = not published and self._run == 1
        self._publish_end(KernelEnd(self._run, process.status, message, final))
        return "" if final else self._await_restart()

    def _await_restart(self) -> str:
        until = time.monotonic() + _RESTART_LIMIT
        while time.monotonic() < until and not self._reason_to_stop():
            command = self._command()
            if command and command.action == "restart":
                return command.launch
            if command and command.action == "exit":
                break
            time.sleep(_START_INTERVAL)
        return ""

    def _reason_to_stop(self) -> str:
        # YARN kills the container's process group, which this process has left.
        if self._stopped.is_set() or self._ancestors.changed:
            return "YARN stopped the kernel's container."
        if time.monotonic() > self._server_check:
            self._server_check = time.monotonic() + _SERVER_INTERVAL
            with contextlib.suppress(StoreError):
                present = self._store.get(ADDRESS_KEY) is not None
                if self._server_seen and not present:
                    return "The kernel's server has ended."
                self._server_seen = self._server_seen or present
        return ""

    def _wait_for_command(self) -> None:
        """Return once there may be a command, at the latest after an interval."""
        if self._news is None:
            self._news = KeyNews(self._store, command_key(self._kernel_id))
            self._news.start()
        self._news.wait(_INTERVAL)

    def _command(self) -> KernelCommand | None:
        """Return the server's next command; None if there is none."""
        if self._news is not None and not self._news.due():
            return None
        try:
            raw = self._store.get(command_key(self._kernel_id))
            command = KernelCommand.from_bytes(raw) if raw else None
        except StoreError:
            if self._news is not None:
                self._news.repeat()
            return None
        except ProtocolError as error:
            say(_NAME, f"a command cannot be read: {error}")
            return None
        if command is None or command.serial <= self._serial:
            return None
        self._serial = command.serial
        return command

    def _publish(self, process: KernelProcess) -> bool:
        address = KernelAddress(
            run=self._run,
            ip=process.ports.address,
            ports=process.ports.by_name,
            node=node_name(),
            container=os.environ.get("CONTAINER_ID", self._store.container_id or ""),
            encrypted=True,
        )
        try:
            self._store.put(address_key(self._kernel_id), address.to_bytes())
        except StoreError as error:
            say(_NAME, f"the kernel's address could not be published yet: {error}")
            return False
        say(_NAME, f"the kernel listens on {address.ip}")
        return True

    def _publish_end(self, end: KernelEnd) -> None:
        until = time.monotonic() + _READ_LIMIT
        while True:
            try:
                self._store.put(end_key(self._kernel_id), end.to_bytes())
                break
            except StoreError:
                if time.monotonic() > until:
                    return
                time.sleep(_INTERVAL)
        if end.final:
            # The key goes with the container.
            time.sleep(_READ_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
