"""One start: from the settings to a server that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import skein

from yarnspawner.common.metrics import FAILURES, StageClock
from yarnspawner.common.private_files import private_files
from yarnspawner.common.string_templates import TemplateError
from yarnspawner.diagnosis.explain import explain_submission_error, explain_timeout, own_cause
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.certificates import InternalSSL
from yarnspawner.launch.early_start import start_early
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.hooks import apply_spec_hook, call_hook
from yarnspawner.launch.kernels import KernelPlan, plan_kernels
from yarnspawner.launch.localize import upload_shared_files
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.readiness import ReadinessWaiter
from yarnspawner.launch.request import (
    build_request,
    container_environment,
    localized_files,
    resolve_hadoop_user,
    resolve_setting,
    resource_manager_of,
)
from yarnspawner.launch.server_probe import ServerProbe
from yarnspawner.launch.specification import (
    ENVIRONMENT_FILE,
    SpecificationError,
    application_specification,
    environment_file,
)
from yarnspawner.launch.submitter import Submitter
from yarnspawner.launch.user_options import UserOptions
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.skein_driver import SKEIN_JAR, ClusterRefused
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.audit import audit
from yarnspawner.yarn.lifetime import set_lifetime, time_left, token_notice

# Seconds after which a cancelled start is killed if JupyterHub has not called stop().
_STOP_EXPECTED = 5.0

# Seconds by which a start ends before JupyterHub's own limit, whose message would not name the cause.
_AHEAD_OF_JUPYTERHUB = 2.0

# Seconds before its timeout at which a start begins to read the server's log. The timeout itself is not exceeded.
_LOG_AHEAD = 5.0


class Launcher:
    """Starts one server.

    - What is needed to find the application again is stored before the application is submitted.
    - A start that fails or is cancelled leaves no application behind.

    Args:
        spawner: whose settings count.
        context: what the spawner shares with its hub.
        record: gets the server's state at each step.
        options: what the user chose.
        internal_ssl: the server's certificate.
        progress: tells the user what happens.
    """

    def __init__(
        self,
        spawner: SpawnerSettings,
        context: HubContext,
        record: ServerRecord,
        options: UserOptions,
        internal_ssl: InternalSSL,
        progress: Progress,
    ) -> None:
        self._spawner = spawner
        self._context = context
        self._record = record
        self._options = options
        self._ssl = internal_ssl
        self._progress = progress
        self._log = spawner.log
        self._waiter: ReadinessWaiter | None = None

    async def run(self) -> str:
        """Start the server and return its address, ``http://host:port``. Called by `YarnSpawner.start`.

        Raises:
            StartFailed: with a message for the user.
        """
        self._progress.begin()
        self._record.starting = True
        self._record.last_exit.clear()
        try:
            if self._options.notice:
                self._progress.tell(1, self._options.notice)
            return await self._run_in_time()
        except asyncio.CancelledError:
            # The user cancelled the start, and JupyterHub calls stop(); or the hub stops, and its next run goes on with it.
            asyncio.get_running_loop().call_later(_STOP_EXPECTED, self._terminate, self._record.server)
            raise
        except Exception as error:
            self._audit_failure(error)
            # JupyterHub does not always call stop() after a failed start. While it does, its page says that nothing is
            # starting, and not why. So the hub kills the application before it reports the failure, in less than what
            # is left of JupyterHub's limit.
            if ending := self._terminate(self._record.server):
                await asyncio.wait([ending], timeout=0.75 * (float(self._spawner.start_timeout) - self._limit))
            raise
        finally:
            self._record.starting = False
            self._progress.end()

    async def wait_until_ready(self, server: ServerState) -> str:
        """Wait for the server of a submitted application, record its address and return it. The caller limits the time.

        Raises:
            StartFailed: see :meth:`ReadinessWaiter.wait`.
        """
        access = self._context.access
        with access.reflector.watch_closely(server.application_id):
            async with self._context.channel(server) as channel:
                page = self._context.log_page(server.application_id)
                self._waiter = ReadinessWaiter(server, channel, access, self.probe(), self._progress, self._log, page)
                address = await self._waiter.wait()
        self._record.update_if_current(server.with_url(address.url, self._waiter.notebook_storage))
        audit("arrived", application=server.application_id, address=address.url, **self._context.audit_facts)
        return address.url

    def probe(self) -> ServerProbe:
        """Return the health check of the server's address."""
        spawner = self._spawner
        certified = self._ssl.client_ssl_context()
        return ServerProbe(
            spawner.server.base_url, float(spawner.http_timeout), self._log, spawner.port_range, certified
        )

    def _audit_failure(self, error: Exception) -> None:
        if isinstance(error, StartFailed):
            server, diagnosis = self._record.server, error.diagnosis
            FAILURES.labels("start", diagnosis.code).inc()
            facts: dict[str, str] = {"code": diagnosis.code, "reason": diagnosis.cause, **self._context.audit_facts}
            if server is not None:
                facts |= {"hadoop_user": server.hadoop_user, "queue": server.queue}
            submitted = server.application_id if server is not None else ""
            self._record.history.end(submitted, code=diagnosis.code, message=diagnosis.message)
            audit("failed" if submitted else "refused", application=submitted, **facts)

    # -- Time

    @property
    def _limit(self) -> float:
        limit = float(self._spawner.start_timeout)
        return max(limit - _AHEAD_OF_JUPYTERHUB, 0.9 * limit)

    async def _run_in_time(self) -> str:
        try:
            return await self._within(self._limit, self._submit_and_wait())
        except (IdentityRefused, TemplateError, SpecificationError) as error:
            code = "account-refused" if isinstance(error, IdentityRefused) else "setting-invalid"
            raise StartFailed(own_cause(code, words=str(error))) from None

    async def _within(self, limit: float, start: Coroutine[Any, Any, str]) -> str:
        """Limit the time of a start. A TimeoutError that it raises itself within the limit was not late."""
        starting = asyncio.ensure_future(start)
        log_tail = ""
        try:
            ahead = min(_LOG_AHEAD, limit / 2)
            done = bool((await asyncio.wait([starting], timeout=limit - ahead))[0])
            if not done:
                log_tail, done = await self._read_log_meanwhile(starting, ahead)
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        if not done and (starting.cancelled() or isinstance(starting.exception(), asyncio.TimeoutError)):
            raise self._timed_out(log_tail)
        return starting.result()

    async def _read_log_meanwhile(self, starting: asyncio.Future[str], seconds: float) -> tuple[str, bool]:
        """Wait for the start and read its server's log. Return the log, and whether the start is done."""
        reading = asyncio.ensure_future(self._running_log())
        try:
            done = bool((await asyncio.wait([starting], timeout=seconds))[0])
            log_tail = reading.result() if reading.done() and reading.exception() is None else ""
        finally:
            reading.cancel()
        return log_tail, done

    async def _running_log(self) -> str:
        return await self._waiter.running_log() if self._waiter else ""

    def _timed_out(self, log_tail: str) -> StartFailed:
        limit = self._spawner.start_timeout
        if self._waiter is not None:
            return self._waiter.timed_out(limit, log_tail)
        return StartFailed(explain_timeout(limit, self._progress.last))

    def _terminate(self, server: ServerState | None) -> asyncio.Future[None] | None:
        return self._context.terminate(server) if server is not None and server.application_id else None

    # -- Steps

    async def _submit_and_wait(self) -> str:
        return await self.wait_until_ready(await self.submit())

    async def submit(self) -> ServerState:
        """Submit the application, and return the server's state.

        Raises:
            StartFailed, IdentityRefused, TemplateError, SpecificationError: nothing was submitted.
        """
        spawner, context, clock = self._spawner, self._context, StageClock("submit")
        resource_manager = resource_manager_of(context)  # without a cluster, nothing else makes sense
        user = await resolve_hadoop_user(spawner, hub_user=context.access.hub_user)
        with context.accounts.reserved(user, spawner.user, shared=spawner.shared_hadoop_users) as keep_account:
            server = await self._submit_as(user, keep_account)
        clock.next("")
        limited = await set_lifetime(server, spawner.maximum_lifetime, resource_manager, self._log)
        if limited != server:
            server = limited
            self._record.update(server)
        if left := time_left(server.ends):
            self._progress.tell(15, f"The server stops automatically: {left}.")
        if notice := token_notice(server.ends):
            self._progress.tell(16, notice)
        if hook := spawner.after_submit_hook:
            await call_hook("after_submit_hook", hook, spawner, server.application_id, log=self._log)
        return server

    async def _submit_as(self, user: str, keep_account: Callable[[], None]) -> ServerState:
        spawner = self._spawner
        credentials = Credentials.new()
        server = ServerState.new(
            user,
            await resolve_setting(spawner, "queue"),
            credentials,
            container=spawner.server_container,
            hub=self._context.identity.id,
            settings=self._options.chosen,
        )
        kernels = await plan_kernels(spawner, resource_manager_of(self._context), server.queue)
        # A call, since JupyterHub lets the values of `environment` be callables.
        environment = await call_hook("environment", container_environment, spawner, log=self._log)
        own = {ENVIRONMENT_FILE: environment_file(environment | kernels.environment)}
        with private_files({**own, **self._ssl.files, **kernels.new_files()}) as paths:
            submission = self._submit_again_if_uploads_are_gone(server, credentials, paths, kernels, keep_account)
            application_id = await submission
        keep_account()
        self._log.info(
            "Submitted %s for %s as %s to queue %s", application_id, self._context.server_name, user, server.queue
        )
        server = server.with_application_id(application_id)
        self._record.update(server)
        facts = {"hadoop_user": user, "queue": server.queue, **self._context.audit_facts}
        audit("submitted", application=application_id, **facts)
        return server

    async def _submit_again_if_uploads_are_gone(
        self,
        server: ServerState,
        credentials: Credentials,
        paths: dict[str, str],
        kernels: KernelPlan,
        keep_account: Callable[[], None],
    ) -> str:
        """Submit once, and once more if somebody has removed what the hub had uploaded to HDFS."""
        access = self._context.access
        submitter = Submitter(self._context, self._progress, self._log)
        again = True
        while True:
            specification = await self._specification(server, credentials, paths, kernels)
            # From here on, a hub that dies can find the application again.
            self._record.update(server)
            self._progress.tell(10, f"Submitting an application to queue {server.queue} as {server.hadoop_user}.")
            try:
                return await submitter.submit(server, specification, keep_account)
            except ClusterRefused as error:
                if again and access.uploads.invalidate(str(error)):
                    again = False
                    continue
                raise self._refusal(error, server) from error
            except StartFailed:
                raise  # the hub itself could not submit, so this attempt has submitted nothing
            except BaseException:
                keep_account()  # YARN may have accepted it
                raise

    def _refusal(self, error: ClusterRefused, server: ServerState) -> StartFailed:
        user, queue = server.hadoop_user, server.queue
        diagnosis = explain_submission_error(error, hub=self._context.access.hub_user, user=user, queue=queue)
        return StartFailed(diagnosis, facts={"User": user, "Queue": queue})

    async def _specification(
        self, server: ServerState, credentials: Credentials, paths: dict[str, str], kernels: KernelPlan
    ) -> skein.ApplicationSpec:
        spawner, access = self._spawner, self._context.access

        def tell(message: str) -> None:
            self._progress.tell(5, message)

        files, archives = [
            await upload_shared_files(
                sources, access.uploads, server.hadoop_user, self._log, tell, lowest_uid=spawner.lowest_uid
            )
            for sources in (await localized_files(spawner), kernels.archives)
        ]
        request = await build_request(
            spawner,
            server,
            credentials,
            paths,
            files=files,
            skein_jar=access.uploads.url_if_ready(SKEIN_JAR),
            hub_id=self._context.identity.id,
            hub_user=access.hub_user,
            kernels=await kernels.services(spawner, server.hadoop_user, archives, paths),
        )
        specification = application_specification(request)
        specification = await apply_spec_hook(spawner.modify_spec_hook, spawner, specification, self._log)
        return start_early(specification, paths[ENVIRONMENT_FILE]) if spawner.early_start else specification
