"""The spawner: a server's life, from the click on Start to the end of its application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import skein
from jupyterhub.spawner import Spawner

from yarnspawner.aftermath import RememberingSpawner
from yarnspawner.applications import Applications
from yarnspawner.audit import audit, audit_end
from yarnspawner.belonging import BelongingSpawner
from yarnspawner.certificates import CertifiedSpawner
from yarnspawner.cluster import SKEIN_JAR, ClusterError, ClusterRefused, ClusterUnavailable
from yarnspawner.conversation import Conversation
from yarnspawner.diagnosis import Diagnosis, explain_outage, explain_refusal, too_late
from yarnspawner.errors import StartFailed
from yarnspawner.expansion import TemplateError, expand
from yarnspawner.features import called, is_overdue, limit_lifetime, modified
from yarnspawner.hub import attend
from yarnspawner.identity import IdentityRefused
from yarnspawner.options.choices import text as setting_text
from yarnspawner.options.spawner import ChoosingSpawner
from yarnspawner.planning import (
    container_environment,
    hadoop_user,
    localized_files,
    server_request,
    server_tag,
    start_tag,
    template_fields,
)
from yarnspawner.private_files import private_files
from yarnspawner.progress import Progress
from yarnspawner.rendezvous import STOP_KEY, StopRequest
from yarnspawner.sharing import shared_files
from yarnspawner.specification import (
    ENVIRONMENT_FILE,
    SpecificationError,
    application_specification,
    environment_file,
)
from yarnspawner.starting import Arrival
from yarnspawner.state import Credentials, ServerState, StateError
from yarnspawner.welcome import Welcome

# Seconds between two attempts to submit while YARN does not answer.
_SUBMISSION_PAUSE = 2.0

# Seconds of a submission after which the user is told that it is still waited for.
_SUBMISSION_IS_SLOW = 10.0

# Seconds after which a start that was cancelled is ended even if no stop has come.
_STOP_EXPECTED = 5.0

# Seconds that a start ends before JupyterHub's own limit, whose words would say nothing of the cause.
_AHEAD_OF_JUPYTERHUB = 2.0

# Seconds that a stop waits for YARN; what has not ended by then is ended in the background.
_END_TIMEOUT = 60.0


class YarnSpawner(BelongingSpawner, RememberingSpawner, ChoosingSpawner, CertifiedSpawner, Spawner):
    """Runs a user's server in a YARN container, as that user.

    - a server is one YARN application, submitted by the hub as the user
    - what is needed to find it again is saved before it is submitted
    - it counts as running until YARN says that it has ended: that nobody answers is not an end
    - a start that fails or is cancelled leaves no application behind
    """

    _starting = False
    _stopping = False
    # There was a stored state, and it could not be used.
    _lost = False
    _adopted = False

    def __init__(self, **kwargs: Any) -> None:
        self._progress = Progress()
        super().__init__(**kwargs)

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
            if self.choice_notice:
                self._progress.tell(1, self.choice_notice)
            return await asyncio.wait_for(self._submit_and_arrive(), self._start_limit)
        except asyncio.CancelledError:
            # By the user, and JupyterHub's stop() follows; or since the hub ends, after whose restart the start goes on.
            asyncio.get_running_loop().call_later(_STOP_EXPECTED, self._abandon, self._yarn_server)
            raise
        except asyncio.TimeoutError:
            self._abandon(self._yarn_server)
            raise StartFailed(too_late(self.start_timeout, self._progress.last), reason="timeout") from None
        except (IdentityRefused, TemplateError, SpecificationError) as error:
            audit("refused", reason=str(error), **self.audit_facts)
            raise StartFailed(Diagnosis(str(error), "Please tell your administrator.", ""), reason="settings") from None
        finally:
            self._starting = False
            self._progress.end()

    async def _submit_and_arrive(self) -> str:
        try:
            return await self._arrive(await self._submit())
        except Exception:
            # JupyterHub calls stop() after a failed start, but not always.
            self._abandon(self._yarn_server)
            raise

    @property
    def _start_limit(self) -> float:
        limit = float(self.start_timeout)
        return max(limit - _AHEAD_OF_JUPYTERHUB, 0.9 * limit)

    async def _submit(self) -> ServerState:
        access = self._access
        user = await hadoop_user(self, hub_user=access.hub_user)
        self.claim(user)
        credentials = Credentials.new()
        server = ServerState.new(
            user,
            expand(self.queue, template_fields(self)),
            credentials,
            container=self.server_container,
            hub=self.hub_identity.id,
            settings=self.chosen_settings,
        )
        files: dict[str, str | bytes] = {
            ENVIRONMENT_FILE: environment_file(container_environment(self)),
            **self._certificates,
        }
        with private_files(files) as paths:
            for again in (True, False):
                specification = await self._specification(server, credentials, paths)
                # From here on a hub that dies can find the application again.
                self._keep(server)
                self._progress.tell(10, f"Submitting an application to queue {server.queue} as {user}.")
                try:
                    application_id = await self._submit_patiently(server, specification)
                    break
                except ClusterRefused as error:
                    if again and access.uploads.forget(str(error)):
                        continue  # somebody has removed what was in HDFS
                    refusal = explain_refusal(error, hub=access.hub_user, user=user, queue=server.queue)
                    audit("refused", reason=refusal.cause, hadoop_user=user, queue=server.queue, **self.audit_facts)
                    raise StartFailed(refusal, reason="refused") from error
        self.log.info("Submitted %s for %s as %s to queue %s", application_id, self._log_name, user, server.queue)
        server = server.submitted(application_id)
        self._keep(server)
        audit("submitted", application=application_id, hadoop_user=user, queue=server.queue, **self.audit_facts)
        limited = await limit_lifetime(self, server)
        if limited != server:
            server = limited
            self._keep(server)
        if self.time_left:
            self._progress.tell(15, f"The server ends by itself: {self.time_left}.")
        await called(self.after_submit_hook, self, application_id)
        return server

    async def _specification(
        self, server: ServerState, credentials: Credentials, paths: dict[str, str]
    ) -> skein.ApplicationSpec:
        access = self._access

        def tell(words: str) -> None:
            self._progress.tell(5, words)

        request = server_request(
            self,
            server,
            credentials,
            paths,
            files=await shared_files(localized_files(self), access.uploads, server.hadoop_user, self.log, tell),
            skein_jar=access.uploads.at_once(SKEIN_JAR),
            hub_id=self.hub_identity.id,
            hub_user=access.hub_user,
        )
        return await modified(self, application_specification(request))

    async def _submit_patiently(self, server: ServerState, specification: skein.ApplicationSpec) -> str:
        """Submit until YARN answers; ``start_timeout`` limits it."""

        def late(application_id: str) -> None:
            if self._yarn_server is None or self._yarn_server.application_id != application_id:
                self._kill(server.submitted(application_id))

        told = None
        while True:
            slow = asyncio.get_running_loop().call_later(
                _SUBMISSION_IS_SLOW,
                self._progress.tell,
                10,
                "YARN has not answered yet. The start goes on when it does.",
            )
            try:
                return await self._access.cluster.submit(specification, on_late=late)
            except ClusterUnavailable as error:
                outage, passes = explain_outage(error)
                if not passes:
                    raise StartFailed(outage, reason="unavailable") from error
                if outage.cause != told:
                    self.log.warning("Cannot submit for %s yet: %s", self._log_name, error)
                    told = outage.cause
                self._progress.tell(5, f"{outage.cause} {outage.remedy}")
            finally:
                slow.cancel()
            await asyncio.sleep(_SUBMISSION_PAUSE)
            # What was not answered may have been done.
            if found := await self._find_application(server):
                return found

    async def _arrive(self, server: ServerState) -> str:
        """Wait for the server of a submitted application and keep its address."""
        with self._applications.watching(server.application_id):
            async with self._conversation(server) as conversation:
                arrival = Arrival(server, conversation, self._access, self._welcome(), self._progress, self.log)
                address = await arrival.address()
        self._keep(server.arrived(address.url))
        audit("arrived", application=server.application_id, address=address.url, **self.audit_facts)
        return address.url

    def _abandon(self, server: ServerState | None) -> None:
        if server is not None and server.application_id:
            self._kill(server)

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
            return await self._poll_lost() if self._lost else 0
        if not server.application_id:
            return await self._poll_unanswered(server)
        if server.stopping and not self._stopping:
            self.log.info("The stop of %s goes on", self._log_name)
            await self.stop()
        status = await self._applications.status(server.application_id)
        if not status.ended:
            if is_overdue(server):
                self._kill(server, by="lifetime")
            return None
        if status.report is not None:
            if server.url and not server.stopping:
                self.note_end(status.report, setting_text("mem_limit", self.mem_limit))
            by = "stop" if server.stopping else "lifetime" if server.ends and time.time() >= server.ends else "yarn"
            audit_end(status.report, by=by, hadoop_user=server.hadoop_user, **self.audit_facts)
        return 1 if status.report is not None and status.report.final_status == "FAILED" else 0

    async def _poll_unanswered(self, server: ServerState) -> int | None:
        """Poll a server whose submission was never answered, since the hub ended meanwhile."""
        try:
            report = await self._applications.find(start_tag(server), server.hadoop_user)
        except ClusterUnavailable:
            return None
        if report is None:
            return 0
        self._keep(server.submitted(report.id))
        return None

    async def _poll_lost(self) -> int | None:
        """Poll a server whose stored state cannot be used: its tags lead to it, and JupyterHub has its address."""
        try:
            user = await hadoop_user(self, hub_user=self._access.hub_user)
            report = None
            for hub_id in (self.hub_identity.id, *self.hub_identity.former):
                report = report or await self._applications.find(server_tag(self, hub_id=hub_id), user)
        except ClusterUnavailable:
            return None
        except (IdentityRefused, TemplateError) as error:
            self.log.warning("The application of %s cannot be found again: %s", self._log_name, error)
            return 0
        self._lost = False
        if report is None:
            return 0
        self.log.info("%s of %s was found again by its tags", report.id, self._log_name)
        self._keep(ServerState.found(report.id, user, report.queue))
        return None

    async def get_url(self) -> str:
        """The address of a server that was there before this hub was; a start that was pending goes on.

        Never raises: JupyterHub would give up on all servers. An address where nobody answers ends the server alone.
        """
        if self._yarn_server is not None and not self._yarn_server.url and self._yarn_server.credentials is not None:
            self.log.info("The start of %s goes on", self._log_name)
            try:
                await asyncio.wait_for(self._adopt(self._yarn_server), self.start_timeout)
            except Exception as error:  # noqa: BLE001 - see above
                self.log.warning("The start of %s could not go on: %s", self._log_name, error)
        if self._yarn_server is None or not self._yarn_server.url:
            return str(self.server.url)
        if not self._adopted:
            self._adopted = True
            facts = {"hadoop_user": self._yarn_server.hadoop_user, **self.audit_facts}
            audit("adopted", application=self._yarn_server.application_id, address=self._yarn_server.url, **facts)
        # JupyterHub copies host and port from what this returns, but not the scheme.
        self.server.proto = self._yarn_server.url.partition(":")[0]
        return f"{self._yarn_server.url}{self.server.base_url}"

    async def _adopt(self, server: ServerState) -> None:
        while not server.application_id:
            if found := await self._find_application(server):
                server = server.submitted(found)
            else:
                await asyncio.sleep(_SUBMISSION_PAUSE)
        await self._arrive(server)

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
        application_id = server.application_id or await self._find_application(server)
        if not application_id:
            return
        # A hub that dies from here on goes on with it in its next run.
        self._keep(server.submitted(application_id).stopped())
        self._stopping = True
        try:
            await self._end(server.submitted(application_id), self.stop_timeout if not now else 0)
        finally:
            self._stopping = False

    async def _end(self, server: ServerState, grace: float) -> None:
        with self._applications.watching(server.application_id):
            if grace and await self._ask_to_end(server):
                await self._applications.ended(server.application_id, timeout=grace)
            try:
                await asyncio.wait_for(self._kill(server, by="stop"), _END_TIMEOUT)
            except asyncio.TimeoutError:
                self.log.warning(
                    "YARN does not say that %s has ended; it is ended in the background", server.application_id
                )

    def _kill(self, server: ServerState, *, by: str = "hub") -> asyncio.Future[None]:
        return self._access.ending.end(server.application_id, server.hadoop_user, by=by, facts=self.audit_facts)

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

    # -- What is kept

    def get_state(self) -> dict[str, Any]:
        """What JupyterHub keeps of this server for a restart; its secrets are sealed."""
        state: dict[str, Any] = super().get_state()
        if self._yarn_server is not None:
            state.update(self._yarn_server.to_dict(self._seal))
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what another run of the hub has kept."""
        # What is no mapping is refused below, but must not keep the whole hub from starting.
        super().load_state(state if isinstance(state, dict) else {})
        # A user has come, or was there when the hub ended: the first start should not wait for a driver's.
        self._access.warm()
        try:
            self._yarn_server = ServerState.from_dict(state, self._seal, hub_user=self.user.name)
        except StateError as error:
            self.log.warning("The stored state of %s cannot be used: %s", self._log_name, error)
            self._lost = True
            return
        if self._yarn_server is None:
            return
        self.take_up_choices(self._yarn_server.settings)
        if self._yarn_server.credentials is None:
            self.log.warning(
                "%s: the secrets in the stored state cannot be unsealed, so the server can be watched and ended, but"
                " not asked to end in order (was the hub's cookie secret replaced?)",
                self._log_name,
            )
        if not self.is_own(self._yarn_server):
            self._yarn_server = None
        elif self._yarn_server.application_id:
            self._applications.watch(self._yarn_server.application_id)

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
            self._applications.watch(server.application_id)
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    # -- Means

    @property
    def _applications(self) -> Applications:
        return self._access.applications

    def _welcome(self) -> Welcome:
        return Welcome(self.server.base_url, float(self.http_timeout), self.log, self.port_range, self.hub_certified())

    def _conversation(self, server: ServerState) -> Conversation:
        return Conversation(server.application_id, server.credentials, self._access, self.log)

    async def _find_application(self, server: ServerState) -> str:
        """The application of a start whose answer was lost; "" if there is none, or nobody can tell."""
        try:
            report = await self._applications.find(start_tag(server), server.hadoop_user)
        except ClusterError:
            return ""
        return report.id if report is not None else ""


# JupyterHub has no place for what is the hub's rather than a single server's.
attend(YarnSpawner)
