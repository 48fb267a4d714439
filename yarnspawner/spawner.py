"""The spawner: a server's life, from the click on Start to the end of its application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any

from jupyterhub.spawner import Spawner

from yarnspawner.common.protocol import STOP_KEY, StopRequest
from yarnspawner.common.string_templates import TemplateError
from yarnspawner.diagnosis.explain import Diagnosis, explain_timeout
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hub.startup import attend
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.features import has_exceeded_lifetime
from yarnspawner.launch.launcher import SubmittingSpawner
from yarnspawner.launch.readiness import ReadinessWaiter
from yarnspawner.launch.server_probe import ServerProbe
from yarnspawner.launch.specification import SpecificationError
from yarnspawner.options.limits import text as setting_text
from yarnspawner.skein_driver import ClusterError, ClusterUnavailable
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.audit import audit, audit_end

# Seconds after which a start that was cancelled is ended even if no stop has come.
_STOP_EXPECTED = 5.0

# Seconds that a start ends before JupyterHub's own limit, whose words would say nothing of the cause.
_AHEAD_OF_JUPYTERHUB = 2.0

# Seconds that a stop waits for YARN; what has not ended by then is ended in the background.
_END_TIMEOUT = 60.0


class YarnSpawner(SubmittingSpawner, Spawner):
    """Runs a user's server in a YARN container, as that user.

    - a server is one YARN application, submitted by the hub as the user
    - what is needed to find it again is saved before it is submitted
    - it counts as running until YARN says that it has ended: that nobody answers is not an end
    - a start that fails or is cancelled leaves no application behind
    """

    _starting = False
    _stopping = False

    # -- Starting

    async def start(self) -> str:
        """Submit the application and wait until the server listens.

        Returns:
            the server's address, ``http://host:port``.

        Raises:
            StartFailed: with a sentence for the user. Nothing is left behind, also when this is cancelled.
        """
        self._progress.begin()
        self._starting = True
        self.forget_end()
        try:
            if self.notice:
                self._progress.tell(1, self.notice)
            return await self._start_in_time()
        except asyncio.CancelledError:
            # By the user, and JupyterHub's stop() follows; or since the hub ends, after whose restart the start goes on.
            asyncio.get_running_loop().call_later(_STOP_EXPECTED, self._abandon, self._yarn_server)
            raise
        except Exception:
            # JupyterHub calls stop() after a failed start, but not always; and while it does, it tells whoever opens the
            # page that nothing is starting, and not why.
            if ending := self._abandon(self._yarn_server):
                # Less than what is left of JupyterHub's limit, also after a start that took too long.
                await asyncio.wait([ending], timeout=0.75 * (float(self.start_timeout) - self._start_limit))
            raise
        finally:
            self._starting = False
            self._progress.end()

    async def _start_in_time(self) -> str:
        try:
            return await self._within(self._start_limit, self._submit_and_arrive())
        except (IdentityRefused, TemplateError, SpecificationError) as error:
            audit("refused", reason=str(error), **self.audit_facts)
            raise StartFailed(Diagnosis(str(error), "Please tell your administrator.", ""), reason="settings") from None

    async def _within(self, limit: float, start: Coroutine[Any, Any, str]) -> str:
        """Give a start so many seconds. What raises a TimeoutError of its own within them was not late."""
        starting = asyncio.ensure_future(start)
        try:
            done, _ = await asyncio.wait([starting], timeout=limit)
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
        if not done and (starting.cancelled() or isinstance(starting.exception(), asyncio.TimeoutError)):
            raise StartFailed(explain_timeout(self.start_timeout, self._progress.last), reason="timeout")
        return starting.result()

    async def _submit_and_arrive(self) -> str:
        return await self._arrive(await self._submit())

    @property
    def _start_limit(self) -> float:
        limit = float(self.start_timeout)
        return max(limit - _AHEAD_OF_JUPYTERHUB, 0.9 * limit)

    async def _arrive(self, server: ServerState) -> str:
        """Wait for the server of a submitted application and keep its address."""
        with self._applications.watch_closely(server.application_id):
            async with self._conversation(server) as conversation:
                arrival = ReadinessWaiter(server, conversation, self.access, self._welcome(), self._progress, self.log)
                address = await arrival.address()
        self._keep_on(server.with_url(address.url))
        audit("arrived", application=server.application_id, address=address.url, **self.audit_facts)
        return address.url

    def _welcome(self) -> ServerProbe:
        return ServerProbe(
            self.server.base_url, float(self.http_timeout), self.log, self.port_range, self.client_ssl_context()
        )

    def _abandon(self, server: ServerState | None) -> asyncio.Future[None] | None:
        return self._kill(server) if server is not None and server.application_id else None

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What goes on while the server starts, from the beginning, for each who asks."""
        async for event in self._progress.follow():
            yield event

    # -- Running

    async def poll(self) -> int | None:
        """Whether the server runs.

        Returns:
            None while it runs, starts, or nobody can tell; else 0 if it ended in order or was stopped, and 1 if not.
        """
        server = self._yarn_server
        if self._starting:
            return None
        if server is None:
            return await self._poll_unreadable_state() if self._lost else 0
        if not server.application_id:
            return await self._poll_unconfirmed(server)
        if server.stopping and not self._stopping:
            self.log.info("The stop of %s goes on", self._log_name)
            await self.stop()
        if await self._is_listening(server):
            return None
        status = await self._applications.status(server.application_id)
        if not self._has(server):
            return await self.poll()  # what has ended is not what the spawner has now
        if not status.ended:
            if has_exceeded_lifetime(server):
                self._kill(server, by="lifetime")
            return None
        if status.report is not None:
            if server.url and not server.stopping:
                self.note_end(status.report, setting_text("mem_limit", self.mem_limit))
            by = "stop" if server.stopping else "lifetime" if server.ends and time.time() >= server.ends else "yarn"
            audit_end(status.report, by=by, hadoop_user=server.hadoop_user, **self.audit_facts)
        final = status.report.final_status if status.report is not None else ""
        return 1 if final == "FAILED" or (final == "KILLED" and not server.stopping) else 0

    # -- Stopping

    async def stop(self, now: bool = False) -> None:
        """End the server.

        Its kernels and itself have ``stop_timeout`` seconds to end in order, unless ``now``; then YARN ends the
        container. Returns when YARN says that the application has ended, or after a minute without an answer; then it
        is ended in the background.
        """
        server = self._yarn_server
        if server is None:
            return
        try:
            application_id = server.application_id or await self._find_application(server)
        except ClusterUnavailable:
            # Its user may want to start again, and need not wait for that.
            self.log.warning(
                "YARN does not say whether %s was submitted; if so, it is ended as soon as YARN says so", self._log_name
            )
            find = partial(self._find_with_retries, server)
            self.access.ending.end_when_found(find, server.hadoop_user, by="stop", facts=self.audit_facts)
            return
        if not application_id:
            return
        # A hub that dies from here on goes on with it in its next run.
        self._keep_on(server.with_application_id(application_id).with_stop_requested())
        self._stopping = True
        try:
            await self._end(server.with_application_id(application_id), self.stop_timeout if not now else 0)
        finally:
            self._stopping = False

    async def _end(self, server: ServerState, grace: float) -> None:
        with self._applications.watch_closely(server.application_id):
            if grace and await self._ask_to_end(server):
                await self._applications.ended(server.application_id, timeout=grace)
            try:
                await asyncio.wait_for(self._kill(server, by="stop"), _END_TIMEOUT)
            except asyncio.TimeoutError:
                self.log.warning(
                    "YARN does not say that %s has ended; it is ended in the background", server.application_id
                )

    async def _ask_to_end(self, server: ServerState) -> bool:
        """Ask the server's recipe to end in order; whether it could be asked."""
        status = await self._applications.status(server.application_id)
        if status.ended or status.report is None or not server.url:
            return False
        request = StopRequest(reason="The hub stops the server.", grace=float(self.stop_timeout))
        try:
            async with self._conversation(server) as conversation:
                await conversation.put(status.report, STOP_KEY, request.to_bytes())
        except ClusterError as error:
            self.log.info("%s cannot be asked to end in order: %s", server.application_id, error)
            return False
        return True


# JupyterHub has no place for what is the hub's rather than a single server's.
attend(YarnSpawner)
