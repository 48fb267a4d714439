"""The ResourceManager's REST API, for information that skein's driver does not provide.

https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlsplit

from yarnspawner.common.ids import checked_application_id
from yarnspawner.common.tasks import consume_exception
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.headroom import Headroom
from yarnspawner.hadoop.http_client import HadoopHttpClient, Response, WebError, WebInsecure, WebRefused
from yarnspawner.hadoop.kerberos import TicketCache
from yarnspawner.hadoop.scheduler import (
    Queue,
    Resources,
    as_list,
    as_resources,
    largest,
    queue_of,
    read_queues,
    smaller,
)

# Nodes, queues and limits rarely change: by an admin, or when a node joins or leaves.
_CACHE_SECONDS = 60


class ResourceManagerUnavailable(Exception):
    """No ResourceManager gave a valid answer, so the outcome is unknown."""


class ResourceManagerRefused(ResourceManagerUnavailable):
    """The ResourceManager refused the hub."""


@dataclass(frozen=True)
class Node:
    """The node of a container, as the ResourceManager has allocated it.

    Attributes:
        host: host name of the NodeManager.
        container: id of the container.
        web: address of the NodeManager's web service, ``scheme://host:port``; "" if unknown.
    """

    host: str
    container: str = field(default="", compare=False)
    web: str = field(default="", compare=False)


class ResourceManager:
    """Client of the REST API of the active ResourceManager.

    - It does not follow a standby's redirect but tries the other configured addresses. So no response can redirect the hub,
      with its ticket, to another host.
    - Nodes, queues and limits are cached for a minute.

    Args:
        urls: web addresses, ``scheme://host:port``.
        user: the hub's Hadoop user, for simple authentication; default is that of Hadoop's clients.
        principal: Kerberos principal of the keytab.
        keytab: path of the keytab; without one, the ticket cache of the hub's account is used.
        ca_file: PEM file of the CAs of the certificates; default is the system's.
        timeout: seconds for each response.
        plain_login: True to allow a Kerberos login over plain HTTP on other hosts. Otherwise requests that need a login
            fail, with one warning in the log.
        log: logger for changes of the active ResourceManager.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        user: str = "",
        principal: str = "",
        keytab: str = "",
        ca_file: str = "",
        timeout: float = 10,
        plain_login: bool = False,
        log: logging.Logger | None = None,
    ) -> None:
        if not urls:
            raise ValueError("the address of a ResourceManager is required")
        self._urls = [url.rstrip("/") for url in urls]
        self._log = log or logging.getLogger(__name__)
        tickets = TicketCache.shared(principal, keytab)
        self._web = HadoopHttpClient(
            user or hub_account(principal), tickets=tickets, ca_file=ca_file, timeout=timeout, plain_login=plain_login
        )
        self._warned_insecure = False
        self._cache: dict[str, tuple[float, asyncio.Future[dict[str, Any]]]] = {}

    @classmethod
    def from_configuration(cls, folder: str | os.PathLike[str] = "", **settings: Any) -> ResourceManager:
        """Create a client with the addresses of Hadoop's configuration.

        Args:
            folder: folder of yarn-site.xml; default is that of Hadoop's commands.
            settings: arguments of the constructor without ``urls``.

        Raises:
            ResourceManagerUnavailable: the configuration cannot be read.
        """
        try:
            return cls(HadoopConfiguration.load(folder).resource_managers(), **settings)
        except ConfigurationError as error:
            raise ResourceManagerUnavailable(str(error)) from None

    async def application(self, application_id: str) -> dict[str, Any] | None:
        """Return YARN's document about an application (see YARN's documentation), or None if it is unknown.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        document = await self._get(f"/ws/v1/cluster/apps/{checked_application_id(application_id)}")
        return document and document.get("app")

    async def master_node(self, application_id: str) -> Node | None:
        """Return the node of an application's master container, or None if there is no such container (yet).

        The node comes from the scheduler: ``nodeId`` is a field of the container that it has allocated (Hadoop's
        AppAttemptInfo). The ``host`` of a report, in contrast, is what the application master has registered.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
            ResourceManagerRefused: the ResourceManager hides the node of a running application. Many secure clusters have
                web pages without authentication that do so.
        """
        document = await self._get(f"/ws/v1/cluster/apps/{checked_application_id(application_id)}/appattempts")
        latest = _latest(as_list(document, "appAttempts", "appAttempt"))
        node = self._node(latest.get("nodeId"), latest.get("containerId"), latest.get("nodeHttpAddress"))
        if node is None and ((await self.application(application_id)) or {}).get("state") == "RUNNING":
            raise ResourceManagerRefused(f"the ResourceManager does not show the hub the node of {application_id}")
        return node

    async def server_node(self, application_id: str) -> Node | None:
        """Return the node of the first container after the master container, or None if there is none (yet).

        The node comes from the scheduler, as in :meth:`master_node`.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        attempts = f"/ws/v1/cluster/apps/{checked_application_id(application_id)}/appattempts"
        latest = _latest(as_list(await self._get(attempts), "appAttempts", "appAttempt"))
        if "appAttemptId" not in latest:
            return None
        document = await self._get(f"{attempts}/{latest['appAttemptId']}/containers")
        containers = {str(found["containerId"]): found for found in as_list(document, "container")}
        # YARN numbers the containers of an application in the order of their allocation.
        first = min((name for name in containers if name != latest.get("containerId")), default=None)
        if first is None:
            return None
        found = containers[first]
        return self._node(found.get("assignedNodeId"), first, found.get("nodeHttpAddress"))

    async def set_lifetime(self, application_id: str, seconds: int) -> None:
        """Set the time after which YARN kills an application, in seconds from now.

        Raises:
            ResourceManagerUnavailable: no ResourceManager confirmed the change.
        """
        end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        timeout = {"type": "LIFETIME", "expiryTime": end.strftime("%Y-%m-%dT%H:%M:%S.000+0000")}
        await self._put(f"/ws/v1/cluster/apps/{checked_application_id(application_id)}/timeout", {"timeout": timeout})

    async def queues(self) -> dict[str, Queue]:
        """Return the leaf queues by their paths.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        return {queue.path: queue for queue in read_queues(await self._get_cached("/ws/v1/cluster/scheduler"))}

    async def queue(self, name: str) -> Queue | None:
        """Return the queue with a path or an unambiguous name, or None if there is none.

        YARN accepts both. Before Hadoop 3.4, the capacity scheduler accepts only the name.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        return queue_of(await self.queues(), name)

    async def headroom(self) -> Headroom:
        """Return the unused resources of queues and nodes. With many nodes this is a large document; see ``ContainerWaits``.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        scheduler = await self._require(self._get("/ws/v1/cluster/scheduler"))
        return Headroom.read(scheduler, await self._require(self._get("/ws/v1/cluster/nodes?states=RUNNING")))

    async def pending_applications(self, queue: str) -> list[str]:
        """Return the ids of the applications that wait in a queue for their first container.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        # YARN before 3.1 ignores `deSelects`, which leaves out most of a document that is only counted.
        path = f"/ws/v1/cluster/apps?states=ACCEPTED&queue={quote(queue, safe='')}&deSelects=resourceRequests,timeouts"
        return [str(found.get("id")) for found in as_list(await self._get(path), "apps", "app")]

    async def maximum_allocation(self, queue: str = "") -> Resources | None:
        """Return the size of the largest container that a queue, or any queue, allows. None if it is not known.

        This is the scheduler's rule: the configured maximum, limited to the size of the largest node.

        Raises:
            ResourceManagerUnavailable: no ResourceManager answered.
        """
        queues = [await self.queue(queue)] if queue else list((await self.queues()).values())
        nodes = as_list(await self._get_cached("/ws/v1/cluster/nodes"), "nodes", "node")
        allowed = largest(found.maximum_allocation for found in queues if found)
        present = largest(as_resources(node.get("totalResource")) for node in nodes if node.get("state") == "RUNNING")
        if allowed is None or present is None:
            return allowed
        return smaller(allowed, present)

    def application_url(self, application_id: str) -> str:
        """Return the address of YARN's web page about an application."""
        return f"{self._urls[0]}/cluster/app/{checked_application_id(application_id)}"

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _node(self, node_id: str | None, container: str | None, web: str | None) -> Node | None:
        host = (node_id or "").rpartition(":")[0]
        # YARN has one policy (yarn.http.policy) for the web services of all its daemons.
        scheme, address = urlsplit(self._urls[0]).scheme, (web or "").rpartition("://")[2].strip("/")
        return Node(host, container or "", f"{scheme}://{address}" if address else "") if host else None

    async def _get_cached(self, path: str) -> dict[str, Any]:
        """Return a document that is at most a minute old. Concurrent callers share one request."""
        since, request = self._cache.get(path, (0.0, None))
        old = time.monotonic() - since > _CACHE_SECONDS
        failed = request is not None and request.done() and (request.cancelled() or request.exception() is not None)
        if request is None or failed or (old and request.done()):
            request = asyncio.ensure_future(self._require(self._get(path)))
            request.add_done_callback(consume_exception)
            self._cache[path] = (time.monotonic(), request)
        # A cancelled caller must not cancel the request of the others.
        return await asyncio.shield(request)

    @staticmethod
    async def _require(request: Awaitable[dict[str, Any] | None]) -> dict[str, Any]:
        document = await request
        if document is None:
            raise ResourceManagerUnavailable("the address is not that of a ResourceManager's REST API (HTTP 404)")
        return document

    async def _get(self, path: str) -> dict[str, Any] | None:
        """Return a document of the active ResourceManager, or None if it does not exist (HTTP 404)."""
        return await self._request(path, self._web.get)

    async def _put(self, path: str, document: dict[str, Any]) -> None:
        if await self._request(path, lambda url: self._web.put(url, document)) is None:
            raise ResourceManagerUnavailable(f"the ResourceManager does not know {path} (HTTP 404)")

    async def _request(self, path: str, send: Callable[[str], Awaitable[Response]]) -> dict[str, Any] | None:
        reasons = []
        refused = False
        for url in list(self._urls):
            try:
                response = await send(url + path)
                document = self._document(response)
            except WebError as error:
                reasons.append(str(error))
                refused = refused or isinstance(error, WebRefused)
                self._warn_insecure(error)
                continue
            self._set_active(url)
            return document
        raise (ResourceManagerRefused if refused else ResourceManagerUnavailable)("; ".join(reasons))

    def _warn_insecure(self, error: WebError) -> None:
        if isinstance(error, WebInsecure) and not self._warned_insecure:
            self._warned_insecure = True
            self._log.warning(
                "%s. Without a login, the hub does not use the ResourceManager's REST API: users see no queues, the nodes of"
                " servers are only checked against YARN's list of nodes, and the hub itself stops servers at their"
                " maximum_lifetime",
                error,
            )

    def _set_active(self, url: str) -> None:
        if url != self._urls[0]:
            self._log.info("The active ResourceManager is %s", url)
            self._urls.sort(key=lambda other: other != url)

    def _document(self, response: Response) -> dict[str, Any] | None:
        if 300 <= response.status < 400:
            target = response.headers.get("Location", "")
            if target and not target.startswith(tuple(f"{url}/" for url in self._urls)):
                raise WebError(f"{response.url} redirects to an address that is not configured")
            raise WebError(f"{response.url} is a standby")
        if response.status == 404:
            return None
        if response.status == 403:
            raise WebRefused(f"{response.url} refused the hub (HTTP 403)")
        if response.status != 200:
            raise WebError(f"{response.url} answered with HTTP {response.status}")
        return response.json()


def _latest(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    return max(attempts, key=lambda attempt: int(attempt.get("id", 0)), default={})
