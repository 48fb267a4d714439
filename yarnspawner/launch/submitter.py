"""Submit an application, and find the application of a submission whose answer was lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import skein

from yarnspawner.diagnosis.explain import explain_outage
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.progress import Progress
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.tags import start_tag

# Seconds between two attempts while YARN does not answer.
PAUSE = 2.0

# Seconds after which the page says that YARN has not answered the submission.
_SUBMISSION_IS_SLOW = 10.0

# Words of YARN's schedulers, and seconds for YARN to list its queues.
_UNKNOWN_QUEUE = "unknown queue"
_PATIENCE = 10.0


async def find_application(server: ServerState, reflector: ApplicationReflector) -> str:
    """Return the application of a start whose answer was lost; "" if YARN says that there is none.

    Raises:
        ClusterUnavailable: YARN does not answer.
    """
    report = await reflector.find(start_tag(server.start_id), server.hadoop_user)
    return report.id if report is not None else ""


async def find_with_retries(server: ServerState, reflector: ApplicationReflector, log: logging.Logger) -> str:
    """Return the same, and retry until YARN answers."""
    while True:
        try:
            return await find_application(server, reflector)
        except ClusterUnavailable as error:
            log.debug("It is not known yet whether an application of %s was submitted: %s", server.hadoop_user, error)
            await asyncio.sleep(PAUSE)


class Submitter:
    """Submits the application of one start.

    - It retries while YARN is unavailable. The caller limits the time.
    - Before it submits again, it looks for an application of the attempt before, so that a start has one application.
    - If YARN does not accept a queue's path, it uses the queue's name.
    - It kills an application that YARN accepts after the start has failed or has another one.

    Args:
        context: what the spawner shares with its hub.
        progress: tells the user what is waited for.
        log: the hub's log.
    """

    def __init__(self, context: HubContext, progress: Progress, log: logging.Logger) -> None:
        self._context = context
        self._access = context.access
        self._progress = progress
        self._log = log

    async def submit(
        self, server: ServerState, specification: skein.ApplicationSpec, keep_account: Callable[[], None]
    ) -> str:
        """Submit until YARN answers, and return the application's id.

        Args:
            server: whose state is stored already.
            specification: of its application.
            keep_account: called when an attempt may have been accepted without an answer.

        Raises:
            StartFailed: the hub cannot submit, for a reason that does not pass by itself.
            ClusterRefused: YARN refuses the application.
        """
        answers = _Answers(lambda application_id: self._context.terminate(server.with_application_id(application_id)))
        try:
            return await self._submit_until_answered(server, specification, answers, keep_account)
        except BaseException:
            answers.give_up()
            raise

    async def _submit_until_answered(
        self,
        server: ServerState,
        specification: skein.ApplicationSpec,
        answers: _Answers,
        keep_account: Callable[[], None],
    ) -> str:
        def late(application_id: str) -> None:
            answers.take(application_id)

        told = None
        while True:
            slow = asyncio.get_running_loop().call_later(_SUBMISSION_IS_SLOW, self._tell_of_slow_submission)
            try:
                return answers.take(await self._access.cluster.submit(specification, on_late=late))
            except ClusterRefused as error:
                name = await self._short_name(server.queue, error)
                if not name or name == specification.queue:
                    raise
                specification.queue = name
                continue
            except ClusterUnavailable as error:
                outage, passes = explain_outage(error)
                if not passes:
                    raise StartFailed(outage) from error
                keep_account()  # whatever a later attempt says, this one may have been accepted
                if outage.cause != told:
                    self._log.warning("Cannot submit for %s yet: %s", self._context.server_name, error)
                    told = outage.cause
                self._progress.tell(5, f"{outage.cause} {outage.remedy}")
            finally:
                slow.cancel()
            # A submission without an answer may have been accepted. To submit again now would make two servers.
            await asyncio.wait([answers.first], timeout=PAUSE)
            if answers.first.done():
                return answers.first.result()
            if found := await find_with_retries(server, self._access.reflector, self._log):
                return answers.take(found)
            if answers.first.done():
                return answers.first.result()

    async def _short_name(self, queue: str, error: ClusterRefused) -> str:
        """Return the name of a queue that YARN does not accept by its path, as before Hadoop 3.4; "" for another refusal."""
        if "." in queue and _UNKNOWN_QUEUE in str(error):
            with contextlib.suppress(ResourceManagerUnavailable, asyncio.TimeoutError):
                found = await asyncio.wait_for(self._access.resource_manager.queue(queue), _PATIENCE)
                return found.name if found is not None and found.path == queue else ""
        return ""

    def _tell_of_slow_submission(self) -> None:
        what = "YARN has not answered yet" if self._access.cluster.connected else "The hub is still connecting to YARN"
        self._progress.tell(10, f"{what}. The start continues when it does.")


class _Answers:
    """The answers to the submissions of one start, late ones included.

    The start goes on with the first. Any other application is killed, and so is the first if the start has given up.
    """

    def __init__(self, kill: Callable[[str], object]) -> None:
        self._kill = kill
        self.first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(self, application_id: str) -> str:
        """Take an answer. Return the application that the start goes on with."""
        if not self.first.done():
            self.first.set_result(application_id)
        elif self.first.result() != application_id:
            self._kill(application_id)
        return self.first.result()

    def give_up(self) -> None:
        """Kill what was submitted, and whatever turns out later to have been submitted."""
        if not self.first.done():
            self.first.set_result("")
        elif self.first.result():
            self._kill(self.first.result())
