"""Read Hadoop's *-site.xml files the way Hadoop does, for the few properties that the hub needs."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementInclude
from xml.etree import ElementTree as ET

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
        return cls({name: value for file in found for name, value in properties_of(file)})

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
        name = f"dfs.namenode.{'https' if secure else 'http'}-address"
        ids = [node.strip() for node in (self.get(f"dfs.ha.namenodes.{service}") or "").split(",") if node.strip()]
        addresses = [self.get(f"{name}.{service}.{node}") for node in ids] or [
            self.get(f"{name}.{service}") or self.get(name) or f"0.0.0.0:{9871 if secure else 9870}"
        ]
        host = service.partition(":")[0]
        # A NameNode that listens on all interfaces is reached at the host of the file system.
        found = [address.strip().replace("0.0.0.0:", f"{host}:") for address in addresses if address]
        return [f"{'https' if secure else 'http'}://{address}" for address in found]

    def _resource_manager(self, suffix: str, *, secure: bool) -> str:
        name = f"yarn.resourcemanager.webapp{'.https' if secure else ''}.address"
        port = "8090" if secure else "8088"
        # Like Hadoop's HAUtil: with HA, each ResourceManager has an address, or the default port on its host name.
        address = self.get(name + suffix) or ""
        if not address:
            own = self.get(f"yarn.resourcemanager.hostname{suffix}") if suffix else None
            address = f"{own.strip()}:{port}" if own else self[name]
        host, _, given = address.strip().rpartition(":") if ":" in address else (address.strip(), "", port)
        return f"{'https' if secure else 'http'}://{'localhost' if host == '0.0.0.0' else host}:{given}"  # noqa: S104

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


def properties_of(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and unexpanded values of a file's properties.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        root = ET.parse(file).getroot()  # noqa: S314 - a trusted file of the admin
        ElementInclude.include(root, base_url=str(file))
    except (OSError, ET.ParseError, ElementInclude.FatalIncludeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None
    for entry in root.iter("property"):
        name, value = entry.findtext("name"), entry.findtext("value")
        if name is not None and value is not None:
            yield name.strip(), value
