"""The spawner: what JupyterHub calls, in the order in which it calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future
from traitlets import default

from yarnspawner.common.notebook_storage import storage_notice
from yarnspawner.common.units import text as setting_text
from yarnspawner.hadoop.resourcemanager import ResourceManager
from yarnspawner.hub.account_registry import carried
from yarnspawner.hub.context import HubContext
from yarnspawner.hub.owned_servers import live_spawners
from yarnspawner.hub.startup import install_startup_hook
from yarnspawner.launch.certificates import InternalSSL
from yarnspawner.launch.exits import exit_status
from yarnspawner.launch.hooks import call_hook
from yarnspawner.launch.launcher import Launcher
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.recovery import Phase, Recovery
from yarnspawner.launch.request import resource_manager_of
from yarnspawner.launch.stopper import Stopper
from yarnspawner.launch.submitter import PAUSE
from yarnspawner.launch.user_options import UserOptions
from yarnspawner.settings.hub import HubSettings
from yarnspawner.settings.profiles import ProfileSettings
from yarnspawner.settings.server import ServerSettings
from yarnspawner.settings.yarn import YarnSettings
from yarnspawner.state.last_exit import LastExit
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.lifetime import has_exceeded_lifetime, time_left, token_notice


class YarnSpawner(ServerSettings, YarnSettings, ProfileSettings, HubSettings, Spawner):
    """Runs a user's server in a YARN container, as that user.

    - A server is one YARN application, which the hub submits as the user.
    - What is needed to find it again is stored before it is submitted.
    - It counts as running until YARN says that it has ended. No answer from YARN never counts as an end.
    - A start that fails or is cancelled leaves no application behind.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._notifying: asyncio.Task[None] | None = None
        self.hub_context = HubContext(self)
        self.progress_events = Progress()
        self.record = ServerRecord(lambda: self.hub_context.seal, self._save_state, LastExit())
        self.user_choices = UserOptions(self, self.hub_context)
        self.internal_certificates = InternalSSL(self.user, self.hub_context)
        self.recovery = Recovery(self, self.hub_context, self.record, self.progress_events, self._launcher)
        live_spawners.add(self)

    # -- The state in JupyterHub's database

    def load_state(self, state: Any) -> None:
        """Read what an earlier run of the hub has stored. Called by `User._new_spawner`, for each server it knows."""
        # A state that is no mapping is refused below, but must not keep the hub from starting.
        known: dict[str, Any] = state if isinstance(state, dict) else {}
        super().load_state(known)
        self.user_choices.load(known)
        self.recovery.load(state)
        if self.record.server is not None:
            self.user_choices.restore(self.record.server.settings)
            self._watch(self.record.server)
        else:
            # The drivers start now, so that the first start need not wait for them.
            self.hub_context.access.warm()

    def get_state(self) -> dict[str, Any]:
        """Return what is stored for a restart of the hub, with sealed secrets. Called by `User.spawn` and `User.stop`."""
        accounts = carried(self.orm_spawner.state, self.user.name) if self.orm_spawner else {}
        return {**super().get_state(), **accounts, **self.user_choices.to_dict(), **self.record.to_dict()}

    def clear_state(self) -> None:
        """Forget the server and the user's choice. Called by `User.spawn` before a start, and by `User.stop`."""
        super().clear_state()
        if self.record.application_id:
            self.hub_context.access.reflector.unwatch(self.record.application_id)
        self.record.clear()
        self.recovery.clear()
        self.user_choices.clear()

    async def delete_forever(self) -> None:
        """Keep the user's accounts. Called by `User.delete_spawners` and when a named server is deleted."""
        await maybe_future(super().delete_forever())
        if self.name and self.user.spawner:  # which makes the default server's row, should there be none
            self.hub_context.accounts.spread(self.user)

    def _save_state(self, server: ServerState) -> None:
        """Store the state now: JupyterHub does so only when start() has returned."""
        self._watch(server)
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    # -- Options and hooks

    @default("options_form")
    def _default_options_form(self) -> Any:
        # JupyterHub shows no page if this is empty.
        return (lambda spawner: spawner.user_choices.render_form()) if self.user_choices.offers_anything else ""

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return self.user_choices.parse_form

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        return lambda spawner, user_options: spawner.user_choices.apply(user_options)

    async def get_options_form(self) -> Any:
        """Return the form of the options page. Called by `SpawnHandler.get`."""
        return await call_hook("options_form", super().get_options_form, log=self.log)

    async def run_options_from_form(self, form_data: Any) -> Any:
        """Return a posted form as user options. Called by `SpawnHandler.post`."""
        return await call_hook("options_from_form", super().run_options_from_form, form_data, log=self.log)

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Run ``auth_state_hook``. Called by `User.spawn`."""
        await call_hook("auth_state_hook", super().run_auth_state_hook, auth_state, log=self.log)

    async def apply_group_overrides(self) -> None:
        """Change the settings as ``group_overrides`` say. Called by `User.spawn`."""
        await self.user_choices.apply_group_overrides()

    async def _run_apply_user_options(self, user_options: Any) -> None:
        """Change the settings as the user has chosen. Called by `User.spawn`."""
        apply = self.apply_user_options
        if callable(apply):
            await call_hook("apply_user_options", apply, self, user_options, log=self.log)
        else:
            await super()._run_apply_user_options(user_options)

    async def run_pre_spawn_hook(self) -> None:
        """Run ``pre_spawn_hook``. Called by `User.spawn`."""
        await call_hook("pre_spawn_hook", super().run_pre_spawn_hook, log=self.log)

    # -- Certificates, with ``internal_ssl``

    async def create_certs(self) -> dict[str, str]:
        """Make the server's certificate. Called by `User.spawn`.

        Raises:
            StartFailed: YARN does not list its nodes.
        """
        names = self.ssl_alt_names
        self.set_trait("ssl_alt_names", names or await self.internal_certificates.node_names())
        try:
            paths: dict[str, str] = await super().create_certs()
        finally:
            self.set_trait("ssl_alt_names", names)
        return paths

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Send the certificate along as private files. Called by `User.spawn`."""
        return self.internal_certificates.take(paths)

    # -- Start

    async def start(self) -> str:
        """Submit the application and wait until the server accepts requests. Called by `User.spawn`.

        Returns:
            the server's address, ``http://host:port``.

        Raises:
            StartFailed: with a message for the user. Nothing is left behind, also when this is cancelled.
        """
        return await self._launcher().run()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what happens while the server starts, from the beginning. Called by `SpawnProgressAPIHandler.get`."""
        async for event in self.progress_events.follow():
            yield event

    def _launcher(self) -> Launcher:
        return Launcher(
            self,
            self.hub_context,
            self.record,
            self.user_choices,
            self.internal_certificates,
            self.progress_events,
        )

    # -- Polls

    async def poll(self) -> int | None:
        """Return None while the server runs or starts, or if its state is unknown; else its exit status.

        Called by JupyterHub every ``poll_interval`` seconds, before a stop, and at the hub's start.

        Returns:
            0 if the server ended in order or was stopped, 1 if not.
        """
        server = self.record.server
        if self.record.starting:
            return None
        if server is not None and self._check_pending and self.recovery.has_pending_start:
            return None if await self.recovery.resume_start(server) else 1
        if server is None:
            running = self.recovery.phase is Phase.UNREADABLE and await self.recovery.poll_unreadable()
            return await self._answer(running, server)
        if not server.application_id:
            return await self._answer(await self.recovery.poll_unconfirmed(server), server)
        if server.stopping and not self.record.stopping:
            self.log.info("The stop of %s goes on", self._log_name)
            await self.stop()
        if await self.recovery.poll_listening(server):
            return None
        status = await self.hub_context.access.reflector.status(server.application_id)
        if not self.record.is_current(server):
            return await self.poll()  # the spawner has another server now
        if not status.ended:
            if has_exceeded_lifetime(server):
                self.hub_context.terminate(server, by="lifetime")
            return None
        memory = setting_text("mem_limit", self.mem_limit)
        return exit_status(self.record, self.hub_context, server, status.report, memory)

    async def _answer(self, running: bool, server: ServerState | None) -> int | None:
        """Return a poll's answer, or poll again if the spawner got another server during the poll."""
        if running:
            return None
        changed = self.record.server is not None if server is None else not self.record.is_current(server)
        return await self.poll() if changed else 0

    def _watch(self, server: ServerState) -> None:
        if server.application_id:
            on_end = partial(self._on_application_end, server.application_id)
            self.hub_context.access.reflector.watch(server.application_id, on_end=on_end)

    def _on_application_end(self, application_id: str) -> None:
        self._notifying = asyncio.create_task(self._notify_jupyterhub(application_id))

    async def _notify_jupyterhub(self, application_id: str) -> None:
        """Tell JupyterHub of an end at once. It polls only every ``poll_interval`` seconds."""
        while self.pending == "check":  # noqa: ASYNC110 - JupyterHub does not listen yet
            await asyncio.sleep(PAUSE)
        if self.in_use and not self.pending and self.record.application_id == application_id:
            await self.poll_and_notify()

    @property
    def in_use(self) -> bool:
        """True while JupyterHub uses this spawner. After a stop, the user's next server has another one."""
        return any(spawner is self for spawner in self.user.spawners.values())

    def add_poll_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call back when the server has ended. Called by `User.spawn` and at the hub's start.

        JupyterHub's callback stops the server that the user has by then. So a spawner that JupyterHub has dropped makes
        no callback: that server is another one.
        """

        async def call() -> None:
            if self.in_use:
                await maybe_future(callback(*args, **kwargs))

        super().add_poll_callback(call)

    async def get_url(self) -> str:
        """Return the address of a server of the hub's last run. Called by `JupyterHub.init_spawners`."""
        return await self.recovery.get_url()

    # -- Stop

    async def stop(self, now: bool = False) -> None:
        """Stop the server. Called by `User.stop`, and by a poll that resumes a stop.

        The server and its kernels have ``stop_timeout`` seconds to shut down, unless ``now``; then YARN kills the
        container. Returns when YARN says that the application has ended, or after a minute without an answer. Then the
        application is killed in the background.
        """
        if self.record.server is not None:
            stopper = Stopper(self.hub_context, self.record, float(self.stop_timeout), self.log)
            await stopper.run(self.record.server, now=now)

    # -- For templates and hooks

    @property
    def time_left(self) -> str:
        """How long the server may still run, for people; "" if it has no limit or does not run."""
        return time_left(self.record.server.ends) if self.record.server is not None else ""

    @property
    def token_notice(self) -> str:
        """How long the server has access to HDFS, for people; "" if that is as long as it runs, or if it does not run."""
        return token_notice(self.record.server.ends) if self.record.server is not None else ""

    @property
    def offers_restart(self) -> bool:
        """True if Jupyter can restart without its kernels in containers. Read by the hub's pages."""
        server = self.record.server
        return bool(self.kernel_profiles and self.ready and server is not None and server.url)

    @property
    def storage_notice(self) -> str:
        """What the user must know about the storage of the notebooks; "" if they are safe, or no server runs."""
        server = self.record.server
        return storage_notice(server.notebooks, urlsplit(server.url).hostname or "") if server is not None else ""

    @property
    def resource_manager(self) -> ResourceManager:
        """The client of the ResourceManager's web service.

        Raises:
            SettingFailed: Hadoop's configuration does not say where the ResourceManager is.
        """
        return resource_manager_of(self.hub_context)


install_startup_hook(YarnSpawner)
