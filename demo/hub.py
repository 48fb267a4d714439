"""A JupyterHub with the example configuration, for a Hadoop on this machine."""

from __future__ import annotations

import ctypes
import http.client
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from demo.ports import Ports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localhadoop import LocalHadoop

CONFIGURATION = Path(__file__).resolve().parent.parent / "jupyterhub_config.example.py"
ADMIN = "admin"

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class HubError(Exception):
    """The hub does not come up, or did not stay."""


class Hub:
    """A hub and its proxy, on ports of 127.0.0.1 that it keeps when it is started again.

    - it is gone when this process is, however that ends; users' servers are the cluster's
    - ``folder`` holds its database, secrets and log
    """

    def __init__(
        self,
        cluster: LocalHadoop,
        folder: Path,
        *,
        port: int = 8000,
        configuration: Path = CONFIGURATION,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Takes the ports, and starts nothing.

        Args:
            cluster: what its users' servers run on.
            folder: an existing one that only this account can enter.
            port: where browsers find it, if that is free; else the next one.
            configuration: a configuration file that includes or resembles the example.
            settings: more of the environment variables that the example configuration reads.
        """
        self.folder = folder
        self.configuration = configuration
        self.log = folder / "jupyterhub.log"
        self.password = f"demo-{secrets.token_hex(4)}"
        self.admin_password = secrets.token_hex(16)
        self._ports = Ports()
        self.port = self._ports.claim(port)
        self._api_port = self._ports.claim(18081)
        self.address = f"http://127.0.0.1:{self.port}"
        # Where users' servers call it.
        self.api_url = f"http://127.0.0.1:{self._api_port}/hub/api"
        self._cluster = cluster
        self.kerberos = cluster.kerberos
        cluster.open_hub_port(self._api_port)
        self._process: subprocess.Popen[bytes] | None = None
        # The copy of this project that is installed in the environment, as in the users' containers; not the checkout.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        path = f"{Path(sys.executable).parent}:{cluster.environment()['PATH']}"
        self._environment = {
            **inherited,
            **cluster.environment(),
            "PATH": path,
            "YARNSPAWNER_BIND_URL": self.address,
            "YARNSPAWNER_HUB_ADDRESS": cluster.settings.hub_host,
            "YARNSPAWNER_HUB_PORT": str(self._api_port),
            "YARNSPAWNER_PROXY_API_URL": f"http://127.0.0.1:{self._ports.claim(18001)}",
            "YARNSPAWNER_QUEUES": "default small",
            # All nodes are on this machine.
            "YARNSPAWNER_NOTEBOOK_STORAGE": "shared",
            "YARNSPAWNER_STATE": str(folder),
            "YARNSPAWNER_ADMINS": ADMIN,
            "YARNSPAWNER_DEMO_PASSWORD": self.password,
            "YARNSPAWNER_DEMO_ADMIN_PASSWORD": self.admin_password,
        }
        if cluster.kerberos:
            self._environment["YARNSPAWNER_PRINCIPAL"] = str(cluster.principal("jupyterhub"))
            self._environment["YARNSPAWNER_KEYTAB"] = str(cluster.keytab("jupyterhub"))
        if authority := cluster.settings.certificate_authority:
            self._environment["YARNSPAWNER_HADOOP_CA_FILE"] = str(authority)
        self.settings = dict(settings or {})
        """More of its environment variables, from its next start on."""

    @property
    def environment(self) -> dict[str, str]:
        """What it runs in; for commands of an admin on the hub's machine."""
        return {**self._environment, **self.settings}

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it answers.

        Raises:
            HubError: it does not within ``timeout`` seconds, or ends.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._cluster.client_command([sys.executable, "-m", "jupyterhub", "-f", str(self.configuration)]),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for this process, which ends the hub before the cluster.
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing else runs in this process yet
            )
        end = time.monotonic() + timeout
        while not (self._answers(self._api_port) and self._answers(self.port)):
            if self._process.poll() is not None:
                raise HubError(f"the hub ended: {self.last_words()} (see {self.log})")
            if time.monotonic() > end:
                raise HubError(f"the hub does not answer after {timeout:.0f} s (see {self.log})")
            time.sleep(0.2)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; 0 if it was never started."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """End it at once, as a crash would; its proxy lives on, as it does then."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it and its proxy; users' servers go on."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        end_proxy(self.folder / "jupyterhub-proxy.pid")

    def last_words(self) -> str:
        """The line of its log that says best why it ended."""
        lines = self.log.read_text(errors="replace").splitlines() or ["it wrote nothing"]
        return next((line for line in reversed(lines) if "Error" in line), lines[-1]).strip()

    def _answers(self, port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/hub/api/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def end_proxy(pid_file: Path) -> None:
    """End the proxy that a hub has left. A hub that ended in order has taken its proxy along, and the file with it."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if b"configurable-http-proxy" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
