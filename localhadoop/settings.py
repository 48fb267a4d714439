"""What a cluster is: chosen once, kept in its folder."""

from __future__ import annotations

import json
import os
import pwd
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from localhadoop.errors import LocalHadoopError
from localhadoop.ports import MOST_NODES

REALM = "EXAMPLE.COM"

#: Of the names in a cluster with a network of its own; RFC 6761 keeps ``.test`` free for this.
DOMAIN = "hadoop.test"

#: Users of the cluster. The hub may impersonate the first two only, so that a test has one whom it may not.
USERS = ("alice", "bob", "carl")
IMPERSONATED = ("alice", "bob")
HUB = "jupyterhub"

#: Who runs a daemon has a principal for its host.
SERVICES = ("hdfs", "yarn")

#: First parts of principals that a strict cluster's ``auth_to_local`` gives another name, by that name.
RENAMED = {"hdfs": "nn", "yarn": "rm", HUB: "notebooks"}

SMALL_QUEUE = 1024  # MiB that all applications in the queue "small" get together


@dataclass(frozen=True)
class Settings:
    """The choices behind a cluster, its folder and its ports.

    ``memory`` is in MiB and, like ``vcores`` and ``gpus``, of each NodeManager; ``label`` is the node label of the last of them;
    ``java`` is its home folder; ``properties`` override Hadoop's; ``web`` is ``kerberos`` (SPNEGO) or ``simple`` for the
    daemons' web pages of a Kerberos cluster; ``strict`` is a cluster as a hardened site has it (``strict.py``), and
    ``isolated`` one with a network and mounts of its own (``isolation.py``).
    """

    name: str
    directory: str
    hadoop: str
    java: str
    ports: dict[str, int]
    jars: list[str]
    kerberos: bool = False
    nodes: int = 1
    ha: bool = False
    memory: int = 4096
    vcores: int = 8
    web: str = "kerberos"
    gpus: int = 0
    label: str = ""
    strict: bool = False
    isolated: bool = False
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return Path(self.directory)

    @property
    def conf(self) -> Path:
        """The configuration of clients and containers, for every user to read."""
        return self.folder / "conf"

    @property
    def java_home(self) -> Path:
        """The ``JAVA_HOME`` of clients and containers.

        The JDK does not look at ``KRB5_CONFIG``, and options in ``JAVA_TOOL_OPTIONS`` would be inherited by users'
        own programs and printed by each JVM. So for a Kerberos cluster this folder is a shell around the real one, whose
        ``bin/java`` tells the JVM where the cluster's krb5.conf is.
        """
        return self.folder / "java" if self.kerberos else Path(self.java)

    @property
    def library(self) -> Path:
        """A folder of links to all jars, for class paths that are written out in containers' scripts and logs."""
        return self.folder / "lib" / "hadoop"

    @property
    def native(self) -> Path:
        """The folder of libhadoop.so, in the place where skein looks for it below ``HADOOP_HOME``."""
        return self.folder / "lib" / "native"

    @property
    def native_classes(self) -> Path:
        """Classes that fit libhadoop.so where this version's own do not; they come first on daemons' class paths."""
        return self.folder / "lib" / "native-classes"

    @property
    def resource_managers(self) -> list[str]:
        return ["resourcemanager", "resourcemanager2"] if self.ha else ["resourcemanager"]

    @property
    def node_managers(self) -> list[str]:
        return [f"nodemanager{number}" for number in range(1, self.nodes + 1)]

    @property
    def spnego(self) -> bool:
        return self.kerberos and self.web == "kerberos"

    def host(self, daemon: str) -> str:
        """The host name or address that ``daemon`` listens on: NodeManagers after the first have one each."""
        number = node_number(daemon)
        if self.isolated:
            return f"node{number}.{DOMAIN}" if number else self.master
        return "localhost" if number <= 1 else f"127.0.0.{number}"

    @property
    def master(self) -> str:
        """The host name of all daemons but the NodeManagers."""
        return f"master.{DOMAIN}" if self.isolated else "localhost"

    @property
    def hub_host(self) -> str:
        """The name or address by which containers find a hub on this machine."""
        return f"hub.{DOMAIN}" if self.isolated else "127.0.0.1"

    def ip(self, daemon: str) -> str:
        """The IP address that ``daemon`` listens on."""
        number = node_number(daemon)
        return self.network_address(2 + number) if self.isolated else f"127.0.0.{number or 1}"

    def network_address(self, number: int) -> str:
        """An address of the cluster's own network, a /25 for each block of ports; 1 is this machine's, 2 the master's.

        198.18.0.0/15 is for tests (RFC 2544), so no site uses it.
        """
        block = self.ports["claim"] // 64
        return f"198.{18 + block // 512}.{block // 2 % 256}.{128 * (block % 2) + number}"

    @property
    def scheme(self) -> str:
        """The scheme of the daemons' web pages."""
        return "https" if self.strict else "http"

    @property
    def certificate_authority(self) -> Path | None:
        """The certificate (PEM) of the CA of the daemons' web pages, None where they have none."""
        return self.folder / "tls" / "ca.pem" if self.strict else None

    def principal(self, user: str) -> str:
        """The full Kerberos principal of a user, ``jupyterhub``, ``hdfs`` or ``yarn``."""
        first = RENAMED.get(user, user) if self.strict else user
        return f"{first}/{self.master}@{REALM}" if user in SERVICES else f"{first}@{REALM}"

    def address(self, port: str) -> str:
        """``host:port`` of the port of that name."""
        return f"{self.host(port.partition('-')[0])}:{self.ports[port]}"

    def save(self) -> None:
        (self.folder / "cluster.json").write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Settings:
        """The settings of the cluster in ``folder``; raises :class:`LocalHadoopError` where there is none."""
        try:
            return cls(**json.loads((folder / "cluster.json").read_text()))
        except FileNotFoundError:
            raise LocalHadoopError(f"there is no cluster in {folder}") from None
        except (OSError, ValueError, TypeError) as error:
            raise LocalHadoopError(f"cannot read the cluster in {folder}: {error}") from error


def check_choices(nodes: int, memory: int, vcores: int, web: str, gpus: int = 0, label: str = "") -> None:
    """Refuse with :class:`LocalHadoopError` what no cluster can be."""
    if not 1 <= nodes <= MOST_NODES:
        raise LocalHadoopError(f"a cluster has 1 to {MOST_NODES} NodeManagers, not {nodes}")
    if memory < SMALL_QUEUE:
        raise LocalHadoopError(f"a NodeManager needs {SMALL_QUEUE} MiB for containers, {memory} is too little")
    if vcores < 1:
        raise LocalHadoopError(f"a NodeManager needs at least one virtual core, not {vcores}")
    if gpus < 0:
        raise LocalHadoopError(f"a NodeManager has no GPUs or some, not {gpus}")
    if not re.fullmatch(r"([0-9a-zA-Z][0-9a-zA-Z_-]{0,254})?", label):
        raise LocalHadoopError(f"a node label is letters, digits, - and _, not {label!r}")
    if web not in ("kerberos", "simple"):
        raise LocalHadoopError(f"the web pages are protected by 'kerberos' or 'simple', not {web!r}")


def node_number(daemon: str) -> int:
    """The number of a NodeManager, 0 for another daemon."""
    return int(daemon.removeprefix("nodemanager")) if daemon.startswith("nodemanager") else 0


def operator() -> str:
    """The name of the user whose processes these are."""
    return pwd.getpwuid(os.geteuid()).pw_name
