"""A server that was there before this run of the hub: JupyterHub hears of it when it answers, and a pending start goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timezone
from urllib.parse import urlsplit

from yarnspawner.common.protocol import Address
from yarnspawner.diagnosis.explain import explain_timeout
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.meeting import meet
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.recovery import PAUSE, LastingSpawner
from yarnspawner.launch.server_probe import ServerProbe
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.audit import audit

# Seconds for which a server that YARN says runs, or nothing of, may not answer. YARN gives a node up after ten minutes
# (yarn.nm.liveness-monitor.expiry-interval-ms), and then a network that is away has had the same again. JupyterHub takes no
# stop of a server that is being checked, so this must have an end.
_LONGEST_WAIT = 1200.0
# Seconds that a server which listens may take to be found again, after its start's time is over.
_LEAST_TO_GO_ON = 60.0
# Seconds after which JupyterHub may have looked through the proxy's routes without a server, and between two looks at it.
_JUPYTERHUB_ROUTES = 1.0
_ROUTE_INTERVAL = 0.2


class AdoptingSpawner(LastingSpawner):
    """The part of a spawner that takes up the server of an earlier run of the hub.

    - a start that was pending when the hub ended goes on
    - a server whose node is away for a while is waited for: it has ended when YARN says so
    """

    # JupyterHub's Spawner has it.
    ready: bool

    _progress: Progress
    _adopted = False
    _routing: asyncio.Task[None] | None = None

    async def _arrive(self, server: ServerState) -> str:
        """Wait for the server of a submitted application and keep its address."""
        raise NotImplementedError

    def _welcome(self) -> ServerProbe:
        """What is asked of the server's address."""
        raise NotImplementedError

    def _kill(self, server: ServerState) -> asyncio.Future[None]:
        """End an application, until YARN says that it has ended."""
        raise NotImplementedError

    async def get_url(self) -> str:
        """The address of a server that was there before this hub was; a start that was pending goes on.

        - it is known when the server answers there, or when YARN says that it has ended: JupyterHub ends what does not
          answer soon after that, and a server whose node is away for a while has not ended
        - the limit while YARN says that it runs, or nothing, is twenty minutes. JupyterHub serves meanwhile, after its
          ``init_spawners_timeout``
        - this never raises: JupyterHub would give up on all servers
        """
        began = time.monotonic()
        try:
            await self._find_again()
        except Exception:
            self.log.exception("Whether %s answers is not known", self._log_name)
        if time.monotonic() - began > _JUPYTERHUB_ROUTES:
            self._routing = asyncio.create_task(self._route())
        server = self._yarn_server
        if server is None or not server.url:
            return str(self.server.url)
        if not self._adopted:
            self._adopted = True
            facts = {"hadoop_user": server.hadoop_user, **self.audit_facts}
            audit("adopted", application=server.application_id, address=server.url, **facts)
        # JupyterHub copies host and port from what this returns, but not the scheme.
        self.server.proto = server.url.partition(":")[0]
        return f"{server.url}{self.server.base_url}"

    async def _find_again(self) -> None:
        server = self._yarn_server
        if server is not None and not server.url and server.credentials is not None:
            await self._go_on(server)
        elif server is not None and server.application_id and (address := self._address(server)) is not None:
            welcome = replace(self._welcome(), timeout=_LONGEST_WAIT)
            found, status = await meet(self._applications, server.application_id, welcome, address)
            if found:
                # Not what JupyterHub is told: whatever answers there counts for it, and what has ended it finds out.
                self.log.warning(
                    "At %s, port %s, %s; YARN says %s",
                    address.host,
                    address.port,
                    found,
                    "that it has ended" if status.ended else "nothing of an end",
                )

    def _address(self, server: ServerState) -> Address | None:
        """Where it listens, as far as anything is known of it: a state that was lost leaves JupyterHub's own row."""
        known = urlsplit(server.url or f"{self.server.proto}://{self.server.ip}:{self.server.port}")
        if not known.hostname or not known.port or known.hostname == "0.0.0.0":  # noqa: S104
            return None
        return Address(known.scheme, known.hostname, known.port)

    async def _go_on(self, server: ServerState) -> None:
        """Go on with a start, in what is left of its time; if it fails, its user finds why on the hub's pages."""
        self.log.info("The start of %s goes on", self._log_name)
        try:
            await asyncio.wait_for(self._adopt(server), self._time_to_go_on())
            return
        except asyncio.TimeoutError:
            diagnosis = explain_timeout(self.start_timeout, self._progress.last)
        except StartFailed as error:
            diagnosis = error.diagnosis
        server = self._yarn_server or server
        self.note_failure(server.application_id, diagnosis)
        if server.application_id:
            self._kill(server)

    def _time_to_go_on(self) -> float:
        """What is left of ``start_timeout``; at least what a server that is ready needs to say so."""
        started = self.orm_spawner.started
        limit = float(self.start_timeout)
        if started is None:
            return limit
        # JupyterHub keeps it as UTC without saying so.
        left = limit - (time.time() - started.replace(tzinfo=timezone.utc).timestamp())
        return float(min(limit, max(left, _LEAST_TO_GO_ON)))

    async def _route(self) -> None:
        """Let the proxy know of a server that JupyterHub has found later than it looked through the proxy's routes.

        It does so by itself only when it has found all servers, which one whose node is away may keep it from for long.
        """
        while self.pending == "check":  # noqa: ASYNC110 - JupyterHub has no event for it
            await asyncio.sleep(_ROUTE_INTERVAL)
        proxy = self.user.settings.get("proxy")
        if proxy is None or not self.ready:
            return
        try:
            await proxy.add_user(self.user, self.name)
        except Exception as error:  # noqa: BLE001 - whatever a proxy may answer: JupyterHub tries again
            self.log.warning("The proxy has not taken the route of %s yet: %s", self._log_name, error)

    async def _adopt(self, server: ServerState) -> None:
        while not server.application_id:
            if found := await self._find_with_retries(server):
                server = server.with_application_id(found)
            else:
                await asyncio.sleep(PAUSE)
        await self._arrive(server)
