"""A kernel's start, from the submission to its connection, told on the way to whoever waits."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import sys
from typing import Any

import skein

from yarnspawner.common.private_files import private_files
from yarnspawner.common.protocol import KERNEL_KEY
from yarnspawner.diagnosis.explain import explain_queueing
from yarnspawner.hadoop.logs import LogsUnavailable, tail
from yarnspawner.kernels.connection_files import ConnectionFile
from yarnspawner.kernels.messages import failure_message, log_hint, submission_error_message
from yarnspawner.kernels.request import KernelError, KernelRequest, connection_information, specification
from yarnspawner.skein_driver import Cluster, ClusterError, ClusterRefused, ClusterUnavailable, Report, Store

# Seconds between two looks at what is starting.
_INTERVAL = 0.5
# Of a failed kernel's log.
_LOG_LINES = 15

_SILENCE = "YARN does not answer; waiting for it"


async def start_kernel(
    cluster: Cluster, request: KernelRequest, keys: dict[str, Any], *, principal: str, keytab: str
) -> ConnectionFile:
    """Submit, and wait until the kernel can be reached. However this ends early, no application stays behind.

    Args:
        cluster: an access that is closed at the end.
        request: what to start.
        keys: of the connection.
        principal, keytab: whose the log of a kernel that failed is; both may be "".

    Returns:
        how to connect to it, as a file that is written.

    Raises:
        KernelError: YARN refuses it, or it has ended, with the reason; or the file cannot be written.
        ClusterError: YARN cannot be asked.
    """
    security = skein.Security.new_credentials()
    with private_files({"keys.json": json.dumps(keys)}) as files:
        described = specification(request, files["keys.json"], security)
        say(f"Submitting to queue {request.queue}")
        # Its result is needed even after Ctrl-C.
        submission = asyncio.ensure_future(cluster.submit(described))
        try:
            application_id = await asyncio.shield(submission)
            say(f"Submitted as {application_id}")
            information = connection_information(await _published(cluster, application_id, security), keys)
            file = ConnectionFile(application_id)
            file.write(information)
            say(f"The connection is {'' if 'curve_publickey' in information else 'not '}encrypted.")
            return file
        except _Ended as error:
            raise KernelError(await _why(error.report, principal, keytab)) from None
        except ClusterRefused as error:
            await _end(cluster, submission)
            raise KernelError(submission_error_message(error, getpass.getuser(), request.queue)) from None
        except BaseException:
            await _end(cluster, submission)
            raise
        finally:
            await cluster.close()


async def _end(cluster: Cluster, submission: asyncio.Future[str]) -> None:
    """Kill what was submitted, if YARN accepted it, whatever the start failed for."""
    application_id = ""
    try:
        application_id = await submission
        await cluster.kill(application_id, "")
        say(f"Ended {application_id}")
    except ClusterError as error:
        if application_id:
            say(
                f"{application_id} may still run, since YARN did not end it: {error}\nTry: yarn application -kill {application_id}"
            )


class _Ended(Exception):
    def __init__(self, report: Report) -> None:
        super().__init__(report.id)
        self.report = report


async def _published(cluster: Cluster, application_id: str, security: skein.Security) -> bytes:
    """What the kernel says of how to connect to it, as soon as it does."""
    store: Store | None = None
    said = ""
    try:
        while True:
            try:
                report = await cluster.report(application_id)
                if report.ended:
                    raise _Ended(report)
                if (progress := _progress(report)) != said:
                    said = progress
                    say(said)
                if report.state == "RUNNING" and report.host:
                    store = store or cluster.store(
                        application_id, report.host, report.rpc_port, security.cert_bytes, security.key_bytes
                    )
                    # Until its server is up, and after its end, it does not answer.
                    with contextlib.suppress(ClusterUnavailable):
                        if (published := await store.get(KERNEL_KEY)) is not None:
                            return published
            except ClusterUnavailable:
                if said != _SILENCE:
                    said = _SILENCE
                    say(said)
            await asyncio.sleep(_INTERVAL)
    finally:
        if store:
            await store.close()


def _progress(report: Report) -> str:
    if report.state == "RUNNING":
        return "The application runs; the kernel's container starts when there is room for it"
    because = explain_queueing(report)
    return f"Waiting in queue {report.queue}{', ' + because if because else ''}"


async def _why(report: Report, principal: str, keytab: str) -> str:
    words = failure_message(report)
    if words is None:
        log = ""
        with contextlib.suppress(LogsUnavailable):
            log = await tail(report.id, "", principal=principal, keytab=keytab, lines=_LOG_LINES)
        words = failure_message(report, log) or "The kernel has failed."
    return f"{words}\n{log_hint(report.id)}"


def say(text: str) -> None:
    """Tell the person; what is printed for programs goes to stdout alone."""
    print(text, file=sys.stderr, flush=True)
