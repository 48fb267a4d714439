"""``yarnspawner check``: check the hub's machine and its cluster, step by step."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from yarnspawner.check import (
    cleanup,
    hdfs,
    impersonation,
    kerberos,
    machine,
    nodes,
    probe,
    probe_findings,
    queues,
    resourcemanager,
    server,
    services,
)
from yarnspawner.check.bundle import write_bundle
from yarnspawner.check.context import CheckContext
from yarnspawner.check.report import TextReport, as_document
from yarnspawner.check.result import Finished, Mark, Step
from yarnspawner.check.runner import run_steps
from yarnspawner.cli.hub import HubConfigError, load_configuration, spawner_settings
from yarnspawner.common.text import one_line
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.yarn.audit import LOGGER as AUDIT


def check(options: argparse.Namespace) -> int:
    """Run all steps and print what they find. Return 1 if something is wrong."""
    try:
        # Without the database: the hub may never have run.
        hub = load_configuration(options.config, log_level=logging.CRITICAL)
        hub.log_level = logging.CRITICAL  # the file may have set another one
        settings = spawner_settings(hub, options)
    except HubConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - the file is Python, so it can raise anything
        text = one_line(f"{type(error).__name__}: {error}", 500)
        raise HubConfigError(f"{options.config} cannot be used: {text}") from None
    return asyncio.run(_run(hub, settings, options))


async def _run(hub: Any, settings: SpawnerSettings, options: argparse.Namespace) -> int:
    # What the audit would record here is no event of a hub.
    AUDIT.setLevel(logging.CRITICAL)
    context = CheckContext(hub, settings, user=options.user, nodes=options.nodes)
    report = TextReport(sys.stderr if options.json else sys.stdout)
    await context.resolve_user()
    steps = _chosen(_steps(context), options.only)
    running = asyncio.ensure_future(run_steps(steps, context, _silent if options.json else report.step))
    _cancel_on_signal(running)
    try:
        finished = await running
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for left in await cleanup.clean_up(context):
            print(f"yarnspawner: left behind: {left}", file=sys.stderr)
        await context.close()
    if options.json:
        print(json.dumps(as_document(finished, user=options.user, hub=context.hub_user), indent=1))
    else:
        report.end(finished)
    if options.support_bundle:
        _write_bundle(Path(options.support_bundle), context, finished)
    return int(any(step.result.mark is Mark.WRONG for step in finished))


def _write_bundle(file: Path, context: CheckContext, finished: list[Finished]) -> None:
    try:
        write_bundle(file, context, finished)
    except OSError as error:
        raise HubConfigError(f"{file} cannot be written: {error.strerror}") from None
    print(f"yarnspawner: wrote {file}. Look through it before you send it.", file=sys.stderr)


def _steps(context: CheckContext) -> list[Step]:
    groups = [machine, kerberos, resourcemanager, nodes, hdfs, impersonation, queues, services]
    if context.user:
        groups += [server, probe, probe_findings, cleanup]
    return [step for group in groups for step in group.STEPS]


def _chosen(steps: list[Step], only: list[str]) -> list[Step]:
    """Return the steps with these names or in these groups, or all."""
    names = {name.lower() for name in only}
    if unknown := names - {word.lower() for step in steps for word in (step.name, step.group)}:
        known = ", ".join(dict.fromkeys(f"{step.group!r}" for step in steps))
        raise HubConfigError(f"There is no step or group {min(unknown)!r} (some need --user). The groups are {known}.")
    return [step for step in steps if not names or {step.name.lower(), step.group.lower()} & names]


def _silent(finished: Finished) -> None:
    """Print nothing while the steps run, for ``--json``."""


def _cancel_on_signal(running: asyncio.Future[Any]) -> None:
    """Let Ctrl-C end the step in progress in order, so that it leaves nothing behind."""

    def cancel() -> None:
        print("yarnspawner: stopping; what this command started is removed first", file=sys.stderr)
        running.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, cancel)
