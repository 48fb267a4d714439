"""Start a kernel: submit it, print the progress, and wait for its connection."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import math
import sys
import time
from typing import Any

import skein

from yarnspawner.common.private_files import private_files
from yarnspawner.common.protocol import KERNEL_KEY
from yarnspawner.hadoop.logs import LogsUnavailable, tail
from yarnspawner.hadoop.resourcemanager import ResourceManager
from yarnspawner.kernels.application_waits import ApplicationWaits
from yarnspawner.kernels.connection_files import ConnectionFile
from yarnspawner.kernels.messages import (
    failure_message,
    log_hint,
    progress_message,
    submission_error_message,
)
from yarnspawner.kernels.request import KernelError, KernelRequest, connection_information, specification
from yarnspawner.kernels.wait_reasons import WaitReasons
from yarnspawner.skein_driver import Cluster, ClusterError, ClusterRefused, ClusterUnavailable, Report, Store
from yarnspawner.yarn.container_waits import ContainerWaits

# Seconds between two requests for a report.
_INTERVAL = 0.5
# Lines of a failed kernel's log.
_LOG_LINES = 15

_NO_ANSWER = "YARN does not answer; retrying"


async def start_kernel(
    cluster: Cluster, request: KernelRequest, keys: dict[str, Any], *, principal: str, keytab: str
) -> ConnectionFile:
    """Submit a kernel and wait until it accepts connections. If this fails, the application is killed.

    Args:
        cluster: closed at the end.
        request: what to start.
        keys: keys of the connection.
        principal, keytab: login for reading a failed kernel's log; both may be "".

    Returns:
        the kernel's connection file.

    Raises:
        KernelError: YARN rejected the kernel, it ended, or the connection file cannot be written.
        ClusterError: YARN is not available.
    """
    security = skein.Security.new_credentials()
    with private_files({"keys.json": json.dumps(keys)}) as files:
        described = specification(request, files["keys.json"], security)
        say(f"Submitting to queue {request.queue}")
        # Shielded: the id is needed to kill the application after Ctrl-C.
        submission = asyncio.ensure_future(cluster.submit(described))
        try:
            application_id = await asyncio.shield(submission)
            say(f"Submitted as {application_id}")
            waits = ApplicationWaits(request, ContainerWaits(ResourceManager.from_configuration))
            published = await _wait_published(cluster, application_id, security, waits)
            information = connection_information(published, keys)
            file = ConnectionFile(application_id)
            file.write(information)
            say(f"The connection is {'' if 'curve_publickey' in information else 'not '}encrypted.")
            return file
        except _ApplicationEnded as error:
            raise KernelError(await _failure_reason(error.report, principal, keytab)) from None
        except ClusterRefused as error:
            await _kill(cluster, submission)
            raise KernelError(submission_error_message(error, getpass.getuser(), request.queue)) from None
        except BaseException:
            await _kill(cluster, submission)
            raise
        finally:
            await cluster.close()


async def _kill(cluster: Cluster, submission: asyncio.Future[str]) -> None:
    """Kill the application if YARN accepted it."""
    application_id = ""
    try:
        application_id = await submission
        await cluster.kill(application_id, "")
        say(f"Stopped {application_id}")
    except ClusterError as error:
        if application_id:
            say(
                f"{application_id} may still run, because it could not be killed: {error}\nTry: yarn application -kill {application_id}"
            )


class _ApplicationEnded(Exception):
    def __init__(self, report: Report) -> None:
        super().__init__(report.id)
        self.report = report


async def _wait_published(
    cluster: Cluster, application_id: str, security: skein.Security, waits: ApplicationWaits
) -> bytes:
    """Wait until the kernel publishes its connection, and return the raw document."""
    store: Store | None = None
    shown = ""
    last: Report | None = None
    reasons = WaitReasons(lambda _: waits.reason(last))
    running_since = math.inf
    try:
        while True:
            try:
                report = await cluster.report(application_id)
                if report.ended:
                    raise _ApplicationEnded(report)
                last = report
                if report.state == "RUNNING":
                    running_since = min(running_since, time.monotonic())
                progress = f"{progress_message(report)}{reasons.clause('', time.monotonic() - running_since)}"
                if progress != shown:
                    shown = progress
                    say(shown)
                if report.state == "RUNNING" and report.host:
                    store = store or cluster.store(
                        application_id, report.host, report.rpc_port, security.cert_bytes, security.key_bytes
                    )
                    # The store does not answer before its server listens and after its end.
                    with contextlib.suppress(ClusterUnavailable):
                        if (published := await store.get(KERNEL_KEY)) is not None:
                            return published
            except ClusterUnavailable:
                if shown != _NO_ANSWER:
                    shown = _NO_ANSWER
                    say(shown)
            await asyncio.sleep(_INTERVAL)
    finally:
        if store:
            await store.close()


async def _failure_reason(report: Report, principal: str, keytab: str) -> str:
    words = failure_message(report)
    if words is None:
        log = ""
        with contextlib.suppress(LogsUnavailable):
            log = await tail(report.id, "", principal=principal, keytab=keytab, lines=_LOG_LINES)
        words = failure_message(report, log) or "The kernel has failed."
    return f"{words}\n{log_hint(report.id)}"


def say(text: str) -> None:
    """Print a message to standard error; standard output is for programs."""
    print(text, file=sys.stderr, flush=True)
