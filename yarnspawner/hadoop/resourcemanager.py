"""What the ResourceManager knows and skein's driver cannot tell, through its REST API.

https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from yarnspawner.common.ids import checked_application_id
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.http_client import Answer, HadoopWeb, WebError, WebInsecure, WebRefused
from yarnspawner.hadoop.kerberos import TicketCache
from yarnspawner.hadoop.scheduler import Queue, Resources, as_list, as_resources, largest, read_queues, smaller

# Nodes, queues and limits change when an admin changes them, or when a node comes or goes.
_FRESH_SECONDS = 60


class ResourceManagerUnavailable(Exception):
    """No ResourceManager gave an answer that can be used: nothing is known."""


class ResourceManagerRefused(ResourceManagerUnavailable):
    """The ResourceManager answers, but not the hub."""


@dataclass(frozen=True)
class Node:
    """Where a container runs, as the ResourceManager itself placed it.

    Attributes:
        host: the NodeManager's host name.
        http_address: ``host:port`` of the NodeManager's web service; "" where it is not known.
        container_id: the container; "" where it is not known.
    """

    host: str
    http_address: str = ""
    container_id: str = ""


class ResourceManager:
    """The ResourceManager's REST API; with several of them, that of the active one.

    - a standby's redirect is not followed: the other ones that are configured are asked instead, so that no answer can
      lead the hub, and its ticket, elsewhere
    - what changes slowly (nodes, queues, limits) is asked once a minute, however many ask here

    Args:
        urls: web addresses, ``scheme://host:port``.
        user: Hadoop's name of the hub where authentication is simple; default is the principal's short name, or as
            Hadoop's clients have it.
        principal: of the keytab, where the web services want Kerberos.
        keytab: path; without one, the ticket that kinit left behind is used.
        ca_file: PEM file of the authorities that signed the certificates; default the system's.
        timeout: seconds for each answer.
        plain_login: whether the hub logs in with Kerberos over plain HTTP at other hosts; else what needs a login is not
            known, which is said once.
        log: where a change of the active ResourceManager is said.
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
            raise ValueError("a ResourceManager's address is needed")
        self._urls = [url.rstrip("/") for url in urls]
        self._log = log or logging.getLogger(__name__)
        tickets = TicketCache.shared(principal, keytab)
        self._web = HadoopWeb(
            user or hub_account(principal), tickets=tickets, ca_file=ca_file, timeout=timeout, plain_login=plain_login
        )
        self._insecure_said = False
        self._kept: dict[str, tuple[float, asyncio.Future[dict[str, Any]]]] = {}

    @classmethod
    def from_configuration(cls, folder: str | os.PathLike[str] = "", **settings: Any) -> ResourceManager:
        """One whose addresses Hadoop's configuration names.

        Args:
            folder: of yarn-site.xml; default is where Hadoop's commands look.
            settings: as above, without `urls`.

        Raises:
            ResourceManagerUnavailable: the configuration cannot be read.
        """
        try:
            return cls(HadoopConfiguration.load(folder).resource_managers(), **settings)
        except ConfigurationError as error:
            raise ResourceManagerUnavailable(str(error)) from None

    async def application(self, application_id: str) -> dict[str, Any] | None:
        """What YARN tells of an application, as in its documentation; None if it does not know it.

        Raises:
            ResourceManagerUnavailable
        """
        document = await self._get(f"/ws/v1/cluster/apps/{checked_application_id(application_id)}")
        return document and document.get("app")

    async def master_node(self, application_id: str) -> Node | None:
        """Where the application's master container runs; None if it has none (yet).

        The scheduler's own record, nothing that the application master said: ``nodeId`` and ``nodeHttpAddress`` are
        fields of the container that it allocated (Hadoop's AppAttemptInfo), whereas ``host`` of an application's report
        is what its master registered.

        Raises:
            ResourceManagerUnavailable: also where it answers everybody but knows nobody, as the web pages of many a
                secure cluster do, and so hides a running application's node from the hub.
        """
        document = await self._get(f"/ws/v1/cluster/apps/{checked_application_id(application_id)}/appattempts")
        latest = _latest(as_list(document, "appAttempts", "appAttempt"))
        node = _node(latest.get("nodeId"), latest.get("nodeHttpAddress"), latest.get("containerId"))
        if node is None and ((await self.application(application_id)) or {}).get("state") == "RUNNING":
            raise ResourceManagerRefused(f"the ResourceManager does not let the hub see where {application_id} runs")
        return node

    async def server_node(self, application_id: str) -> Node | None:
        """Where the first container beside the application master's runs; None while there is none.

        The scheduler's own record, as with :meth:`master_node`.

        Raises:
            ResourceManagerUnavailable
        """
        attempts = f"/ws/v1/cluster/apps/{checked_application_id(application_id)}/appattempts"
        latest = _latest(as_list(await self._get(attempts), "appAttempts", "appAttempt"))
        if "appAttemptId" not in latest:
            return None
        document = await self._get(f"{attempts}/{latest['appAttemptId']}/containers")
        containers = {str(found["containerId"]): found for found in as_list(document, "container")}
        # YARN numbers an application's containers in the order in which it gives them.
        first = min((name for name in containers if name != latest.get("containerId")), default=None)
        if first is None:
            return None
        address = str(containers[first].get("nodeHttpAddress") or "").partition("://")[2]
        return _node(containers[first].get("assignedNodeId"), address, first)

    async def set_lifetime(self, application_id: str, seconds: int) -> None:
        """Have YARN end an application that many seconds from now.

        Raises:
            ResourceManagerUnavailable: it may not have been set.
        """
        end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        timeout = {"type": "LIFETIME", "expiryTime": end.strftime("%Y-%m-%dT%H:%M:%S.000+0000")}
        await self._put(f"/ws/v1/cluster/apps/{checked_application_id(application_id)}/timeout", {"timeout": timeout})

    async def queues(self) -> dict[str, Queue]:
        """The queues that take applications, by their path.

        Raises:
            ResourceManagerUnavailable
        """
        return {queue.path: queue for queue in read_queues(await self._get_cached("/ws/v1/cluster/scheduler"))}

    async def queue(self, name: str) -> Queue | None:
        """A queue by its path or, where that is unambiguous, by its name, as YARN takes either; None if there is none.

        Raises:
            ResourceManagerUnavailable
        """
        queues = await self.queues()
        if name in queues:
            return queues[name]
        found = [queue for queue in queues.values() if queue.name == name]
        return found[0] if len(found) == 1 else None

    async def maximum_allocation(self, queue: str = "") -> Resources | None:
        """The largest container that may be asked for, in a queue or anywhere; None if the ResourceManager does not tell.

        As the scheduler's own rule has it: what is configured, but no more than the largest node has.

        Raises:
            ResourceManagerUnavailable
        """
        queues = [await self.queue(queue)] if queue else list((await self.queues()).values())
        nodes = as_list(await self._get_cached("/ws/v1/cluster/nodes"), "nodes", "node")
        allowed = largest(found.maximum_allocation for found in queues if found)
        present = largest(as_resources(node.get("totalResource")) for node in nodes if node.get("state") == "RUNNING")
        if allowed is None or present is None:
            return allowed
        return smaller(allowed, present)

    async def nodes(self, *, fresh: bool = False) -> set[str]:
        """The host names of all nodes that YARN knows, whatever their state.

        Args:
            fresh: ask now, because a node may just have joined.

        Raises:
            ResourceManagerUnavailable
        """
        document = await self._get_cached("/ws/v1/cluster/nodes", fresh=fresh)
        return {str(node["nodeHostName"]) for node in as_list(document, "nodes", "node") if node.get("nodeHostName")}

    async def metrics(self) -> dict[str, Any]:
        """The cluster's figures (``activeNodes``, ``appsPending``, ``availableMB``, ...), as in YARN's documentation.

        Raises:
            ResourceManagerUnavailable
        """
        document = await self._get_cached("/ws/v1/cluster/metrics")
        return dict(document.get("clusterMetrics") or {})

    def application_url(self, application_id: str) -> str:
        """YARN's page of an application, for people."""
        return f"{self._urls[0]}/cluster/app/{checked_application_id(application_id)}"

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    async def _get_cached(self, path: str, *, fresh: bool = False) -> dict[str, Any]:
        """A document that may be a minute old. Those who ask at once share one request."""
        since, request = self._kept.get(path, (0.0, None))
        old = fresh or time.monotonic() - since > _FRESH_SECONDS
        failed = request is not None and request.done() and (request.cancelled() or request.exception() is not None)
        if request is None or failed or (old and request.done()):
            request = asyncio.ensure_future(self._found(self._get(path)))
            self._kept[path] = (time.monotonic(), request)
        # A caller that gives up must not take the answer from the others.
        return await asyncio.shield(request)

    @staticmethod
    async def _found(request: Awaitable[dict[str, Any] | None]) -> dict[str, Any]:
        document = await request
        if document is None:
            raise ResourceManagerUnavailable("the ResourceManager's web service is another one than expected (404)")
        return document

    async def _get(self, path: str) -> dict[str, Any] | None:
        """The document of the active ResourceManager; None for what it does not know (404)."""
        return await self._ask(path, self._web.get)

    async def _put(self, path: str, document: dict[str, Any]) -> None:
        if await self._ask(path, lambda url: self._web.put(url, document)) is None:
            raise ResourceManagerUnavailable(f"the ResourceManager does not know {path} (404)")

    async def _ask(self, path: str, ask: Callable[[str], Awaitable[Answer]]) -> dict[str, Any] | None:
        reasons = []
        refused = False
        for url in list(self._urls):
            try:
                answer = await ask(url + path)
                document = self._document(answer)
            except WebError as error:
                reasons.append(str(error))
                refused = refused or isinstance(error, WebRefused)
                self._say_insecure(error)
                continue
            self._prefer(url)
            return document
        raise (ResourceManagerRefused if refused else ResourceManagerUnavailable)("; ".join(reasons))

    def _say_insecure(self, error: WebError) -> None:
        if isinstance(error, WebInsecure) and not self._insecure_said:
            self._insecure_said = True
            self._log.warning(
                "%s. Without it the hub does not ask the ResourceManager's web service: the page shows no queues, servers'"
                " nodes are checked against YARN's list of nodes only, and the hub itself ends servers at their"
                " maximum_lifetime",
                error,
            )

    def _prefer(self, url: str) -> None:
        if url != self._urls[0]:
            self._log.info("The active ResourceManager is %s", url)
            self._urls.sort(key=lambda other: other != url)

    def _document(self, answer: Answer) -> dict[str, Any] | None:
        if 300 <= answer.status < 400:
            target = answer.headers.get("Location", "")
            if target and not target.startswith(tuple(f"{url}/" for url in self._urls)):
                raise WebError(f"{answer.url} points elsewhere, to an address that is not configured")
            raise WebError(f"{answer.url} is a standby")
        if answer.status == 404:
            return None
        if answer.status == 403:
            raise WebRefused(f"{answer.url} does not let the hub see this (status 403)")
        if answer.status != 200:
            raise WebError(f"{answer.url} answered with status {answer.status}")
        return answer.json()


def _latest(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    return max(attempts, key=lambda attempt: int(attempt.get("id", 0)), default={})


def _node(node_id: str | None, http_address: str | None, container_id: str | None) -> Node | None:
    host = (node_id or "").rpartition(":")[0]
    return Node(host, http_address or "", container_id or "") if host else None
