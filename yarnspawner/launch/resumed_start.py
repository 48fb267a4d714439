"""A start that was pending when the hub's last run ended."""

# JupyterHub has no public names for what is pending, and no event for its changes.
# ruff: noqa: SLF001, ASYNC110

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timezone

from yarnspawner.diagnosis.explain import explain_timeout
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.exits import record_failure
from yarnspawner.launch.launcher import Launcher
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.submitter import find_with_retries
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState

# Seconds that a start gets to be found again, if its time is over already.
_LEAST_TO_GO_ON = 60.0
# Seconds between two looks at what JupyterHub does. It has no event for that.
_INTERVAL = 0.1
# Seconds in addition to the grace period, after which JupyterHub must have stopped a cancelled start.
_STOP_LIMIT = 90.0


class ResumedStart:
    """Resumes a start, and shows it as if JupyterHub had begun it in this run.

    - JupyterHub's pages show the progress, and cause and remedy of a failure.
    - The user can stop it.

    JupyterHub has no such call, so this sets ``_spawn_pending`` and ``_spawn_future``, as its handlers do in versions 5
    and 6. JupyterHub goes on with its check after the start: it polls the server and makes its route.

    Args:
        spawner: the spawner.
        context: what the spawner shares with its hub.
        record: of its server.
        progress: tells the user what happens.
        launcher: returns a launcher that resumes the start.
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

    async def run(self, server: ServerState) -> bool:
        """Resume the start. Return True once the server is ready, and False if there will be none. It never raises."""
        self._log.info("The start of %s goes on", self._context.server_name)
        resuming = asyncio.create_task(self._resume(server))
        shown = asyncio.create_task(self._show(resuming))
        shown.add_done_callback(self._shown)
        self._spawner._spawn_pending, self._spawner._spawn_future = True, shown
        await asyncio.wait({resuming})
        if resuming.cancelled():
            await self._until_stopped()
            return False
        return resuming.exception() is None and resuming.result()

    async def _show(self, resuming: asyncio.Task[bool]) -> None:
        """Be the future that JupyterHub's pages wait for. If the user stops the start, JupyterHub cancels it."""
        if await resuming:
            await add_route(self._spawner)

    def _shown(self, shown: asyncio.Task[None]) -> None:
        spawner = self._spawner
        spawner._spawn_pending = False
        if shown.cancelled():
            spawner._check_pending = False  # JupyterHub stops no server that it checks
        if shown.cancelled() or shown.exception() is None:
            spawner._spawn_future = None

    async def _until_stopped(self) -> None:
        """Wait until JupyterHub has stopped a cancelled start. Its check would stop it a second time."""
        limit = time.monotonic() + float(self._spawner.stop_timeout) + _STOP_LIMIT
        while self._spawner.server is not None and time.monotonic() < limit:
            await asyncio.sleep(_INTERVAL)

    async def _resume(self, server: ServerState) -> bool:
        """Resume the start in what is left of its time. Return False if nothing was submitted.

        Raises:
            StartFailed: with a message for the user. The application is killed.
        """
        try:
            return await asyncio.wait_for(self._find_and_wait(server), self._time_left())
        except asyncio.TimeoutError:
            error = StartFailed(explain_timeout(self._spawner.start_timeout, self._progress.last))
        except StartFailed as failed:
            error = failed
        except Exception:
            self._log.exception("The start of %s cannot go on", self._context.server_name)
            raise
        finally:
            self._progress.end()
        server = self._record.server or server
        record_failure(self._record, self._context, server.application_id, error.diagnosis)
        if server.application_id:
            self._context.terminate(server)
        raise error

    async def _find_and_wait(self, server: ServerState) -> bool:
        if not server.application_id:
            found = await find_with_retries(server, self._context.access.reflector, self._log)
            if not found or not self._record.is_current(server):
                return False
            server = server.with_application_id(found)
            self._record.update(server)
        await self._launcher().wait_until_ready(server)
        return True

    def _time_left(self) -> float:
        """Return the seconds left of ``start_timeout``, at least what a ready server needs to say so."""
        started = self._spawner.orm_spawner.started
        limit = float(self._spawner.start_timeout)
        if started is None:
            return limit
        # JupyterHub stores UTC without saying so.
        left = limit - (time.time() - started.replace(tzinfo=timezone.utc).timestamp())
        return float(min(limit, max(left, _LEAST_TO_GO_ON)))


async def add_route(spawner: SpawnerSettings) -> None:
    """Add a server's route to the proxy once JupyterHub has checked the server.

    JupyterHub itself adds it when it has checked all servers. One whose node is away may delay that for long.
    """
    while spawner._check_pending:
        await asyncio.sleep(_INTERVAL)
    proxy = spawner.user.settings.get("proxy")
    if proxy is None or spawner.server is None or spawner.pending not in {None, "spawn"}:
        return
    try:
        await proxy.add_user(spawner.user, spawner.name)
    except Exception as error:  # noqa: BLE001 - whatever a proxy may answer: JupyterHub tries again
        spawner.log.warning("The proxy has not taken the route of %s yet: %s", spawner._log_name, error)
