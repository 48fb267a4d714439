"""The actions of ``yarnspawner kernel``: start, connect, list, logs and stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

from yarnspawner.common.text import one_line, sanitize
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache
from yarnspawner.kernels import EXIT_KERNEL_KEPT
from yarnspawner.kernels.connection_files import ConnectionFile, make_folder
from yarnspawner.kernels.environment import find_environment
from yarnspawner.kernels.messages import end_message, outage_message, status_message
from yarnspawner.kernels.request import (
    TAG,
    KernelError,
    KernelRequest,
    connection_keys,
)
from yarnspawner.kernels.start import say, start_kernel
from yarnspawner.skein_driver import (
    ApplicationUnknown,
    Cluster,
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
    Report,
)

# Seconds between two requests for a report.
_INTERVAL = 0.5
# Timeout in seconds for a kernel to shut down, and again for its application to end after a kill.
_SHUTDOWN_LIMIT = 15.0

# Characters of YARN's message.
_REASON = 400


def start(options: argparse.Namespace) -> int:
    """Start a kernel, then connect a console to it or print its connection file's path."""
    encrypt = _can_encrypt() and not options.no_encryption
    if options.require_encryption and not encrypt:
        raise KernelError(
            "This environment cannot encrypt connections. Install jupyter_client 8.9 or later and a pyzmq with CurveZMQ."
        )
    if not options.no_console:
        _check_console()
    request = KernelRequest(
        name=options.name,
        queue=options.queue,
        memory=options.memory,
        vcores=options.vcores,
        gpus=options.gpus,
        environment=find_environment(options.environment),
        public=options.public,
        port_range=options.port_range,
    )
    keys = connection_keys(encrypt=encrypt, require_encryption=options.require_encryption)
    make_folder()
    file = _run(start_kernel(_cluster(options), request, keys, principal=options.principal, keytab=options.keytab))
    if options.no_console:
        print(file.path)
        return 0
    return _console(file)


def connect(options: argparse.Namespace) -> int:
    """Connect a console to a kernel that this account has started."""
    _check_console()
    file = ConnectionFile(options.id)
    if not (file.exists() and file.answers()):
        raise KernelError(_run(_with_cluster(_cluster(options), lambda cluster: _unreachable_reason(cluster, file))))
    return _console(file)


def list_kernels(options: argparse.Namespace) -> int:
    """Print the running and starting kernels."""
    reports = _run(_with_cluster(_cluster(options), lambda cluster: cluster.active()))
    rows = [("APPLICATION", "NAME", "USER", "QUEUE", "STATE", "CONNECTION FILE")]
    for report in sorted(reports, key=lambda report: report.id):
        if TAG in report.tags:
            file = ConnectionFile(report.id)
            known = str(file.path) if file.exists() else ""
            rows.append(
                (
                    report.id,
                    *(one_line(text, 40) for text in (report.name, report.user, report.queue)),
                    report.state,
                    known,
                )
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def logs(options: argparse.Namespace) -> int:
    """Print the logs of a kernel's containers with ``yarn logs``; the kernel may be running."""
    checked = ConnectionFile(options.id).application_id
    # If YARN does not answer or rejects the user, `yarn logs` would retry for minutes.
    with contextlib.suppress(ApplicationUnknown):  # logs are kept longer than reports
        _run(_with_cluster(_cluster(options), lambda cluster: cluster.report(checked)))
    environment = os.environ | _run(_ticket(options))
    command = ["yarn", "logs", "-applicationId", checked]
    try:
        ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise KernelError(f"Hadoop's command `yarn` cannot be executed: {error.strerror}.") from None
    if ended.returncode:
        reason = (sanitize(ended.stderr, _REASON).splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise KernelError(f"YARN has no logs of {checked}: {reason}")
    return 0


def stop(options: argparse.Namespace) -> int:
    """Shut down a kernel, or kill its application if it does not answer."""
    file = ConnectionFile(options.id)
    report = _run(_stop(_cluster(options), file))
    if not report.ended:
        raise KernelError(f"{report.id} has not ended yet: its state is {report.state}. Try again.")
    file.remove()
    say(end_message(report) if report.final_status == "FAILED" else status_message(report))
    return 0


async def _unreachable_reason(cluster: Cluster, file: ConnectionFile) -> str:
    """Return why the kernel does not accept connections."""
    try:
        report = await cluster.report(file.application_id)
    except ApplicationUnknown:
        file.remove()
        return f"YARN knows no application {file.application_id}."
    if report.ended:
        file.remove()
        return end_message(report)
    if not file.exists():
        return f"{file.path} does not exist: the kernel was started by another account or on another host."
    return f"The kernel of {report.id} runs but does not answer: a firewall may block it, or its node may be lost."


async def _stop(cluster: Cluster, file: ConnectionFile) -> Report:
    application_id = file.application_id
    try:
        report = await cluster.report(application_id)
        if TAG not in report.tags:
            raise KernelError(f"{application_id} is not a kernel that `yarnspawner kernel` started.")
        if not report.ended and report.state == "RUNNING" and file.exists():
            say("Requesting the kernel's shutdown")
            await asyncio.to_thread(file.shut_down)
            report = await _wait_ended(cluster, application_id)
        if not report.ended:
            # As the user itself, even for another user's kernel: YARN checks the permission.
            await cluster.kill(application_id, "")
            report = await _wait_ended(cluster, application_id)
        return report
    except ApplicationUnknown:
        raise KernelError(f"YARN knows no application {application_id}.") from None
    except ClusterRefused as error:
        raise KernelError(f"You have no permission to stop {application_id}: {one_line(str(error), _REASON)}") from None
    finally:
        await cluster.close()


async def _wait_ended(cluster: Cluster, application_id: str) -> Report:
    """Return the report when the application has ended or the timeout is over."""
    until = asyncio.get_running_loop().time() + _SHUTDOWN_LIMIT
    while True:
        report = await cluster.report(application_id)
        if report.ended or asyncio.get_running_loop().time() > until:
            return report
        await asyncio.sleep(_INTERVAL)


async def _with_cluster(cluster: Cluster, question: Any) -> Any:
    try:
        return await question(cluster)
    finally:
        await cluster.close()


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except ApplicationUnknown:
        raise
    except ClusterUnavailable as error:
        raise KernelError(outage_message(error)) from None
    except (ClusterError, KerberosError) as error:
        raise KernelError(str(error)) from None


async def _ticket(options: argparse.Namespace) -> dict[str, str]:
    """Return the variables with which Hadoop's commands find the keytab's ticket; empty without a keytab."""
    tickets = TicketCache.shared(options.principal, options.keytab)
    return dict(await tickets.environment()) if tickets else {}


def _cluster(options: argparse.Namespace) -> Cluster:
    return Cluster(principal=options.principal, keytab=options.keytab)


def _can_encrypt() -> bool:
    try:
        import zmq
        from jupyter_client.connect import ConnectionFileMixin
    except ImportError:
        return False
    return hasattr(ConnectionFileMixin, "curve_publickey") and bool(zmq.has("curve"))


def _check_console() -> None:
    if importlib.util.find_spec("jupyter_console") is None:
        raise KernelError(
            f"jupyter_console is not installed in {sys.prefix}. Run `pip install jupyter_console`, or use --no-console."
        )


def _console(file: ConnectionFile) -> int:
    # The console handles Ctrl-C: it interrupts the kernel.
    with _ignore_sigint():
        status = subprocess.run(
            [sys.executable, "-m", "yarnspawner.kernels.console", "--existing", str(file.path)], check=False
        ).returncode
    if status == EXIT_KERNEL_KEPT:
        if not file.remove_if_gone(within=0):
            say(f"The kernel keeps running. To reconnect: yarnspawner kernel connect {file.application_id}")
            say(f"To stop it: yarnspawner kernel stop {file.application_id}")
        return 0
    file.remove_if_gone()
    if status:
        say(
            f"The console ended with exit status {status}. The kernel may still run. To stop it: yarnspawner kernel stop"
            f" {file.application_id}"
        )
    return status


@contextlib.contextmanager
def _ignore_sigint() -> Iterator[None]:
    # A handler, since a child would inherit SIG_IGN.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
