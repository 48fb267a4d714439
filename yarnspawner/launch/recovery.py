"""A server that outlasts its hub: what is kept of it, and how another run of the hub finds it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from jupyterhub.utils import maybe_future
from tornado import web

from yarnspawner.common.string_templates import TemplateError
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hub.context import BelongingSpawner
from yarnspawner.launch.request import hadoop_user
from yarnspawner.launch.user_options import ChoosingSpawner
from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.state.last_exit import RememberingSpawner
from yarnspawner.state.server_state import ServerState, StateError
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.server_channel import ServerChannel
from yarnspawner.yarn.tags import server_tag, start_tag

# Seconds between two attempts while YARN does not answer.
PAUSE = 2.0


class LastingSpawner(BelongingSpawner, RememberingSpawner, ChoosingSpawner):
    """The part of a spawner that keeps what is known of its server, and finds it again.

    - a server whose submission was never answered, or whose state cannot be read, is found by its tags
    - one that listens counts as running before YARN has said so, and has ended as soon as YARN says so
    - what is still under way when JupyterHub drops the spawner, or starts another server with it, touches neither the
      user's new server nor its stored state
    """

    # JupyterHub's Spawner has these.
    pending: str | None
    poll: Callable[[], Coroutine[Any, Any, int | None]]
    poll_and_notify: Callable[[], Coroutine[Any, Any, int | None]]
    server: Any

    # There was a stored state, and it could not be used.
    _lost = False
    _looked_at = False
    _telling: asyncio.Task[None] | None = None

    # -- What is kept

    def get_state(self) -> dict[str, Any]:
        """What JupyterHub keeps of this server for a restart; its secrets are sealed."""
        state: dict[str, Any] = super().get_state()
        if self._yarn_server is not None:
            state.update(self._yarn_server.to_dict(self.seal))
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what another run of the hub has kept."""
        # What is no mapping is refused below, but must not keep the whole hub from starting.
        super().load_state(state if isinstance(state, dict) else {})
        # A user has come, or was there when the hub ended: the first start should not wait for a driver's.
        self.access.warm()
        try:
            self._yarn_server = ServerState.from_dict(state, self.seal, hub_user=self.user.name)
        except StateError as error:
            self.log.warning("The stored state of %s cannot be used: %s", self._log_name, error)
            self._lost = True
            return
        if self._yarn_server is None:
            return
        self.restore_choices(self._yarn_server.settings)
        if self._yarn_server.credentials is None:
            self.log.warning(
                "%s: the secrets in the stored state cannot be unsealed, so the server can be watched and ended, but"
                " not asked to end in order (was the hub's cookie secret replaced?)",
                self._log_name,
            )
        if not self.is_own(self._yarn_server):
            self._yarn_server = None
        elif self._yarn_server.application_id:
            self._watch(self._yarn_server.application_id)

    def clear_state(self) -> None:
        """Forget the server."""
        super().clear_state()
        if self._yarn_server is not None and self._yarn_server.application_id:
            self._applications.unwatch(self._yarn_server.application_id)
        self._yarn_server = None
        self._lost = False

    def _keep(self, server: ServerState) -> None:
        """Save the state now: JupyterHub does so only when start() has returned."""
        self._yarn_server = server
        if server.application_id:
            self._watch(server.application_id)
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    def _keep_on(self, server: ServerState) -> None:
        """Save a change of the server, unless the spawner has let go of it while the change was under way."""
        if self._has(server):
            self._keep(server)

    def _has(self, server: ServerState) -> bool:
        """Return True if the spawner's server is still the one of that start."""
        return server.is_same(self._yarn_server)

    def _watch(self, application_id: str) -> None:
        self._applications.watch(application_id, on_end=partial(self._on_application_end, application_id))

    def _on_application_end(self, application_id: str) -> None:
        self._telling = asyncio.create_task(self._notify_jupyterhub(application_id))

    async def _notify_jupyterhub(self, application_id: str) -> None:
        """Tell of an end at once, which JupyterHub would ask for every ``poll_interval`` seconds."""
        while self.pending == "check":  # noqa: ASYNC110 - JupyterHub does not listen yet
            await asyncio.sleep(PAUSE)
        server = self._yarn_server
        if self.in_use and not self.pending and server is not None and server.application_id == application_id:
            await self.poll_and_notify()

    def add_poll_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call back when the server has ended. JupyterHub's callback stops the server that the user has by then.

        So a spawner that JupyterHub has dropped calls nobody: that server is another one.
        """

        async def call() -> None:
            if self.in_use:
                await maybe_future(callback(*args, **kwargs))

        super().add_poll_callback(call)  # type: ignore[misc]

    # -- What is found again

    async def _is_listening(self, server: ServerState) -> bool:
        """Whether a server of the hub's last run listens, which has to do until YARN is asked for the first time.

        Once for each spawner. If YARN then says that it has ended, JupyterHub is told.
        """
        if self._looked_at or not server.url or server.stopping:
            return False
        if self._applications.has_report(server.application_id):
            return False
        self._looked_at = await self.access.doors.answers(server.url)
        return self._looked_at

    async def _poll_unconfirmed(self, server: ServerState) -> int | None:
        """Poll a server whose submission was never answered, since the hub ended meanwhile."""
        try:
            application_id = await self._find_application(server)
        except ClusterUnavailable:
            return None
        if not self._has(server):
            return await self.poll()
        if not application_id:
            return 0
        self._keep(server.with_application_id(application_id))
        return None

    async def _poll_unreadable_state(self) -> int | None:
        """Poll a server whose stored state cannot be used: its tags lead to it, and JupyterHub has its address."""
        try:
            users = await self._possible_accounts()
            report = None
            for hub_id in (self.hub_identity.id, *self.hub_identity.former):
                for user in users:
                    report = report or await self._applications.find(
                        server_tag(hub_id, self.user.name, self.name), user
                    )
        except ClusterUnavailable:
            return None
        except (IdentityRefused, TemplateError) as error:
            self.log.warning("The application of %s cannot be found again: %s", self._log_name, error)
            return 0
        if not self._lost:
            return await self.poll()  # it was stopped meanwhile
        self._lost = False
        if report is None:
            return 0
        self.log.info("%s of %s was found again by its tags", report.id, self._log_name)
        self._keep(ServerState.recovered(report.id, report.user, report.queue))
        return None

    async def _possible_accounts(self) -> list[str]:
        """The Hadoop users as whom a server may run whose state was lost.

        Raises:
            ClusterUnavailable: nobody can tell.
        """
        try:
            return [await hadoop_user(self, hub_user=self.access.hub_user)]
        except web.HTTPError as error:  # SettingFailed, and what a hook says to users
            # One that goes by what a login brings (auth_state) cannot know it after a restart.
            if claimed := self._accounts.of_user(self.user):
                return claimed
            raise ClusterUnavailable(str(error)) from None

    # -- Means

    @property
    def _applications(self) -> ApplicationReflector:
        return self.access.applications

    def _conversation(self, server: ServerState) -> ServerChannel:
        return ServerChannel(server.application_id, server.credentials, self.access, self.log)

    async def _find_application(self, server: ServerState) -> str:
        """The application of a start whose answer was lost; "" if YARN says that there is none.

        Raises:
            ClusterUnavailable: nobody can tell.
        """
        report = await self._applications.find(start_tag(server.start_id), server.hadoop_user)
        return report.id if report is not None else ""

    async def _find_with_retries(self, server: ServerState) -> str:
        """The same, which waits until YARN says so."""
        while True:
            try:
                return await self._find_application(server)
            except ClusterUnavailable as error:
                self.log.debug("Whether %s was submitted is not known yet: %s", self._log_name, error)
                await asyncio.sleep(PAUSE)
