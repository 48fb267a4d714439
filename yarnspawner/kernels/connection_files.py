"""Connection files of kernels on the cluster, in Jupyter's runtime folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from yarnspawner.common.ids import is_application_id
from yarnspawner.kernels.request import KernelError

# Timeouts in seconds: for a kernel's host to answer, and for a kernel to end after a shutdown request.
_ANSWER = 5.0
_GOING = 5.0


def make_folder() -> None:
    """Create the folder of the connection files if it does not exist. Called before a kernel is submitted.

    Raises:
        KernelError: the folder is not writable.
    """
    folder = runtime_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _not_written(folder, error) from None


def runtime_folder() -> Path:
    """Return Jupyter's runtime folder."""
    # Deferred: the import is slow, and not every command needs it.
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def _not_written(path: Path, error: OSError) -> KernelError:
    return KernelError(
        f"The connection file cannot be written, {path}: {error.strerror}. Set JUPYTER_RUNTIME_DIR to a folder where you"
        " have write permission."
    )


def write_private(path: Path, text: str) -> None:
    """Create or overwrite a file that only its owner can read.

    Raises:
        KernelError: it cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(text)
    except OSError as error:
        raise _not_written(path, error) from None


class ConnectionFile:
    """The connection file of one application's kernel.

    - It contains the kernel's keys, so only its owner can read it.
    - It is in Jupyter's runtime folder, where Jupyter's clients find it.

    Args:
        application_id: the application.

    Raises:
        KernelError: this is not an application id.
    """

    def __init__(self, application_id: str) -> None:
        if not is_application_id(application_id):
            raise KernelError(f"{application_id!r} is not an application id, such as application_1763890000000_0001.")
        self.application_id = application_id
        self.path = runtime_folder() / f"kernel-{application_id}.json"

    def write(self, information: dict[str, Any]) -> None:
        """Create or overwrite the file.

        Raises:
            KernelError: it cannot be written.
        """
        write_private(self.path, json.dumps(information, indent=2))

    def exists(self) -> bool:
        return self.path.exists()

    def remove(self) -> None:
        """Remove the file if it exists."""
        self.path.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Return True if the kernel's heartbeat port accepts connections.

        Raises:
            KernelError: the file does not exist or is not a connection file.
        """
        try:
            information = json.loads(self.path.read_text())
            address = (str(information["ip"]), int(information["hb_port"]))
        except FileNotFoundError:
            raise KernelError(
                f"{self.path} does not exist: the kernel was started by another account or on another host."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KernelError(f"{self.path} cannot be used: {error}") from None
        try:
            socket.create_connection(address, timeout=_ANSWER).close()
        except OSError:
            return False
        return True

    def remove_if_gone(self, within: float = _GOING) -> bool:
        """Wait some seconds for the kernel to end, and remove the file if it does. Return True if it has ended."""
        until = time.monotonic() + within
        with contextlib.suppress(KernelError):
            while self.answers():
                if time.monotonic() > until:
                    return False
                time.sleep(0.2)
            self.remove()
        return True

    def shut_down(self) -> None:
        """Request a shutdown of the kernel; do not wait for its end."""
        from jupyter_client.blocking.client import BlockingKernelClient

        client = BlockingKernelClient(connection_file=str(self.path))
        client.load_connection_file()
        client.start_channels(stdin=False, hb=False, iopub=False)
        with contextlib.suppress(Exception):
            client.shutdown(reply=True, timeout=5)
        client.stop_channels()
