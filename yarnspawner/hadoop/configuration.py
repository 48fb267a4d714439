"""Read Hadoop's *-site.xml files the way Hadoop does, for the few properties that the hub needs."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from yarnspawner.hadoop.site_files import SiteFileError, properties_of

# From core-default.xml and yarn-default.xml in the jars of Hadoop 3.
_DEFAULTS = {
    "dfs.http.policy": "HTTP_ONLY",
    "fs.defaultFS": "file:///",
    "hadoop.security.authentication": "simple",
    "yarn.acl.enable": "false",
    "yarn.admin.acl": "*",
    "yarn.http.policy": "HTTP_ONLY",
    "yarn.log-aggregation-enable": "false",
    "yarn.resourcemanager.ha.enabled": "false",
    "yarn.resourcemanager.hostname": "0.0.0.0",  # noqa: S104 - Hadoop's default, which means this machine
    "yarn.resourcemanager.webapp.address": "${yarn.resourcemanager.hostname}:8088",
    "yarn.resourcemanager.webapp.https.address": "${yarn.resourcemanager.hostname}:8090",
    "yarn.scheduler.maximum-allocation-mb": "8192",
    "yarn.scheduler.maximum-allocation-vcores": "4",
}

# Former names that Hadoop still accepts.
_RENAMED = {
    "dfs.http.address": "dfs.namenode.http-address",
    "dfs.https.address": "dfs.namenode.https-address",
    "fs.default.name": "fs.defaultFS",
}

# All interfaces, or no host. Hadoop's daemons listen there, and no client connects to it.
_NO_HOST = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104

_FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
_VARIABLE = re.compile(r"\$\{([^{}$\s]+)\}")
# ${env.NAME}, ${env.NAME-default if unset} and ${env.NAME:-default if unset or empty}
_ENVIRONMENT = re.compile(r"env\.(\w+)(?:(:?)-(.*))?")
# The limit of org.apache.hadoop.conf.Configuration, which also stops cycles.
_EXPANSIONS = 20


class ConfigurationError(Exception):
    """The configuration cannot be read. The message names the file and the reason."""


class HadoopConfiguration(Mapping[str, str]):
    """Hadoop's configuration, with defaults and with variables expanded.

    Args:
        settings: unexpanded value of each property by its name.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = {**_DEFAULTS, **settings}

    @classmethod
    def load(cls, folder: str | os.PathLike[str] = "") -> HadoopConfiguration:
        """Read the *-site.xml files of a folder. Missing files count as empty.

        Args:
            folder: default as for Hadoop's commands: HADOOP_CONF_DIR, YARN_CONF_DIR, or /etc/hadoop/conf.

        Raises:
            ConfigurationError: the folder has none of the files, or a file is invalid.
        """
        variables = os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR")
        path = Path(folder or variables or "/etc/hadoop/conf")
        try:
            found = [path / name for name in _FILES if (path / name).is_file()]
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
        if not found:
            raise ConfigurationError(f"{path} has no Hadoop configuration ({', '.join(_FILES)})")
        settings: dict[str, str] = {}
        final: set[str] = set()
        try:
            for written in (one for file in found for one in properties_of(file)):
                name = _RENAMED.get(written.name, written.name)
                # As in Hadoop, no later file and no later line changes a final property.
                if name not in final:
                    settings[name] = written.value
                if written.final:
                    final.add(name)
        except SiteFileError as error:
            raise ConfigurationError(str(error)) from None
        return cls(settings)

    def __getitem__(self, name: str) -> str:
        return self._expand(self._settings[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def flag(self, name: str) -> bool:
        """Return True if a property is ``true``."""
        return self.get(name, "").strip().lower() == "true"

    def resource_managers(self) -> list[str]:
        """Return the web addresses of all ResourceManagers as ``scheme://host:port``."""
        secure = self["yarn.http.policy"].strip().upper() == "HTTPS_ONLY"
        ids = self.get("yarn.resourcemanager.ha.rm-ids", "") if self.flag("yarn.resourcemanager.ha.enabled") else ""
        suffixes = [f".{name.strip()}" for name in ids.split(",") if name.strip()] or [""]
        return [self._resource_manager(suffix, secure=secure) for suffix in suffixes]

    def name_nodes(self) -> list[str]:
        """Return the web addresses of all NameNodes of the default file system. Empty if that is not HDFS."""
        scheme, _, rest = self["fs.defaultFS"].strip().partition("://")
        service, _, path = rest.partition("/")
        service = service or path
        if scheme != "hdfs":
            return []
        secure = self["dfs.http.policy"].strip().upper() == "HTTPS_ONLY"
        ids = [node.strip() for node in (self.get(f"dfs.ha.namenodes.{service}") or "").split(",") if node.strip()]
        scheme, port = ("https", "9871") if secure else ("http", "9870")
        name = f"dfs.namenode.{scheme}-address"
        suffixes = [f".{service}.{node}" for node in ids]
        if not ids:
            suffixes = ["" if self.get(name) and not self.get(f"{name}.{service}") else f".{service}"]
        # Without HA, the name of the file system is that of a host, or of a service with one NameNode.
        host = "" if ids else service
        return [
            f"{scheme}://"
            + _address(self.get(name + suffix) or "", [self.get(f"dfs.namenode.rpc-address{suffix}") or "", host], port)
            for suffix in suffixes
        ]

    def _resource_manager(self, suffix: str, *, secure: bool) -> str:
        prefix = "yarn.resourcemanager."
        own, other = (
            ("webapp.https.address", "webapp.address") if secure else ("webapp.address", "webapp.https.address")
        )
        # Like Hadoop's HAUtil: with HA, each ResourceManager has an address, or the default port on its host name.
        address = self.get(f"{prefix}{own}{suffix}") or ""
        # Its RPC address may be all that says where it is.
        others = [self.get(f"{prefix}{name}{suffix}") or "" for name in ("hostname", "address", other)]
        if suffix and not (address or any(others)):
            address = self[f"{prefix}{own}"]
        scheme = "https" if secure else "http"
        return f"{scheme}://{_address(address, [*others, 'localhost'], '8090' if secure else '8088')}"

    def _expand(self, value: str) -> str:
        for _ in range(_EXPANSIONS):
            match = next((m for m in _VARIABLE.finditer(value) if self._variable(m[1]) is not None), None)
            if match is None:
                return value
            value = value[: match.start()] + str(self._variable(match[1])) + value[match.end() :]
        return value

    def _variable(self, name: str) -> str | None:
        if environment := _ENVIRONMENT.fullmatch(name):
            variable, colon, fallback = environment.groups()
            found = os.environ.get(variable)
            return fallback if found is None or (colon and not found) else found
        if name == "user.name":
            return getpass.getuser()
        return self._settings.get(name)


def _address(address: str, hosts: list[str], port: str) -> str:
    """Return ``host:port`` of a daemon.

    Args:
        address: what the configuration says, such as ``0.0.0.0:8088``; "" for nothing.
        hosts: other addresses of the same daemon. The first one with a host counts if ``address`` has none.
        port: default port.
    """
    host, given = _host_and_port(address)
    if host in _NO_HOST:
        host = next((other for one in hosts if (other := _host_and_port(one)[0]) not in _NO_HOST), host)
    return f"{host}:{given or port}"


def _host_and_port(address: str) -> tuple[str, str]:
    # Hadoop's NetUtils accepts a scheme before an address.
    text = address.strip().rpartition("://")[2].rstrip("/")
    host, bracket, rest = text.rpartition("]")
    if bracket:
        return f"{host}]", rest.lstrip(":")
    host, _, port = text.partition(":")
    return host.strip(), port.strip()
