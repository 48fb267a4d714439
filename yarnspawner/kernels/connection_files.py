"""Connection files of kernels on the cluster, in Jupyter's runtime folder, and what is done with the kernels behind them."""

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

# Seconds for a kernel's machine to answer, and for a kernel that was shut down to be gone.
_ANSWER = 5.0
_GOING = 5.0


def make_folder() -> None:
    """Make the folder of the connection files, where it is missing.

    Raises:
        KernelError: nobody could write a file there; nothing should be started then.
    """
    folder = _folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _not_written(folder, error) from None


def _folder() -> Path:
    # Late: it takes a while, and not every command needs it.
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def _not_written(path: Path, error: OSError) -> KernelError:
    return KernelError(
        f"The connection file cannot be written, {path}: {error.strerror}. The variable JUPYTER_RUNTIME_DIR can name a"
        " folder of yours."
    )


class ConnectionFile:
    """How to connect to the kernel of one application.

    - the file holds the kernel's keys: nobody but its owner can read it
    - it is in the folder where Jupyter's clients look for such files

    Args:
        application_id: the application.

    Raises:
        KernelError: this is no application's id.
    """

    def __init__(self, application_id: str) -> None:
        if not is_application_id(application_id):
            raise KernelError(f"{application_id!r} is not an application id, such as application_1763890000000_0001.")
        self.application_id = application_id
        self.path = _folder() / f"kernel-{application_id}.json"

    def write(self, information: dict[str, Any]) -> None:
        """Make it.

        Raises:
            KernelError: it cannot be written.
        """
        try:
            with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(json.dumps(information, indent=2))
        except OSError as error:
            raise _not_written(self.path, error) from None

    def exists(self) -> bool:
        return self.path.exists()

    def remove(self) -> None:
        """Remove it, if it is there: its kernel is gone."""
        self.path.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether something listens where the kernel is said to.

        Raises:
            KernelError: there is no such file, or it is no connection file.
        """
        try:
            information = json.loads(self.path.read_text())
            address = (str(information["ip"]), int(information["hb_port"]))
        except FileNotFoundError:
            raise KernelError(
                f"There is no {self.path}: the kernel was started by another account or on another machine."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KernelError(f"{self.path} cannot be used: {error}") from None
        try:
            socket.create_connection(address, timeout=_ANSWER).close()
        except OSError:
            return False
        return True

    def remove_if_gone(self, within: float = _GOING) -> bool:
        """Remove it if its kernel ends within some seconds, as one does that was just shut down; whether it has."""
        until = time.monotonic() + within
        with contextlib.suppress(KernelError):
            while self.answers():
                if time.monotonic() > until:
                    return False
                time.sleep(0.2)
            self.remove()
        return True

    def shut_down(self) -> None:
        """Ask the kernel to end. Whether it does is not waited for."""
        from jupyter_client.blocking.client import BlockingKernelClient

        client = BlockingKernelClient(connection_file=str(self.path))
        client.load_connection_file()
        client.start_channels(stdin=False, hb=False, iopub=False)
        with contextlib.suppress(Exception):
            client.shutdown(reply=True, timeout=5)
        client.stop_channels()
