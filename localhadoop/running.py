"""A running cluster as its users see it: its daemons, the environment of its clients, what it says over REST."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localhadoop import commands, isolation, kdc, rest
from localhadoop.control import Control
from localhadoop.daemons import Daemon
from localhadoop.errors import LocalHadoopError
from localhadoop.settings import USERS, Settings


class RunningCluster:
    """What can be asked of a cluster and done to it while it runs; see :class:`localhadoop.LocalHadoop`."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._control: Control | None = None
        #: By name: namenode, datanode, resourcemanager, resourcemanager2, nodemanager1 and so on, kdc, zookeeper.
        self.daemons: dict[str, Daemon] = {}

    def _take(self, settings: Settings, control: Control) -> None:
        self._settings, self._control = settings, control
        self.daemons = {name: Daemon(name, settings, control) for name in commands.names(settings)}

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            raise LocalHadoopError("the cluster was not started")
        return self._settings

    @property
    def control(self) -> Control:
        if self._control is None:
            raise LocalHadoopError("the cluster was not started")
        return self._control

    @property
    def kerberos(self) -> bool:
        return self.settings.kerberos

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def directory(self) -> Path:
        return self.settings.folder

    @property
    def conf_dir(self) -> Path:
        return self.settings.conf

    @property
    def users(self) -> list[str]:
        """The users of the cluster; the hub may impersonate the first two only."""
        return list(USERS)

    @property
    def node_managers(self) -> list[Daemon]:
        return [self.daemons[name] for name in self.settings.node_managers]

    @property
    def resource_manager_url(self) -> str:
        """The web address of the first ResourceManager."""
        return f"{self.settings.scheme}://{self.settings.address('resourcemanager-web')}"

    @property
    def hdfs_url(self) -> str:
        return f"hdfs://{self.settings.address('namenode')}"

    def principal(self, user: str) -> str | None:
        """The Kerberos principal of a user or of ``jupyterhub``, None on a simple cluster."""
        return self.settings.principal(user) if self.kerberos else None

    def keytab(self, user: str) -> Path | None:
        """The keytab of a user or of ``jupyterhub``, None on a simple cluster."""
        return self.settings.folder / "kerberos" / "keytabs" / f"{user}.keytab" if self.kerberos else None

    def password(self, user: str) -> str | None:
        """The Kerberos password of a user, None on a simple cluster."""
        return kdc.password(user) if self.kerberos else None

    def environment(self) -> dict[str, str]:
        """The environment variables by which a client finds the cluster: this process's ``PATH`` with its ``bin`` first."""
        path = os.environ.get("PATH", commands.SYSTEM_PATH)
        return {**commands.client_environment(self.settings), "PATH": f"{self.directory / 'bin'}:{path}"}

    def login(self, user: str) -> dict[str, str]:
        """The environment variables by which a client is that user for Hadoop: a fresh ticket, or ``HADOOP_USER_NAME``.

        The ticket's file is the user's own. Raises :class:`LocalHadoopError` for a user without keytab.
        """
        return kdc.ticket(self.settings, user) if self.kerberos else {"HADOOP_USER_NAME": user}

    def run(self, command: Sequence[str], user: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a client's command to its end, its output caught as text.

        ``user`` is who it is for Hadoop: on a Kerberos cluster that user's own ticket and uid, on a simple one
        ``HADOOP_USER_NAME``. ``options`` go to :func:`subprocess.run`; ``timeout`` is 120 seconds if not given.
        """
        variables = {**os.environ, **self.environment(), **options.pop("env", {})}
        if user:
            variables |= self.login(user)
        if user and self.kerberos:
            variables["HOME"] = str(Path(f"~{user}").expanduser())
        if self.settings.isolated:
            command = self.client_command(isolation.as_user(command, user if self.kerberos else None))
        elif user and self.kerberos:
            options |= kdc.identity(user)
        options = {"capture_output": True, "text": True, "timeout": 120, "check": False, **options}
        return subprocess.run(list(command), env=variables, **options)  # noqa: PLW1510 - it stands among the options

    def client_command(self, command: Sequence[str]) -> list[str]:
        """The command line of a client's program: on an isolated cluster, one that sees its mounts and host names."""
        return isolation.enter(self.settings, command) if self.settings.isolated else list(command)

    def open_hub_port(self, port: int) -> None:
        """Let containers connect to ``port`` of this machine, as a site's firewall must for a hub."""
        if self.settings.isolated and (guard := self.control.guard()):
            isolation.open_hub_port(guard, port)

    def hdfs(self, *arguments: str, user: str | None = None) -> str:
        """The output of ``hdfs dfs ARGUMENTS``, as a user or as HDFS's superuser.

        Raises :class:`LocalHadoopError` with its message if it fails.
        """
        answer = self.run(["hdfs", "dfs", *arguments], user=user or ("hdfs" if self.kerberos else None))
        if answer.returncode:
            raise LocalHadoopError(f"hdfs dfs {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    def get(self, url: str, timeout: float = 10) -> Any:
        """The JSON document at a daemon's web address, read as YARN's administrator; see :func:`rest.get`."""
        tickets = kdc.ticket(self.settings, "yarn") if self.settings.spnego else None
        return rest.get(url, timeout, tickets, self.settings)

    def active_resource_manager_url(self) -> str:
        """The web address of the ResourceManager that is active now; raises :class:`LocalHadoopError` if none is."""
        for name in self.settings.resource_managers:
            url = f"{self.settings.scheme}://{self.settings.address(f'{name}-web')}"
            try:
                if self.get(f"{url}/ws/v1/cluster/info")["clusterInfo"]["haState"] == "ACTIVE":
                    return url
            except LocalHadoopError:
                continue
        raise LocalHadoopError("no ResourceManager is active")

    def applications(self, **filters: str) -> list[dict[str, Any]]:
        """All applications as the ResourceManager's REST interface describes them; ``states="RUNNING"`` and the like filter."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        answer = self.get(f"{self.active_resource_manager_url()}/ws/v1/cluster/apps?{query}")
        return list((answer["apps"] or {}).get("app", []))

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes as the ResourceManager's REST interface describes them."""
        answer = self.get(f"{self.active_resource_manager_url()}/ws/v1/cluster/nodes")
        return list((answer["nodes"] or {}).get("node", []))

    def restore(self, timeout: float = 120) -> None:
        """Start every daemon that is down and resume every suspended one, until all are ready.

        Raises as :meth:`wait_ready` does.
        """
        pids = self.control.ask(status=True)["pids"]
        down = [daemon for name, daemon in self.daemons.items() if name not in pids]
        for daemon in self.daemons.values():
            if daemon not in down:
                daemon.resume()
        for daemon in down:
            daemon.start()
        self.wait_ready(timeout)

    def wait_ready(self, timeout: float = 120) -> None:
        """Wait until all daemons are ready and all nodes can take containers, at most ``timeout`` seconds.

        Raises as :meth:`Daemon.wait_ready` does.
        """
        end = time.monotonic() + timeout
        for daemon in self.daemons.values():
            daemon.wait_ready(max(end - time.monotonic(), 1))
        self.wait_for_nodes(max(end - time.monotonic(), 1))

    def wait_for_nodes(self, timeout: float = 60) -> None:
        """Wait until the active ResourceManager has all nodes; raises :class:`TimeoutError` after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while True:
            try:
                states = {node["id"]: f"{node['state']} {node['healthReport']}".strip() for node in self.nodes()}
            except LocalHadoopError as error:
                states = {"no node": str(error)}
            if list(states.values()).count("RUNNING") >= self.settings.nodes:
                return
            if time.monotonic() > end:
                said = "; ".join(f"{node}: {state}" for node, state in states.items())
                raise TimeoutError(f"not all nodes are active after {timeout:.0f} s ({said})")
            time.sleep(0.2)
