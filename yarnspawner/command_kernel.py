"""``yarnspawner kernel``: start a kernel on the cluster and connect to it; list, connect to, and stop what runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import skein

from yarnspawner.cluster import Cluster, ClusterError, ClusterUnavailable, Report, Store
from yarnspawner.diagnosis import explain, explain_waiting, plain
from yarnspawner.kernels import (
    TAG,
    KernelError,
    KernelRequest,
    connection_information,
    connection_keys,
    specification,
)
from yarnspawner.private_files import private_files
from yarnspawner.rendezvous import KERNEL_KEY

# Seconds between two looks at what is starting or stopping.
_INTERVAL = 0.5
# Seconds for a kernel that was asked to shut down, and for its application to end after that.
_SHUTDOWN_LIMIT = 15.0

_APPLICATION_ID = re.compile(r"application_\d+_\d+")


def start(options: argparse.Namespace) -> int:
    """Start a kernel, then connect a console to it or print its connection file's path."""
    encrypt = _can_encrypt() and not options.no_encryption
    if options.require_encryption and not encrypt:
        raise KernelError(
            "This environment cannot encrypt a connection: that takes jupyter_client 8.9 or later and a pyzmq with CurveZMQ."
        )
    environment = options.environment
    if environment and "://" not in environment:
        environment = str(Path(environment).absolute())
        if not Path(environment).exists():
            raise KernelError(f"There is no {environment}.")
    request = KernelRequest(
        name=options.name,
        queue=options.queue,
        memory=options.memory,
        vcores=options.vcores,
        gpus=options.gpus,
        environment=environment,
        public=options.public,
        port_range=options.port_range,
    )
    keys = connection_keys(encrypt=encrypt, require_encryption=options.require_encryption)
    application_id, information = _run(_start(_cluster(options), request, keys))
    file = _connection_file(application_id)
    _write_private(file, json.dumps(information, indent=2))
    _say("The connection is encrypted." if "curve_publickey" in information else "The connection is not encrypted.")
    if options.no_console:
        print(file)
        return 0
    return _console(application_id, file)


def connect(options: argparse.Namespace) -> int:
    """Connect a console to a kernel that was started from this account."""
    return _console(options.id, _known_file(options.id))


def list_kernels(options: argparse.Namespace) -> int:
    """Print the kernels that run or are starting."""
    reports = _run(_with(_cluster(options), lambda cluster: cluster.active()))
    rows = [("APPLICATION", "NAME", "USER", "QUEUE", "STATE", "CONNECTION FILE")]
    for report in sorted(reports, key=lambda report: report.id):
        if TAG in report.tags:
            file = _connection_file(report.id)
            known = str(file) if file.exists() else ""
            rows.append((report.id, plain(report.name, 40), report.user, report.queue, report.state, known))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def logs(options: argparse.Namespace) -> int:
    """Print what the containers of a kernel's application wrote, through Hadoop's own command."""
    return subprocess.run(["yarn", "logs", "-applicationId", options.id], check=False).returncode


def stop(options: argparse.Namespace) -> int:
    """Shut a kernel down in order, or end its application."""
    report = _run(_stop(_cluster(options), options.id))
    _forget(options.id)
    _say(f"{options.id} has ended: {report.state} / {report.final_status}.")
    return 0


async def _start(cluster: Cluster, request: KernelRequest, keys: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Submit, and wait until the kernel can be reached. However this ends early, no application stays behind."""
    security = skein.Security.new_credentials()
    _say(f"Submitting to queue {request.queue}")
    with private_files({"keys.json": json.dumps(keys)}) as files:
        # Its result is needed even after Ctrl-C.
        submission = asyncio.ensure_future(cluster.submit(specification(request, files["keys.json"], security)))
        application_id = ""
        try:
            application_id = await asyncio.shield(submission)
            _say(f"Submitted as {application_id}")
            return application_id, connection_information(await _published(cluster, application_id, security), keys)
        except BaseException:
            with contextlib.suppress(ClusterError):
                application_id = application_id or await submission
                await cluster.kill(application_id, "")
                _say(f"Ended {application_id}")
            raise
        finally:
            await cluster.close()


async def _published(cluster: Cluster, application_id: str, security: skein.Security) -> bytes:
    """What the kernel says of how to connect to it, as soon as it does."""
    store: Store | None = None
    said = ""
    try:
        while True:
            with contextlib.suppress(ClusterUnavailable):
                report = await cluster.report(application_id)
                if report.ended:
                    raise KernelError(_why(report))
                if (progress := _progress(report)) != said:
                    said = progress
                    _say(said)
                if report.state == "RUNNING" and report.host:
                    store = store or cluster.store(
                        application_id, report.host, report.rpc_port, security.cert_bytes, security.key_bytes
                    )
                    if (published := await store.get(KERNEL_KEY)) is not None:
                        return published
            await asyncio.sleep(_INTERVAL)
    finally:
        if store:
            await store.close()


async def _stop(cluster: Cluster, application_id: str) -> Report:
    try:
        report = await cluster.report(application_id)
        if TAG not in report.tags:
            raise KernelError(f"{application_id} is not a kernel that `yarnspawner kernel` started.")
        if not report.ended and report.state == "RUNNING" and _connection_file(application_id).exists():
            _say("Asking the kernel to shut down")
            await asyncio.to_thread(_shut_down, _connection_file(application_id))
            report = await _ended(cluster, application_id)
        if not report.ended:
            await cluster.kill(application_id, report.user)
            report = await _ended(cluster, application_id)
        return report
    finally:
        await cluster.close()


async def _ended(cluster: Cluster, application_id: str) -> Report:
    """Its report, once it has ended or that has taken too long."""
    until = asyncio.get_running_loop().time() + _SHUTDOWN_LIMIT
    while True:
        report = await cluster.report(application_id)
        if report.ended or asyncio.get_running_loop().time() > until:
            return report
        await asyncio.sleep(_INTERVAL)


async def _with(cluster: Cluster, question: Any) -> Any:
    try:
        return await question(cluster)
    finally:
        await cluster.close()


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def _cluster(options: argparse.Namespace) -> Cluster:
    return Cluster(principal=options.principal, keytab=options.keytab)


def _progress(report: Report) -> str:
    if report.state == "RUNNING":
        return "The container is starting"
    because = explain_waiting(report)
    return f"Waiting in queue {report.queue}{', ' + because if because else ''}"


def _why(report: Report) -> str:
    diagnosis = explain(report)
    lines = [diagnosis.cause, diagnosis.remedy, diagnosis.detail, f"Its log: yarnspawner kernel logs {report.id}"]
    return "\n".join(filter(None, lines))


def _can_encrypt() -> bool:
    try:
        import zmq
        from jupyter_client.connect import ConnectionFileMixin
    except ImportError:
        return False
    return hasattr(ConnectionFileMixin, "curve_publickey") and bool(zmq.has("curve"))


def _console(application_id: str, file: Path) -> int:
    if importlib.util.find_spec("jupyter_console") is None:
        raise KernelError(f"There is no jupyter_console in {sys.prefix}. The kernel's connection file is {file}")
    status = subprocess.run(
        [sys.executable, "-m", "yarnspawner.console", "--existing", str(file)], check=False
    ).returncode
    if status:
        _say(
            f"The console ended with exit status {status}. The kernel may run on: yarnspawner kernel stop {application_id}"
        )
    return status


def _shut_down(file: Path) -> None:
    from jupyter_client.blocking.client import BlockingKernelClient

    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels(stdin=False, hb=False, iopub=False)
    with contextlib.suppress(Exception):
        client.shutdown(reply=True, timeout=5)
    client.stop_channels()


def _connection_file(application_id: str) -> Path:
    from jupyter_core.paths import jupyter_runtime_dir

    if not _APPLICATION_ID.fullmatch(application_id):
        raise KernelError(f"{application_id!r} is not an application's id, such as application_1763890000000_0001.")
    return Path(jupyter_runtime_dir()) / f"kernel-{application_id}.json"


def _known_file(application_id: str) -> Path:
    file = _connection_file(application_id)
    if not file.exists():
        raise KernelError(f"There is no {file}: the kernel was started by another account or on another machine.")
    return file


def _write_private(file: Path, content: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(content)


def _forget(application_id: str) -> None:
    _connection_file(application_id).unlink(missing_ok=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
