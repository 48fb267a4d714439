"""A server's application on its way to YARN: what is asked for, and asking until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import skein

from yarnspawner.common.private_files import private_files
from yarnspawner.common.string_templates import template_fields
from yarnspawner.diagnosis.explain import explain_outage, explain_submission_error
from yarnspawner.launch.admin_code import call_setting, expand_setting
from yarnspawner.launch.adopting import AdoptingSpawner
from yarnspawner.launch.certificates import CertifiedSpawner
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.features import modified, set_lifetime
from yarnspawner.launch.localize import upload_shared_files
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.recovery import PAUSE
from yarnspawner.launch.request import (
    build_request,
    container_environment,
    hadoop_user,
    localized_files,
)
from yarnspawner.launch.specification import ENVIRONMENT_FILE, application_specification, environment_file
from yarnspawner.skein_driver import SKEIN_JAR, ClusterRefused, ClusterUnavailable
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.audit import audit

# Seconds of a submission after which the user is told that it is still waited for.
_SUBMISSION_IS_SLOW = 10.0


class SubmittingSpawner(AdoptingSpawner, CertifiedSpawner):
    """The part of a spawner that submits.

    - what is needed to find an application again is saved before it is submitted
    - what YARN does not answer is asked again; what comes late, and that nobody waits for, is ended
    """

    def __init__(self, **kwargs: Any) -> None:
        self._progress = Progress()
        super().__init__(**kwargs)

    async def _submit(self) -> ServerState:
        _ = self.resource_manager  # where there is no cluster, nothing is submitted
        user = await hadoop_user(self, hub_user=self.access.hub_user)
        with self.claimed(user) as keep_claim:
            server = await self._submit_as(user, keep_claim)
        limited = await set_lifetime(self, server)
        if limited != server:
            server = limited
            self._keep(server)
        if self.time_left:
            self._progress.tell(15, f"The server stops automatically: {self.time_left}.")
        if hook := self.after_submit_hook:
            await call_setting("after_submit_hook", hook, self, server.application_id, log=self.log)
        return server

    async def _submit_as(self, user: str, keep_claim: Callable[[], None]) -> ServerState:
        credentials = Credentials.new()
        server = ServerState.new(
            user,
            expand_setting("queue", self.queue, template_fields(self.user, self.name)),
            credentials,
            container=self.server_container,
            hub=self.hub_identity.id,
            settings=self.chosen_settings,
        )
        files: dict[str, str | bytes] = {
            # JupyterHub lets its values be callables.
            ENVIRONMENT_FILE: environment_file(
                await call_setting("environment", container_environment, self, log=self.log)
            ),
            **self._certificates,
        }
        with private_files(files) as paths:
            for again in (True, False):
                specification = await self._specification(server, credentials, paths)
                # From here on a hub that dies can find the application again.
                self._keep(server)
                self._progress.tell(10, f"Submitting an application to queue {server.queue} as {user}.")
                try:
                    application_id = await self._submit_patiently(server, specification, keep_claim)
                    break
                except ClusterRefused as error:
                    if again and self.access.uploads.invalidate(str(error)):
                        continue  # somebody has removed what was in HDFS
                    refusal = explain_submission_error(error, hub=self.access.hub_user, user=user, queue=server.queue)
                    audit("refused", reason=refusal.cause, hadoop_user=user, queue=server.queue, **self.audit_facts)
                    raise StartFailed(refusal, reason="refused") from error
                except StartFailed:
                    raise  # of the hub's own means: this attempt has submitted nothing
                except BaseException:
                    keep_claim()  # nobody knows whether it was submitted
                    raise
        keep_claim()
        self.log.info("Submitted %s for %s as %s to queue %s", application_id, self._log_name, user, server.queue)
        server = server.with_application_id(application_id)
        self._keep(server)
        audit("submitted", application=application_id, hadoop_user=user, queue=server.queue, **self.audit_facts)
        return server

    async def _specification(
        self, server: ServerState, credentials: Credentials, paths: dict[str, str]
    ) -> skein.ApplicationSpec:
        access = self.access

        def tell(words: str) -> None:
            self._progress.tell(5, words)

        request = build_request(
            self,
            server,
            credentials,
            paths,
            files=await upload_shared_files(localized_files(self), access.uploads, server.hadoop_user, self.log, tell),
            skein_jar=access.uploads.url_if_ready(SKEIN_JAR),
            hub_id=self.hub_identity.id,
            hub_user=access.hub_user,
        )
        return await modified(self, application_specification(request))

    async def _submit_patiently(
        self, server: ServerState, specification: skein.ApplicationSpec, keep_claim: Callable[[], None]
    ) -> str:
        """Submit until YARN answers; ``start_timeout`` limits it."""
        answers = _Answers(lambda application_id: self._kill(server.with_application_id(application_id)))
        try:
            return await self._submit_until_answered(server, specification, answers, keep_claim)
        except BaseException:
            answers.give_up()
            raise

    async def _submit_until_answered(
        self,
        server: ServerState,
        specification: skein.ApplicationSpec,
        answers: _Answers,
        keep_claim: Callable[[], None],
    ) -> str:
        def late(application_id: str) -> None:
            answers.take(application_id)

        told = None
        while True:
            slow = asyncio.get_running_loop().call_later(_SUBMISSION_IS_SLOW, self._say_what_is_slow)
            try:
                return answers.take(await self.access.cluster.submit(specification, on_late=late))
            except ClusterUnavailable as error:
                outage, passes = explain_outage(error)
                if not passes:
                    raise StartFailed(outage, reason="unavailable") from error
                keep_claim()  # whatever a later attempt says, this one may have been accepted
                if outage.cause != told:
                    self.log.warning("Cannot submit for %s yet: %s", self._log_name, error)
                    told = outage.cause
                self._progress.tell(5, f"{outage.cause} {outage.remedy}")
            finally:
                slow.cancel()
            # What was not answered may have been done: to submit again while nobody can tell would make two servers.
            await asyncio.wait([answers.first], timeout=PAUSE)
            if answers.first.done():
                return answers.first.result()
            if found := await self._find_with_retries(server):
                return answers.take(found)
            if answers.first.done():
                return answers.first.result()

    def _say_what_is_slow(self) -> None:
        what = "YARN has not answered yet" if self.access.cluster.connected else "The hub is still connecting to YARN"
        self._progress.tell(10, f"{what}. The start continues when it does.")

    def _kill(self, server: ServerState, *, by: str = "hub") -> asyncio.Future[None]:
        return self.access.ending.end(server.application_id, server.hadoop_user, by=by, facts=self.audit_facts)


class _Answers:
    """The answers to the submissions of one start, late ones included.

    The start goes on with the first. Any other application is ended, and so is the first when the start has given up.
    """

    def __init__(self, end: Callable[[str], object]) -> None:
        self._end = end
        self.first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(self, application_id: str) -> str:
        """Take an answer. Returns the application that the start goes on with."""
        if not self.first.done():
            self.first.set_result(application_id)
        elif self.first.result() != application_id:
            self._end(application_id)
        return self.first.result()

    def give_up(self) -> None:
        """End what has been submitted, and what will turn out to have been."""
        if not self.first.done():
            self.first.set_result("")
        elif self.first.result():
            self._end(self.first.result())
