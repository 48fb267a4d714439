"""Exchange messages between the hub and a server through the key-value store of the server's application."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from yarnspawner.common.retry import Retry
from yarnspawner.hadoop.resourcemanager import Node, ResourceManagerUnavailable
from yarnspawner.skein_driver import ClusterError, Report, Store
from yarnspawner.state.credentials import Credentials
from yarnspawner.yarn.access import ClusterAccess

if TYPE_CHECKING:
    from typing_extensions import Self


# First and longest pause in seconds before the next lookup after a failed one.
_PAUSE = 2.0
_LONGEST_PAUSE = 10.0


class ServerChannel:
    """Access an application's key-value store as the hub.

    This is an asynchronous context manager. It keeps one connection until the context exits.

    Args:
        application_id: the application.
        credentials: those of the application's store; None if they were lost. Then every access fails.
        access: the hub's access to the cluster.
        log: the hub's logger.
    """

    def __init__(
        self, application_id: str, credentials: Credentials | None, access: ClusterAccess, log: logging.Logger
    ) -> None:
        self._application_id = application_id
        self._credentials = credentials
        self._access = access
        self._log = log
        self._node: Node | None = None
        self._open: Store | None = None
        self._lookups = Retry(
            log,
            f"The ResourceManager does not say where {application_id} runs",
            recovered=f"The ResourceManager says where {application_id} runs",
            first=_PAUSE,
            longest=_LONGEST_PAUSE,
            expected=ResourceManagerUnavailable,
        )
        self._not_before = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open is not None:
            await self._open.close()

    async def node(self, report: Report) -> Node | None:
        """Return the node of the application master's container; None while it is unknown.

        The node comes from the ResourceManager's web service. If that does not respond, use the host that the
        application master registered, but only if it is one of the cluster's nodes. The application master runs as
        the user, who could name any host.
        """
        if self._node is None:
            self._node = await self._find(
                lambda: self._access.resource_manager.master_node(self._application_id), report.host
            )
        return self._node

    async def server_node(self, said: str) -> Node | None:
        """Return the node of a server that has a separate container; None while it is unknown.

        Args:
            said: the host that the server published. It counts only if the ResourceManager's web service does not
                respond and the host is one of the cluster's nodes.
        """
        return await self._find(lambda: self._access.resource_manager.server_node(self._application_id), said)

    async def _find(self, ask: Callable[[], Awaitable[Node | None]], said: str) -> Node | None:
        """Look up a container's node. Back off after a failure, because callers retry four times a second."""
        if time.monotonic() < self._not_before:
            return None
        try:
            node = await ask()
        except ResourceManagerUnavailable as error:
            pause = self._lookups.failed(error)
            node = await self._known_node(said)
            if node is None:
                self._not_before = time.monotonic() + pause
            return node
        self._lookups.succeeded()
        return node

    async def _known_node(self, host: str) -> Node | None:
        try:
            nodes = await self._access.cluster.nodes()
        except ClusterError:
            return None
        return next((Node(node.host) for node in nodes if node.host == host), None)

    async def get(self, report: Report, key: str) -> bytes | None:
        """Return the value that the server published under a key; None if there is none.

        Raises:
            ClusterError: the store could not be reached.
        """
        return await (await self._store(report)).get(key)

    async def get_prefix(self, report: Report, prefix: str) -> dict[str, bytes]:
        """Return what the server published under the keys with a prefix.

        Raises:
            ClusterError: the store could not be reached.
        """
        return await (await self._store(report)).get_prefix(prefix)

    async def put(self, report: Report, key: str, value: bytes) -> None:
        """Publish a value to the server under a key.

        Raises:
            ClusterError: the store could not be reached.
        """
        await (await self._store(report)).put(key, value)

    async def _store(self, report: Report) -> Store:
        if self._open is not None:
            return self._open
        if self._credentials is None:
            raise ClusterError(f"the credentials of {self._application_id} are lost")
        node = await self.node(report)
        if node is None:
            raise ClusterError(f"it is not known on which node {self._application_id} runs")
        self._open = self._access.cluster.store(
            self._application_id,
            node.host,
            report.rpc_port,
            self._credentials.certificate,
            self._credentials.key,
        )
        return self._open
