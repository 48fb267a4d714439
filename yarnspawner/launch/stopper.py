"""One stop: ask the server to shut down, then kill its application."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from yarnspawner.common.protocol import STOP_KEY, StopRequest
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.submitter import find_application, find_with_retries
from yarnspawner.skein_driver import ClusterError, ClusterUnavailable
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState

# Seconds that a stop waits for YARN. An application that has not ended by then is killed in the background.
_END_TIMEOUT = 60.0


class Stopper:
    """Stops one server.

    Args:
        context: what the spawner shares with its hub.
        record: of the server.
        grace: seconds for kernels and server to shut down.
        log: the hub's log.
    """

    def __init__(self, context: HubContext, record: ServerRecord, grace: float, log: logging.Logger) -> None:
        self._context = context
        self._access = context.access
        self._record = record
        self._grace = grace
        self._log = log

    async def run(self, server: ServerState, *, now: bool) -> None:
        """Stop a server. Called by `YarnSpawner.stop`.

        Args:
            server: the server.
            now: kill it at once.
        """
        try:
            application_id = server.application_id or await find_application(server, self._access.reflector)
        except ClusterUnavailable:
            self._terminate_when_found(server)
            return
        if not application_id:
            return
        # If the hub dies from here on, its next run resumes the stop.
        server = server.with_application_id(application_id)
        self._record.update_if_current(server.with_stop_requested())
        self._record.stopping = True
        try:
            await self._terminate(server, 0 if now else self._grace)
        finally:
            self._record.stopping = False

    def _terminate_when_found(self, server: ServerState) -> None:
        # The user may want to start again, and need not wait for that.
        self._log.warning(
            "YARN does not say whether %s was submitted; if so, the hub kills it as soon as YARN lists it",
            self._context.server_name,
        )
        find = partial(find_with_retries, server, self._access.reflector, self._log)
        facts = self._context.audit_facts
        self._access.terminator.terminate_when_found(find, server.hadoop_user, by="stop", facts=facts)

    async def _terminate(self, server: ServerState, grace: float) -> None:
        reflector = self._access.reflector
        with reflector.watch_closely(server.application_id):
            if grace and await self._ask_to_stop(server):
                await reflector.ended(server.application_id, timeout=grace)
            try:
                await asyncio.wait_for(self._context.terminate(server, by="stop"), _END_TIMEOUT)
            except asyncio.TimeoutError:
                self._log.warning(
                    "YARN does not say that %s has ended; the hub keeps killing it in the background",
                    server.application_id,
                )

    async def _ask_to_stop(self, server: ServerState) -> bool:
        """Ask the recipe in the container to stop the server. Return False if it could not be asked."""
        status = await self._access.reflector.status(server.application_id)
        if status.ended or status.report is None or not server.url:
            return False
        request = StopRequest(reason="The hub stops the server.", grace=self._grace)
        try:
            async with self._context.channel(server) as channel:
                await channel.put(status.report, STOP_KEY, request.to_bytes())
        except ClusterError as error:
            self._log.info("%s cannot be asked to end in order: %s", server.application_id, error)
            return False
        return True
