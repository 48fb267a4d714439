"""Things that go wrong on a cluster or on the hub's machine, one at a time, each undone afterwards.

Each function is a context manager that takes a `Site`. Its docstring says what is broken.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from localhadoop import LocalHadoop


@dataclass
class Site:
    """A cluster and a hub's configuration that does not run.

    Attributes:
        cluster: a cluster with Kerberos.
        folder: the hub's folder.
        environment: that of the command; may be changed.
        lines: more lines of the hub's configuration.
        user: for ``--user``.
    """

    cluster: LocalHadoop
    folder: Path
    environment: dict[str, str]
    lines: list[str]
    user: str = "alice"


def change_property(file: Path, name: str, value: str) -> None:
    """Set a property in one of Hadoop's files."""
    tree = ET.parse(file)  # noqa: S314 - a file of the test's own cluster
    root = tree.getroot()
    for entry in [entry for entry in root.iter("property") if entry.findtext("name") == name]:
        root.remove(entry)
    entry = ET.SubElement(root, "property")
    ET.SubElement(entry, "name").text = name
    ET.SubElement(entry, "value").text = value
    tree.write(file)


@contextmanager
def _daemons(site: Site, sort: str, file: str, name: str, value: str) -> Iterator[None]:
    """Restart daemons with another value of a property."""
    daemons = [daemon for daemon in site.cluster.daemons.values() if daemon.name.rstrip("0123456789") == sort]
    files = [site.cluster.directory / "daemons" / daemon.name / "conf" / file for daemon in daemons]
    before = [path.read_bytes() for path in files]

    def restart() -> None:
        for daemon in daemons:
            daemon.kill()
            daemon.start()
        site.cluster.wait_ready(180)

    for path in files:
        change_property(path, name, value)
    try:
        restart()
        yield
    finally:
        for path, content in zip(files, before, strict=True):
            path.write_bytes(content)
        restart()


@contextmanager
def _own_conf(site: Site, file: str, name: str, value: str) -> Iterator[None]:
    """Give the hub a copy of Hadoop's configuration with another value."""
    conf = site.folder / "conf"
    shutil.copytree(site.cluster.conf_dir, conf)
    change_property(conf / file, name, value)
    site.environment["HADOOP_CONF_DIR"] = str(conf)
    yield


@contextmanager
def _hdfs(site: Site, do: list[str], undo: list[str]) -> Iterator[None]:
    site.cluster.hdfs(*do)
    try:
        yield
    finally:
        site.cluster.hdfs(*undo)


@contextmanager
def _dfsadmin(site: Site, do: list[str], undo: list[str]) -> Iterator[None]:
    def run(words: list[str]) -> None:
        done = site.cluster.run(["hdfs", "dfsadmin", *words], user="hdfs")
        assert done.returncode == 0, done.stderr

    run(do)
    try:
        yield
    finally:
        run(undo)


@contextmanager
def no_java(site: Site) -> Iterator[None]:
    """JAVA_HOME names a folder without Java"""
    site.environment["JAVA_HOME"] = "/usr/lib/jvm/nothing"
    yield


@contextmanager
def no_commands(site: Site) -> Iterator[None]:
    """`yarn` is not on PATH"""
    site.environment["PATH"] = ":".join(
        part for part in site.environment["PATH"].split(":") if not (Path(part) / "yarn").exists()
    )
    yield


@contextmanager
def no_files(site: Site) -> Iterator[None]:
    """HADOOP_CONF_DIR names an empty folder"""
    (site.folder / "empty").mkdir()
    site.environment["HADOOP_CONF_DIR"] = str(site.folder / "empty")
    yield


@contextmanager
def local_file_system(site: Site) -> Iterator[None]:
    """fs.defaultFS is the local disk"""
    with _own_conf(site, "core-site.xml", "fs.defaultFS", "file:///"):
        yield


@contextmanager
def no_keytab(site: Site) -> Iterator[None]:
    """The keytab does not exist"""
    site.environment["YARNSPAWNER_KEYTAB"] = str(site.folder / "no.keytab")
    yield


@contextmanager
def other_keytab(site: Site) -> Iterator[None]:
    """The keytab is another principal's"""
    site.environment["YARNSPAWNER_KEYTAB"] = str(site.cluster.keytab("bob"))
    yield


@contextmanager
def open_keytab(site: Site) -> Iterator[None]:
    """Everyone can read the keytab"""
    keytab = site.folder / "open.keytab"
    shutil.copy(str(site.cluster.keytab("jupyterhub")), keytab)
    keytab.chmod(0o644)
    site.environment["YARNSPAWNER_KEYTAB"] = str(keytab)
    yield


@contextmanager
def no_kdc(site: Site) -> Iterator[None]:
    """The KDC does not run"""
    site.cluster.daemons["kdc"].kill()
    try:
        yield
    finally:
        site.cluster.restore()


@contextmanager
def other_name(site: Site) -> Iterator[None]:
    """auth_to_local maps the hub's principal to another user"""
    rule = "RULE:[1:$1@$0](^jupyterhub@EXAMPLE.COM$)s/.*/guest/ DEFAULT"
    with _own_conf(site, "core-site.xml", "hadoop.security.auth_to_local", rule):
        yield


@contextmanager
def no_resource_manager(site: Site) -> Iterator[None]:
    """The ResourceManager does not run"""
    site.cluster.daemons["resourcemanager"].kill()
    try:
        yield
    finally:
        site.cluster.restore()


@contextmanager
def no_recovery(site: Site) -> Iterator[None]:
    """The ResourceManager keeps no state"""
    with _daemons(site, "resourcemanager", "yarn-site.xml", "yarn.resourcemanager.recovery.enabled", "false"):
        yield


@contextmanager
def no_acls(site: Site) -> Iterator[None]:
    """yarn.acl.enable is false"""
    with _daemons(site, "resourcemanager", "yarn-site.xml", "yarn.acl.enable", "false"):
        yield


@contextmanager
def no_aggregation(site: Site) -> Iterator[None]:
    """Log aggregation is off"""
    with _daemons(site, "resourcemanager", "yarn-site.xml", "yarn.log-aggregation-enable", "false"):
        yield


@contextmanager
def no_rules(site: Site) -> Iterator[None]:
    """The ResourceManager has no proxyuser hosts for the hub"""
    with _daemons(site, "resourcemanager", "core-site.xml", "hadoop.proxyuser.jupyterhub.hosts", ""):
        yield


@contextmanager
def small_share(site: Site) -> Iterator[None]:
    """Application masters may use 10 % of a queue, Hadoop's default"""
    name = "yarn.scheduler.capacity.maximum-am-resource-percent"
    with _daemons(site, "resourcemanager", "capacity-scheduler.xml", name, "0.1"):
        yield


@contextmanager
def no_submission(site: Site) -> Iterator[None]:
    """The queue's ACL does not include the user"""
    name = "yarn.scheduler.capacity.root.acl_submit_applications"
    with _daemons(site, "resourcemanager", "capacity-scheduler.xml", name, "bob"):
        yield


@contextmanager
def no_node_recovery(site: Site) -> Iterator[None]:
    """The NodeManagers keep no state"""
    with _daemons(site, "nodemanager", "yarn-site.xml", "yarn.nodemanager.recovery.enabled", "false"):
        yield


@contextmanager
def safe_mode(site: Site) -> Iterator[None]:
    """The NameNode is in safe mode"""
    with _dfsadmin(site, ["-safemode", "enter"], ["-safemode", "leave"]):
        yield


@contextmanager
def no_home(site: Site) -> Iterator[None]:
    """The user has no home in HDFS"""
    with _hdfs(site, ["-mv", "/user/alice", "/user/alice.away"], ["-mv", "/user/alice.away", "/user/alice"]):
        yield


@contextmanager
def other_owner(site: Site) -> Iterator[None]:
    """The user's home belongs to someone else"""
    with _hdfs(site, ["-chown", "bob", "/user/alice"], ["-chown", "alice", "/user/alice"]):
        yield


@contextmanager
def open_home(site: Site) -> Iterator[None]:
    """Everyone may write to the hub's home"""
    with _hdfs(site, ["-chmod", "777", "/user/jupyterhub"], ["-chmod", "711", "/user/jupyterhub"]):
        yield


@contextmanager
def small_quota(site: Site) -> Iterator[None]:
    """The user's home has 100 MiB left of its quota"""
    with _dfsadmin(site, ["-setSpaceQuota", "100m", "/user/alice"], ["-clrSpaceQuota", "/user/alice"]):
        yield


@contextmanager
def private_logs(site: Site) -> Iterator[None]:
    """Users may not write to YARN's folder of logs"""
    with _hdfs(site, ["-chmod", "755", "/tmp/logs"], ["-chmod", "1777", "/tmp/logs"]):
        yield


@contextmanager
def other_user(site: Site) -> Iterator[None]:
    """The hub may not impersonate the user"""
    site.user = "carl"
    yield


@contextmanager
def system_account(site: Site) -> Iterator[None]:
    """hadoop_user maps the user to a system account"""
    site.lines.append('c.YarnSpawner.hadoop_user = "hdfs"')
    yield


@contextmanager
def stopped_queue(site: Site) -> Iterator[None]:
    """The queue is stopped"""
    site.lines.append('c.YarnSpawner.queue = "stopped"')
    yield


@contextmanager
def no_queue(site: Site) -> Iterator[None]:
    """The queue does not exist"""
    site.lines.append('c.YarnSpawner.queue = "notebooks"')
    yield


@contextmanager
def large_server(site: Site) -> Iterator[None]:
    """A server is larger than the largest container"""
    site.lines.append('c.YarnSpawner.mem_limit = "64 G"')
    yield


@contextmanager
def no_label(site: Site) -> Iterator[None]:
    """The node label does not exist"""
    site.lines.append('c.YarnSpawner.node_label = "gpu"')
    yield


@contextmanager
def no_environment(site: Site) -> Iterator[None]:
    """The servers' environment is not on the nodes"""
    site.lines.append('c.YarnSpawner.prologue = "source /opt/nothing/bin/activate"')
    yield


@contextmanager
def no_way_to_hub(site: Site) -> Iterator[None]:
    """The nodes cannot resolve the hub's name"""
    site.lines.append('c.JupyterHub.hub_connect_ip = "hub.invalid"')
    site.lines.append('c.JupyterHub.hub_ip = "0.0.0.0"')
    yield


@contextmanager
def wrong_hub_name(site: Site) -> Iterator[None]:
    """The hub's own name is misspelled"""
    site.lines.append('c.JupyterHub.hub_connect_ip = "hbu.example.invalid"')
    yield


def describe(site: Site, text: str) -> str:
    """Return a text for the documentation, without this machine's paths and ports."""
    for path, name in (
        (site.folder / "conf", "/etc/hadoop/conf"),
        (site.cluster.conf_dir, "/etc/hadoop/conf"),
        (site.folder, "/srv/jupyterhub"),
        (site.cluster.directory / "kerberos" / "keytabs", "/etc/security/keytabs"),
        (site.cluster.directory, "/opt/hadoop"),
    ):
        text = text.replace(str(path), name)
    return re.sub(r"(localhost|127\.0\.0\.\d):\d{4,5}", r"\1:PORT", text).replace("|", "\\|")


def what(breaking: Any) -> str:
    """Return what a function of this module breaks."""
    return str(breaking.__doc__)
