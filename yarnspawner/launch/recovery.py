"""Recovery of the servers and starts of the hub's last run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from tornado import web

from yarnspawner.common.metrics import RECOVERED
from yarnspawner.common.protocol import Address
from yarnspawner.common.string_templates import TemplateError
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.launcher import Launcher
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.request import resolve_hadoop_user
from yarnspawner.launch.resumed_start import ResumedStart, add_route
from yarnspawner.launch.server_probe import wait_until_ready
from yarnspawner.launch.submitter import find_application
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState, StateError
from yarnspawner.yarn.audit import audit
from yarnspawner.yarn.tags import server_tag

# Seconds for which a server may not answer while YARN does not say that it has ended. YARN gives up a node after ten
# minutes (yarn.nm.liveness-monitor.expiry-interval-ms), and a network outage may last as long again. JupyterHub cannot
# stop a server while it checks it, so this needs a limit.
_LONGEST_WAIT = 1200.0
# Seconds after which JupyterHub may have checked the proxy's routes without this server.
_JUPYTERHUB_ROUTES = 1.0


class Phase(Enum):
    """How much is known about what a spawner found in the database.

    NOTHING -> STORED -> LISTENING -> CONFIRMED, or NOTHING -> UNREADABLE -> STORED if YARN knows the application.
    """

    NOTHING = "the spawner found no server"
    UNREADABLE = "there was a state, but it cannot be used"
    STORED = "there is a server, which was not checked yet"
    LISTENING = "its port accepts connections, and YARN has not been asked yet"
    CONFIRMED = "JupyterHub was told its address"


class Recovery:
    """Finds the server of the hub's last run again, and resumes a start that was pending.

    - A server whose submission was never answered, or whose state cannot be read, is found by its tags.
    - A server that accepts connections counts as running before YARN has answered for the first time.
    - A server whose node does not answer is waited for: only YARN says that it has ended.

    Args:
        spawner: the spawner.
        context: what the spawner shares with its hub.
        record: of its server.
        progress: tells the user what happens.
        launcher: returns a launcher that resumes a start.
    """

    def __init__(
        self,
        spawner: SpawnerSettings,
        context: HubContext,
        record: ServerRecord,
        progress: Progress,
        launcher: Callable[[], Launcher],
    ) -> None:
        self._spawner = spawner
        self._context = context
        self._record = record
        self._progress = progress
        self._launcher = launcher
        self._log = spawner.log
        self._routing: asyncio.Task[None] | None = None
        self.phase = Phase.NOTHING

    def load(self, state: Any) -> None:
        """Read the stored state. Called by `YarnSpawner.load_state`."""
        self.phase = Phase.NOTHING
        try:
            self._record.load(state, hub_user=self._spawner.user.name)
        except StateError as error:
            self._log.warning("The stored state of %s cannot be used: %s", self._context.server_name, error)
            self.phase = Phase.UNREADABLE
            return
        server = self._record.server
        if server is None:
            return
        if server.credentials is None:
            self._log.warning(
                "%s: the secrets in the stored state cannot be unsealed, so the server can be watched and ended, but"
                " not asked to end in order (was the hub's cookie secret replaced?)",
                self._context.server_name,
            )
        if self._context.belongs_to_this_hub(server):
            self.phase = Phase.STORED
        else:
            self._record.clear()

    def clear(self) -> None:
        """Forget what was found. Called by `YarnSpawner.clear_state`."""
        self.phase = Phase.NOTHING

    # -- A pending start

    @property
    def has_pending_start(self) -> bool:
        """True if a start of the hub's last run is pending, until the server has an address."""
        server = self._record.server
        return (
            self.phase is Phase.STORED
            and server is not None
            and not server.url
            and not server.stopping
            and server.credentials is not None
        )

    async def resume_start(self, server: ServerState) -> bool:
        """Resume a pending start. Return True once its server is ready, and False if there will be none.

        Called by the poll of JupyterHub's check, which stops the server if the start has failed.
        """
        resumed = ResumedStart(self._spawner, self._context, self._record, self._progress, self._launcher)
        return await resumed.run(server)

    # -- Polls

    async def poll_listening(self, server: ServerState) -> bool:
        """Return True if a recovered server accepts connections. Used once, until the first YARN report arrives.

        A driver needs seconds to start, for which the users of a restarted hub should not wait.
        """
        if self.phase is not Phase.STORED or not server.url or server.stopping:
            return False
        access = self._context.access
        if access.reflector.has_report(server.application_id):
            return False
        if await access.port_checker.is_listening(server.url):
            self.phase = Phase.LISTENING
            return True
        return False

    async def poll_unconfirmed(self, server: ServerState) -> bool:
        """Return True if a server may run whose submission was never answered, because the hub died first."""
        try:
            application_id = await find_application(server, self._context.access.reflector)
        except ClusterUnavailable:
            return True
        if not self._record.is_current(server):
            return False
        if not application_id:
            return False
        self._record.update(server.with_application_id(application_id))
        return True

    async def poll_unreadable(self) -> bool:
        """Return True if a server may run whose state cannot be used. It is looked for by its tags."""
        try:
            report = await self._find_by_tags()
        except ClusterUnavailable:
            return True
        except (IdentityRefused, TemplateError) as error:
            self._log.warning("The application of %s cannot be found again: %s", self._context.server_name, error)
            return False
        if self.phase is not Phase.UNREADABLE:
            return False  # it was stopped while YARN was asked
        self.phase = Phase.NOTHING
        if report is None:
            return False
        self._log.info("%s of %s was found again by its tags", report.id, self._context.server_name)
        self._record.update(ServerState.recovered(report.id, report.user, report.queue))
        return True

    async def _find_by_tags(self) -> Any:
        identity, reflector = self._context.identity, self._context.access.reflector
        users = await self._possible_accounts()
        for hub_id in (identity.id, *identity.former):
            for user in users:
                if report := await reflector.find(
                    server_tag(hub_id, self._spawner.user.name, self._spawner.name), user
                ):
                    return report
        return None

    async def _possible_accounts(self) -> list[str]:
        """Return the Hadoop users that a server with an unreadable state may run as.

        Raises:
            ClusterUnavailable: YARN does not answer.
        """
        try:
            return [await resolve_hadoop_user(self._spawner, hub_user=self._context.access.hub_user)]
        except web.HTTPError as error:  # SettingFailed, and what a hook tells users
            # A hook that needs what a login brings (auth_state) cannot know it after a restart.
            if reserved := self._context.accounts.of_user(self._spawner.user):
                return reserved
            raise ClusterUnavailable(str(error)) from None

    # -- The address

    async def get_url(self) -> str:
        """Return the address of the recovered server. Called by `YarnSpawner.get_url`.

        - It waits until the server answers or YARN says that it has ended. JupyterHub stops a server that does not answer
          soon after that, but a server whose node is away for a while has not ended.
        - It waits for twenty minutes at most. JupyterHub serves users after its ``init_spawners_timeout``.
        - It never raises: JupyterHub would give up all servers.
        """
        spawner = self._spawner
        began = time.monotonic()
        try:
            await self._wait_for_answer()
        except Exception:  # noqa: BLE001 - see above
            self._log.exception("Could not check whether %s answers", self._context.server_name)
        if time.monotonic() - began > _JUPYTERHUB_ROUTES:
            self._routing = asyncio.create_task(add_route(self._spawner))
        server = self._record.server
        if server is None or not server.url:
            return str(spawner.server.url)
        if self.phase is not Phase.CONFIRMED:
            self.phase = Phase.CONFIRMED
            RECOVERED.inc()
            facts = {"hadoop_user": server.hadoop_user, **self._context.audit_facts}
            audit("adopted", application=server.application_id, address=server.url, **facts)
        # JupyterHub copies host and port from what this returns, but not the scheme.
        spawner.server.proto = server.url.partition(":")[0]
        return f"{server.url}{spawner.server.base_url}"

    async def _wait_for_answer(self) -> None:
        server = self._record.server
        if server is not None and server.application_id and (address := self._address(server)) is not None:
            probe = replace(self._launcher().probe(), timeout=_LONGEST_WAIT)
            reflector = self._context.access.reflector
            found, status = await wait_until_ready(probe, address, server.application_id, reflector)
            if found:
                # JupyterHub is not told: any answer there counts for it, and its next poll finds an end.
                self._log.warning(
                    "At %s, port %s, %s; YARN %s",
                    address.host,
                    address.port,
                    found,
                    "says that it has ended" if status.ended else "has not reported an end",
                )

    def _address(self, server: ServerState) -> Address | None:
        """Return the server's address, as far as it is known. If the state was unreadable, JupyterHub's own row has it."""
        row = self._spawner.server
        known = urlsplit(server.url or f"{row.proto}://{row.ip}:{row.port}")
        if not known.hostname or not known.port or known.hostname == "0.0.0.0":  # noqa: S104
            return None
        return Address(known.scheme, known.hostname, known.port)
