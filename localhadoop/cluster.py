"""A cluster: made, started, used, ended."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from localhadoop import build, commands, homes, kdc, rest
from localhadoop.control import Control
from localhadoop.daemons import Daemon
from localhadoop.errors import LocalHadoopError
from localhadoop.jars import DEFAULT_VERSION
from localhadoop.paths import cluster_directory
from localhadoop.progress import Progress
from localhadoop.settings import USERS, Settings, check_choices

if TYPE_CHECKING:
    from typing_extensions import Self


class LocalHadoop:
    """A Hadoop of its own on this machine.

    * As a context manager it is started on enter and gone on exit; nothing of it survives this process, however that
      dies. :meth:`attach` gives a cluster that ``up`` made; leaving that one's context ends nothing.
    * Daemons can be stopped, killed and started one by one, and come back with their state.

    Parameters: ``kerberos``, the kind; ``nodes``, how many NodeManagers; ``hadoop``, a version or series; ``ha``, two
    ResourceManagers; ``name`` and ``directory``, where it lives (by default a temporary folder that goes with it);
    ``progress`` sees the steps; ``memory`` (MiB) and ``vcores`` of each NodeManager; ``web``, how the kerberos kind's web
    pages are protected (``kerberos`` or ``simple``); ``port``, the first of its block of ports; ``properties``, Hadoop's
    own, that override those of ``configuration.py``.
    """

    def __init__(
        self,
        kerberos: bool = False,
        nodes: int = 1,
        hadoop: str = DEFAULT_VERSION,
        ha: bool = False,
        name: str | None = None,
        directory: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        *,
        memory: int = 4096,
        vcores: int = 8,
        web: str = "kerberos",
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        check_choices(nodes, memory, vcores, web)
        self._choices = {
            "kerberos": kerberos,
            "nodes": nodes,
            "ha": ha,
            "memory": memory,
            "vcores": vcores,
            "web": web,
            "properties": dict(properties or {}),
        }
        self._hadoop = hadoop
        self._name = name
        self._directory = Path(directory).absolute() if directory else None
        self._port = port
        self._progress = progress or Progress()
        self._attached = False
        self._claimed: TextIO | None = None
        self._settings: Settings | None = None
        self._control: Control | None = None
        self.daemons: dict[str, Daemon] = {}

    @classmethod
    def attach(cls, name: str = "default", directory: str | os.PathLike[str] | None = None) -> LocalHadoop:
        """The running cluster of that name (or in that folder), made by ``up``.

        Raises :class:`LocalHadoopError` if there is none, or it does not run.
        """
        folder = Path(directory).absolute() if directory else cluster_directory(name)
        settings = Settings.load(folder)
        cluster = cls()
        cluster._attached = True
        cluster._take(settings, Control(folder))
        cluster.control.ask(status=True)
        return cluster

    def __enter__(self) -> Self:
        if not self._attached:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._attached:
            self.end()

    def start(self) -> None:
        """Bring everything up; raises :class:`LocalHadoopError`, with nothing left running, if that fails."""
        folder = self._make_folder()
        try:
            settings, claim = build.prepare(
                folder, self._name or folder.name, self._hadoop, self._port, self._choices, self._progress
            )
            control = Control(folder)
            self._take(settings, control)
            with claim:
                control.launch(claim, remove=self._is_temporary)
            self._start_daemons()
            if self._claimed:
                self._claimed.close()
        except BaseException as error:
            kept = self._keep_logs(folder) if isinstance(error, (LocalHadoopError, TimeoutError)) else None
            Control(folder).shutdown()
            self._remove(folder)
            if isinstance(error, TimeoutError):
                raise LocalHadoopError(str(error).replace(str(folder / "logs"), str(kept))) from error
            if isinstance(error, LocalHadoopError) and kept:
                raise LocalHadoopError(str(error).replace(str(folder / "logs"), str(kept))) from error
            raise

    def end(self) -> None:
        """Kill all daemons and containers, and remove the folder. Ending twice is no error."""
        if self._control:
            self._control.shutdown()
            self._remove(self.directory)

    def release(self) -> None:
        """Let the cluster live on without this process; ``down`` ends it."""
        self.control.release()
        self._attached = True

    @property
    def _is_temporary(self) -> bool:
        return self._directory is None and self._name is None

    def _make_folder(self) -> Path:
        if self._is_temporary:
            folder = Path(tempfile.mkdtemp(prefix="localhadoop-"))
        else:
            folder = self._directory or cluster_directory(self._name or "default")
            self._claim(folder)
            if Control(folder).guard():
                raise LocalHadoopError(f"there is a running cluster in {folder} already: end it first")
            if folder.exists() and any(folder.iterdir()) and not (folder / "cluster.json").exists():
                raise LocalHadoopError(f"{folder} holds something else than a cluster: choose another folder")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise LocalHadoopError(f"cannot make {folder}: {error.strerror}") from error
        folder.chmod(0o755)
        return folder

    def _claim(self, folder: Path) -> None:
        """Keep other processes from making the same folder until this one has started its cluster, or ends."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._claimed = folder.with_name(f".{folder.name}.lock").open("w")
            fcntl.flock(self._claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalHadoopError(f"another process is starting a cluster in {folder}") from None
        except OSError as error:
            raise LocalHadoopError(f"cannot make {folder}: {error.strerror}") from error

    def _remove(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def _keep_logs(self, folder: Path) -> Path | None:
        """Move the logs of a failed start to where they can be read; None if there are none."""
        if not any((folder / "logs").glob("*")):
            return None
        kept = Path(tempfile.mkdtemp(prefix="localhadoop-failed-"))
        return Path(shutil.copytree(folder / "logs", kept, dirs_exist_ok=True))

    def _take(self, settings: Settings, control: Control) -> None:
        self._settings, self._control = settings, control
        self.daemons = {name: Daemon(name, settings, control) for name in commands.names(settings)}

    def _start_daemons(self) -> None:
        settings, progress = self.settings, self._progress
        for first in ("kdc", "zookeeper"):
            if first in self.daemons:
                progress.step(f"Starting {first}")
                self.daemons[first].start()
                self.daemons[first].wait_ready(30)
        rest_of_them = [daemon for name, daemon in self.daemons.items() if name not in ("kdc", "zookeeper")]
        progress.step("Starting " + ", ".join(daemon.name for daemon in rest_of_them))
        for daemon in rest_of_them:
            if daemon.name != "namenode":
                daemon.start()
        build.format_hdfs(settings)
        self.daemons["namenode"].start()
        self.daemons["namenode"].wait_ready(90)
        progress.step("Making the users' homes in HDFS")
        if settings.kerberos:
            homes.make_by_copy(settings, self.hdfs)
        else:
            homes.make_over_web(settings)
        self.wait_ready(120)
        progress.step("Ready")

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
        return bool(self._choices["kerberos"]) if self._settings is None else self._settings.kerberos

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
        return f"http://{self.settings.address('resourcemanager-web')}"

    @property
    def hdfs_url(self) -> str:
        return f"hdfs://{self.settings.address('namenode')}"

    def principal(self, user: str) -> str | None:
        """The Kerberos principal of a user or of ``jupyterhub``, None in the simple kind."""
        return kdc.principal(user) if self.kerberos else None

    def keytab(self, user: str) -> Path | None:
        """The keytab of a user or of ``jupyterhub``, None in the simple kind."""
        return self.settings.folder / "kerberos" / "keytabs" / f"{user}.keytab" if self.kerberos else None

    def password(self, user: str) -> str | None:
        """The Kerberos password of a user, None in the simple kind."""
        return kdc.password(user) if self.kerberos else None

    def environment(self) -> dict[str, str]:
        """The environment variables by which a client finds the cluster: this process's ``PATH`` with its ``bin`` first."""
        path = os.environ.get("PATH", commands.SYSTEM_PATH)
        return {**commands.client_environment(self.settings), "PATH": f"{self.directory / 'bin'}:{path}"}

    def run(self, command: Sequence[str], user: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a client's command to its end, its output caught as text.

        ``user`` is who it is for Hadoop: in the kerberos kind that user's own ticket and uid, in the simple kind
        ``HADOOP_USER_NAME``. ``options`` go to :func:`subprocess.run`; ``timeout`` is 120 seconds if not given.
        """
        variables = {**os.environ, **self.environment(), **options.pop("env", {})}
        if user and self.kerberos:
            variables |= kdc.ticket(self.settings, user)
            options |= kdc.identity(user)
            variables["HOME"] = str(Path(f"~{user}").expanduser())
        elif user:
            variables["HADOOP_USER_NAME"] = user
        options = {"capture_output": True, "text": True, "timeout": 120, "check": False, **options}
        return subprocess.run(list(command), env=variables, **options)  # noqa: PLW1510 - it stands among the options

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
        return rest.get(url, timeout, kdc.ticket(self.settings, "yarn") if self.settings.spnego else None)

    def active_resource_manager_url(self) -> str:
        """The web address of the ResourceManager that is active now; raises :class:`LocalHadoopError` if none is."""
        for name in self.settings.resource_managers:
            url = f"http://{self.settings.address(f'{name}-web')}"
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
                active = [node["id"] for node in self.nodes() if node["state"] == "RUNNING"]
            except LocalHadoopError:
                active = []
            if len(active) >= self.settings.nodes:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"{len(active)} of {self.settings.nodes} nodes are active after {timeout:.0f} s")
            time.sleep(0.2)
