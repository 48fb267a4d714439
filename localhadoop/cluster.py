"""A cluster from its making to its end."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from localhadoop import build, homes, isolation
from localhadoop.control import Control
from localhadoop.errors import LocalHadoopError
from localhadoop.jars import DEFAULT_VERSION
from localhadoop.paths import cluster_directory, clusters_directory
from localhadoop.progress import Progress
from localhadoop.running import RunningCluster
from localhadoop.settings import Settings, check_choices

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds: ten are enough on an idle machine, but tests share it with others.
START = 240


class LocalHadoop(RunningCluster):
    """A Hadoop of its own on this machine.

    * As a context manager it is started on enter and gone on exit; nothing of it survives this process, however that
      dies. :meth:`attach` gives a cluster that ``up`` made; leaving that one's context ends nothing.
    * Daemons can be stopped, killed and started one by one, and come back with their state.

    Parameters: ``kerberos``, True for a Kerberos cluster; ``nodes``, how many NodeManagers; ``hadoop``, a version or series; ``ha``, two
    ResourceManagers; ``name`` and ``directory``, where it lives (by default a temporary folder that goes with it);
    ``progress`` sees the steps; ``memory`` (MiB) and ``vcores`` of each NodeManager; ``gpus``, how many of each YARN counts,
    though there are none; ``label``, the node label of the last NodeManager, which the queue ``default`` may use; ``web``, how
    a Kerberos cluster's web pages are protected (``kerberos`` or ``simple``); ``strict``, a cluster as a hardened site has it
    (``strict.py``); ``port``, the first of its block of ports; ``properties``, Hadoop's own, that override those of
    ``configuration.py``.
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
        gpus: int = 0,
        label: str = "",
        strict: bool = False,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        check_choices(nodes, memory, vcores, web, gpus, label)
        self._choices = {
            "kerberos": kerberos,
            "nodes": nodes,
            "ha": ha,
            "memory": memory,
            "vcores": vcores,
            "web": web,
            "gpus": gpus,
            "label": label,
            "strict": strict,
            "properties": dict(properties or {}),
        }
        self._hadoop = hadoop
        self._name = name
        self._directory = Path(directory).absolute() if directory else None
        self._port = port
        self._progress = progress or Progress()
        self._attached = False
        self._claimed: TextIO | None = None

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
                if settings.isolated:
                    control.launch(claim, self._is_temporary, partial(isolation.separate, settings))
                    isolation.connect(settings, control.guard() or 0)
                else:
                    control.launch(claim, self._is_temporary)
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
            folder = self._temporary_folder()
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

    def _temporary_folder(self) -> Path:
        if not self._choices["strict"]:
            return Path(tempfile.mkdtemp(prefix="localhadoop-"))
        # Nothing in /tmp can be executed there.
        parent = clusters_directory()
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="temporary-", dir=parent))

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

    def _start_daemons(self) -> None:
        settings, progress = self.settings, self._progress
        for first in ("kdc", "zookeeper"):
            if first in self.daemons:
                progress.step(f"Starting {first}")
                self.daemons[first].start()
                self.daemons[first].wait_ready(START)
        rest_of_them = [daemon for name, daemon in self.daemons.items() if name not in ("kdc", "zookeeper")]
        progress.step("Starting " + ", ".join(daemon.name for daemon in rest_of_them))
        for daemon in rest_of_them:
            if daemon.name != "namenode":
                daemon.start()
        build.format_hdfs(settings)
        self.daemons["namenode"].start()
        self.daemons["namenode"].wait_ready(START)
        progress.step("Making the users' homes in HDFS")
        if settings.kerberos:
            homes.make_by_copy(settings, self.hdfs)
        else:
            homes.make_over_web(settings)
        self.wait_ready(START)
        if settings.label:
            progress.step(f"Giving {settings.node_managers[-1]} the node label {settings.label}")
            self._label_node()
        progress.step("Ready")

    def _label_node(self) -> None:
        """What an administrator does: YARN keeps labels in a store of its own, not in its configuration."""
        label, host = self.settings.label, self.settings.host(self.settings.node_managers[-1])
        for command in (
            ["-addToClusterNodeLabels", f"{label}(exclusive=true)"],
            ["-replaceLabelsOnNode", f"{host}={label}", "-failOnUnknownNodes"],
            ["-refreshQueues"],
        ):
            answer = self.run(["yarn", "rmadmin", *command], user="yarn" if self.kerberos else None)
            if answer.returncode:
                raise LocalHadoopError(f"yarn rmadmin {' '.join(command)}: {answer.stderr.strip()}")
