"""One restart of Jupyter in a server's container. Its kernels in other containers keep running."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid

from yarnspawner.common.protocol import RESTART_KEY, RESTARTED_KEY, ProtocolError, Restarted, RestartRequest
from yarnspawner.hub.context import HubContext
from yarnspawner.skein_driver import ClusterError, Report
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.audit import audit
from yarnspawner.yarn.server_channel import ServerChannel

# Seconds for ordinary kernels and extensions to shut down, and for the new process to listen.
_GRACE = 10.0
_LIMIT = 90.0
# Seconds between two looks for the answer.
_INTERVAL = 0.5


class RestartFailed(Exception):
    """Jupyter did not restart; the message is for the user."""


class Restarter:
    """Restarts Jupyter in one server.

    - The application, the container and the address stay, so neither the proxy nor a poll notices.
    - If the new process does not start, the application ends, and the next poll reports that.

    Args:
        context: what the spawner shares with its hub.
        record: of the server.
    """

    def __init__(self, context: HubContext, record: ServerRecord) -> None:
        self._context = context
        self._access = context.access
        self._record = record

    async def run(self) -> Restarted:
        """Restart Jupyter, and wait until the new process listens. Called by `RestartHandler.post`.

        Raises:
            RestartFailed: it did not restart, or its state is unknown.
        """
        server = self._record.server
        if server is None or not server.url or server.stopping or self._record.stopping:
            raise RestartFailed("The server does not run.")
        if self._record.restarting:
            raise RestartFailed("Jupyter is already restarting. Wait until it is ready.")
        self._record.restarting = True
        try:
            restarted = await self._restart(server)
        except ClusterError as error:
            raise RestartFailed(f"The hub cannot reach the server's application ({error}). Try again later.") from error
        finally:
            self._record.restarting = False
        audit("restarted", application=server.application_id, kernels=restarted.kernels, **self._context.audit_facts)
        return restarted

    async def _restart(self, server: ServerState) -> Restarted:
        status = await self._access.reflector.status(server.application_id)
        if status.report is None:
            raise RestartFailed("YARN does not respond. Try again later.")
        request = RestartRequest(uuid.uuid4().hex, _GRACE)
        async with self._context.channel(server) as channel:
            await channel.put(status.report, RESTART_KEY, request.to_bytes())
            until = time.monotonic() + _LIMIT
            while time.monotonic() < until:
                if (restarted := await self._answer(channel, status.report)) is not None and restarted.id == request.id:
                    return restarted
                if (await self._access.reflector.status(server.application_id)).ended:
                    raise RestartFailed("The server has stopped. The home page says why.")
                await asyncio.sleep(_INTERVAL)
        raise RestartFailed(
            f"Jupyter is not ready after {_LIMIT:.0f} seconds. Open the server in a minute. If it does not answer, stop it and"
            " start it again."
        )

    async def _answer(self, channel: ServerChannel, report: Report) -> Restarted | None:
        # The user's container writes the answer. The application master may be busy.
        with contextlib.suppress(ClusterError, ProtocolError):
            raw = await channel.get(report, RESTARTED_KEY)
            return Restarted.from_bytes(raw) if raw else None
        return None
