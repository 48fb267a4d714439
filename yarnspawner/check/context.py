"""What the steps share: settings, Hadoop's configuration and requests, each read once."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from yarnspawner.check.reading import as_properties
from yarnspawner.check.result import NotUsed, Unknown
from yarnspawner.check.trial_user import trial_spawner
from yarnspawner.common.tasks import consume_exception
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.filesystem import DefaultFileSystem, FileSystem, FileSystemError
from yarnspawner.hadoop.http_client import HadoopHttpClient, WebError
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.processes import CommandTimeout, CompletedCommand, run
from yarnspawner.hadoop.scheduler import as_list
from yarnspawner.launch.request import resolve_setting
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.yarn.access import ClusterAccess

if TYPE_CHECKING:
    from yarnspawner.check.probe import Probe

_T = TypeVar("_T")

# NodeManagers that are asked for their configuration. A cluster's nodes rarely differ.
MAX_NODES = 20
_JAVA_OPTIONS = "-Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
_COMMAND_TIMEOUT = 90.0


class CheckContext:
    """What the steps share.

    Args:
        hub: JupyterHub's application, with its configuration.
        settings: a spawner without a user, which has the hub's settings.
        user: name of the hub's user to check, "" for none.
        nodes: number of nodes to probe.
    """

    def __init__(self, hub: Any, settings: SpawnerSettings, *, user: str = "", nodes: int = 1) -> None:
        self.hub = hub
        self.settings = settings
        self.user = user
        self.nodes = nodes
        # The Hadoop user that the user's servers run as; see resolve_user.
        self.hadoop_user = user
        # The tag of what the check starts, and whether it has started anything.
        self.id = secrets.token_hex(8)
        self.tag = f"yarnspawner-check-{self.id}"
        self.started = False
        self._spawner: Any = None
        # What the containers found, once they have run.
        self.probe: Probe | None = None
        self._requests: dict[str, asyncio.Future[Any]] = {}

    @property
    def access(self) -> ClusterAccess:
        """The hub's access to the cluster."""
        access: ClusterAccess = self.settings.hub_context.access
        return access

    @property
    def hub_user(self) -> str:
        """The hub's Hadoop user."""
        return self.access.hub_user

    @property
    def folder(self) -> Path:
        """The folder of Hadoop's configuration."""
        return Path(os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR") or "/etc/hadoop/conf")

    @cached_property
    def _configuration(self) -> HadoopConfiguration | ConfigurationError:
        try:
            return HadoopConfiguration.load()
        except ConfigurationError as error:
            return error

    @property
    def configuration(self) -> HadoopConfiguration:
        """The hub's copy of Hadoop's configuration.

        Raises:
            Unknown: it cannot be read.
        """
        if isinstance(self._configuration, ConfigurationError):
            raise Unknown(f"Hadoop's configuration is missing: {self._configuration}.")
        return self._configuration

    @property
    def kerberos(self) -> bool:
        """True if the cluster uses Kerberos."""
        return self.configuration["hadoop.security.authentication"].strip().lower() == "kerberos"

    @cached_property
    def web(self) -> HadoopHttpClient:
        """The client of the daemons' web services."""
        access = self.access
        tickets = TicketCache.shared(access.principal, access.keytab)
        return HadoopHttpClient(
            access.hub_user, tickets=tickets, ca_file=access.hadoop_ca_file, plain_login=access.spnego_over_http
        )

    async def setting(self, name: str) -> str:
        """Return a setting that may be a template or a callable.

        Raises:
            Unknown: it depends on the user, and no user was given.
        """
        value = getattr(self.settings, name)
        if isinstance(value, str) and "{" not in value:
            return value
        if not self.user:
            raise Unknown(f"{name} is {value!r}, which depends on the user. Name one with --user.")
        return await resolve_setting(self.spawner(), name)

    async def resolve_user(self) -> None:
        """Find out which Hadoop user the user's servers run as, before the steps run."""
        if self.user and self.settings.hadoop_user != "{username}":
            # Whatever it raises, the step "Hadoop user" tells of it.
            with suppress(Exception):
                self.hadoop_user = await resolve_setting(self.spawner(), "hadoop_user")

    def need_user(self) -> str:
        """Return the Hadoop user to check.

        Raises:
            Unknown: no user was given.
        """
        if not self.user:
            raise Unknown("This depends on the user. Name one with --user.")
        return self.hadoop_user

    def need_kerberos(self) -> None:
        """Return if the cluster uses Kerberos.

        Raises:
            NotUsed: it does not.
        """
        if not self.kerberos:
            raise NotUsed("hadoop.security.authentication is simple")

    def spawner(self) -> Any:
        """Return a spawner for the user, without a hub."""
        if self._spawner is None:
            self._spawner = trial_spawner(self.hub, self.user, self.tag)
            for name in ("principal", "keytab"):
                setattr(self._spawner, name, getattr(self.settings, name))
        return self._spawner

    # -- Web services

    async def once(self, key: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Return the result of an earlier call with this key, or call."""
        if key not in self._requests:
            self._requests[key] = asyncio.ensure_future(ask())
            self._requests[key].add_done_callback(consume_exception)
        found: _T = await asyncio.shield(self._requests[key])
        return found

    async def get(self, url: str) -> dict[str, Any]:
        """Return a JSON document. Each URL is requested once.

        Raises:
            Unknown: there was no such answer.
        """
        return await self.once(url, lambda: self._get(url))

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            response = await self.web.get(url)
            if response.status != 200:
                raise Unknown(f"{url} answered with HTTP {response.status}.")
            return response.json()
        except WebError as error:
            raise Unknown(f"{error}.") from None

    async def daemon(self, address: str) -> Mapping[str, str]:
        """Return the configuration that a daemon itself has, from its page /conf.

        Args:
            address: ``scheme://host:port``.

        Raises:
            Unknown: the daemon does not show it.
        """
        return as_properties(await self.get(f"{address}/conf?format=json"))

    async def active_resource_manager(self) -> str:
        """Return the address of the active ResourceManager's web service.

        Raises:
            Unknown: there is none, or it does not answer the hub.
        """
        reasons = []
        for url in self.resource_managers():
            try:
                info = (await self.get(f"{url}/ws/v1/cluster/info")).get("clusterInfo") or {}
            except Unknown as error:
                reasons.append(str(error))
                continue
            if info.get("haState", "ACTIVE") == "ACTIVE":
                return url
            reasons.append(f"{url} is {info.get('haState')}.")
        raise Unknown(" ".join(reasons))

    def resource_managers(self) -> list[str]:
        """Return the addresses of the ResourceManagers' web services."""
        given = [url.strip().rstrip("/") for url in self.access.resource_manager_url.split(",") if url.strip()]
        return given or self.configuration.resource_managers()

    async def resource_manager(self, path: str) -> dict[str, Any]:
        """Return a document of the active ResourceManager.

        Raises:
            Unknown: there is none.
        """
        return await self.get(await self.active_resource_manager() + path)

    async def resource_manager_configuration(self) -> Mapping[str, str]:
        """Return the configuration of the active ResourceManager.

        Raises:
            Unknown: it does not show it.
        """
        return await self.daemon(await self.active_resource_manager())

    async def name_node_configuration(self) -> Mapping[str, str]:
        """Return the configuration of a NameNode.

        Raises:
            Unknown: none shows it.
        """
        reasons = []
        for url in self.configuration.name_nodes():
            try:
                return await self.daemon(url)
            except Unknown as error:
                reasons.append(str(error))
        raise Unknown(" ".join(reasons) or "fs.defaultFS is not HDFS.")

    async def running_nodes(self) -> list[dict[str, Any]]:
        """Return YARN's documents about its running nodes.

        Raises:
            Unknown: the ResourceManager does not list them.
        """
        nodes = as_list(await self.resource_manager("/ws/v1/cluster/nodes"), "nodes", "node")
        return [node for node in nodes if node.get("state") == "RUNNING"]

    async def node_configurations(self) -> dict[str, Mapping[str, str]]:
        """Return the configuration of up to MAX_NODES NodeManagers by host and port.

        Raises:
            Unknown: there is none, or none shows it.
        """
        scheme = "https" if self.configuration["yarn.http.policy"].strip().upper() == "HTTPS_ONLY" else "http"
        nodes = [str(node["nodeHTTPAddress"]) for node in (await self.running_nodes())[:MAX_NODES]]
        found = await asyncio.gather(*(self.daemon(f"{scheme}://{node}") for node in nodes), return_exceptions=True)
        configurations = {
            node: answer for node, answer in zip(nodes, found, strict=True) if not isinstance(answer, BaseException)
        }
        if not configurations:
            raise Unknown(" ".join(str(answer) for answer in found[:1]) or "YARN has no running node.")
        return configurations

    # -- Commands

    async def command(
        self, *words: str, user: str = "", login: bool = True, timeout: float = _COMMAND_TIMEOUT
    ) -> CompletedCommand:
        """Run a command as the hub, or as a user whom the hub impersonates.

        Args:
            words: program and arguments.
            user: the Hadoop user to impersonate; "" for the hub itself.
            login: False for a command that needs no Kerberos ticket.
            timeout: seconds.

        Raises:
            Unknown: it could not be run.
        """
        try:
            environment = client_environment()
            if login and (tickets := TicketCache.shared(self.access.principal, self.access.keytab)):
                environment |= await tickets.environment()
            options = environment.get("HADOOP_CLIENT_OPTS", "")
            environment["HADOOP_CLIENT_OPTS"] = f"{_JAVA_OPTIONS} {options}".strip()
            if user:
                environment["HADOOP_PROXY_USER"] = user
            return await run(*words, env=environment, timeout=timeout)
        except KerberosError as error:
            raise Unknown(f"The hub has no Kerberos ticket: {one_line(str(error), 300)}") from None
        except (CommandTimeout, OSError) as error:
            raise Unknown(f"`{words[0]}` cannot be run: {one_line(str(error), 300)}.") from None

    def file_system(self, user: str = "") -> FileSystem:
        """Return the default file system, as the hub or as a user."""
        return FileSystem(principal=self.access.principal, keytab=self.access.keytab, user=user)

    def homes(self) -> DefaultFileSystem:
        """Return where the users' home folders are.

        Raises:
            Unknown: the default file system is not shared.
        """
        try:
            return DefaultFileSystem.from_configuration()
        except FileSystemError as error:
            raise Unknown(f"{error}.") from None

    async def close(self) -> None:
        """Close connections and stop the drivers."""
        for request in self._requests.values():
            request.cancel()
        if "web" in self.__dict__:
            self.web.close()
        await self.access.reflector.close()
        await self.access.cluster.close()
