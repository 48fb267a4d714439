"""``yarnspawner applications`` and ``yarnspawner sweep``: a hub's applications on the cluster, and its orphans."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from yarnspawner.common.text import one_line
from yarnspawner.hub.identity import HubIdentity, cookie_secret_file, load_or_create
from yarnspawner.hub.startup import reaper_of, settings_of
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.skein_driver import ClusterError, ClusterUnavailable, Report
from yarnspawner.spawner import YarnSpawner
from yarnspawner.yarn.audit import LOGGER, own_handlers
from yarnspawner.yarn.orphan_reaper import MOST, Found, OrphanReaper, Swept

_CONFIRM = "Check that this is the hub's database. If these applications are orphans, stop them with --yes."


class HubConfigError(ClusterError):
    """The hub's configuration cannot be used; the message says what to do."""


def applications(options: argparse.Namespace) -> int:
    """Print this hub's unfinished applications."""
    found = _with_reaper(options, lambda sweep: sweep.find())
    rows: list[tuple[str, ...]] = [
        ("APPLICATION", "USER", "SERVER", "HADOOP USER", "QUEUE", "STATE", "STARTED", "OWNER")
    ]
    rows += [_row(report, found) for report in found.ours]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def sweep(options: argparse.Namespace) -> int:
    """Stop this hub's orphans and remove files of finished applications in HDFS, or print them with ``--dry-run``."""
    if options.dry_run:
        return int(_with_reaper(options, _dry_run))
    swept: Swept = _with_reaper(options, lambda sweep: sweep.run(confirmed=options.yes))
    print(f"Stopped {_count(swept.killed, 'application')} and removed {_count(swept.removed, 'folder')} in HDFS.")
    if swept.held:
        print(f"yarnspawner: No application was stopped: {swept.held}. {_CONFIRM}", file=sys.stderr)
    return 1 if swept.held else 0


async def _dry_run(sweep: OrphanReaper) -> int:
    found = await sweep.find()
    if held := sweep.held(found):
        print(f"{held}. {_CONFIRM}")
    turn, left = sweep.turn(found.orphans), await sweep.left_behind()
    for orphan in turn:
        whose = cell(str(found.owned.name(orphan) or orphan.user))
        print(f"would stop {orphan.id} of {whose}, {orphan.state} in {cell(orphan.queue)}")
    for report in left[:MOST]:
        print(f"would remove the files of {report.id} from the home of {cell(report.user)}")
    to_end, to_remove = _count(len(turn), "application"), _count(len(left[:MOST]), "folder")
    print(f"Nothing was done: {to_end} to stop and {to_remove} to remove.")
    if later := len(found.orphans) - len(turn) + max(0, len(left) - MOST):
        print(f"One sweep handles at most {MOST} of each; later sweeps handle the other {later}.")
    return 0


def _row(report: Report, found: Found) -> tuple[str, ...]:
    name = found.owned.name(report)
    if found.owned.owner(report) is not None:
        owner = "known"
    else:
        owner = "orphan" if report in found.orphans else "too new to tell"
    server = "" if name is None else name.server or "(default)"
    started = "" if report.started is None else f"{report.started.astimezone():%Y-%m-%d %H:%M:%S}"
    cells = (report.id, name.user if name else "?", server, report.user, report.queue, report.state, started, owner)
    return tuple(map(cell, cells))


def cell(text: str) -> str:
    """Return the text as one line without control characters."""
    return one_line(text, 200)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _with_reaper(options: argparse.Namespace, work: Callable[[OrphanReaper], Awaitable[Any]]) -> Any:
    hub = load_hub(options.config)
    settings = spawner_settings(hub, options)
    if options.grace is not None:
        settings.sweep_grace = options.grace
    identity = _identity(settings, hub.db)
    if not identity.certain:
        raise HubConfigError(
            "This hub has no id: it was never started with this version, or its cookie secret is not in a file."
            " Start the hub once, or set c.YarnSpawner.hub_id."
        )
    settings.hub_context.identity = identity
    _check_claim(identity, moved=getattr(options, "moved", False) and not options.dry_run)
    if not own_handlers():
        LOGGER.addHandler(logging.StreamHandler())
        LOGGER.propagate = False

    async def run() -> Any:
        access = settings.hub_context.access
        try:
            return await work(reaper_of(settings, hub.db))
        finally:
            await access.reflector.close()
            await access.cluster.close()

    try:
        return asyncio.run(run())
    except ClusterUnavailable as error:
        raise HubConfigError(f"YARN does not answer: {error}") from None


def load_configuration(file: str, *, log_level: int) -> Any:
    """Return JupyterHub's application with its configuration, without its secret and database."""
    from jupyterhub.app import JupyterHub

    path = Path(file).absolute()
    if not path.is_file():
        raise HubConfigError(f"{path} does not exist: name the hub's configuration file with -f.")
    hub = JupyterHub(config_file=str(path), log_level=log_level)
    hub.load_config_file(str(path))
    return hub


def load_hub(file: str) -> Any:
    """Return JupyterHub's application with its configuration, secret and database, as ``jupyterhub token`` does."""
    hub = load_configuration(file, log_level=logging.WARNING)
    secret_file = cookie_secret_file(hub.config.JupyterHub)
    if secret_file is not None and not os.access(secret_file, os.R_OK):
        reason = "cannot be read" if secret_file.exists() else "does not exist"
        raise HubConfigError(f"The cookie secret {secret_file} {reason}: run this in the hub's folder, as its account.")
    database = hub.db_url.partition("sqlite:///")[2]
    if database not in ("", ":memory:") and not Path(database).is_file():
        raise HubConfigError(f"The database {Path(database).absolute()} does not exist: run this in the hub's folder.")
    hub.init_secrets()
    hub.init_db()
    return hub


def spawner_settings(hub: Any, options: argparse.Namespace) -> SpawnerSettings:
    """Return a spawner without a user, which has the hub's settings and those of the command line."""
    if not issubclass(hub.spawner_class, YarnSpawner):
        raise HubConfigError(f"This hub's spawner is {hub.spawner_class.__name__}, not YarnSpawner.")
    settings = settings_of(hub)
    for name in ("principal", "keytab"):
        if chosen := getattr(options, name):
            setattr(settings, name, chosen)
    return settings


def _check_claim(identity: HubIdentity, *, moved: bool) -> None:
    """Raise HubConfigError if the id belongs to another hub; with ``moved``, bind it to this database first."""
    if identity.claim is None:
        return
    if moved:
        try:
            identity.claim.rebind()
        except OSError as error:
            raise HubConfigError(f"The hub's id cannot be bound to its database: {error}") from None
    if refusal := identity.claim.refusal():
        raise HubConfigError(f"These are not this hub's applications: {refusal}.")


def _identity(settings: SpawnerSettings, db: Any) -> HubIdentity:
    quiet = logging.getLogger("yarnspawner.cli.main")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    secret_file = cookie_secret_file(settings.config.JupyterHub)
    return load_or_create(settings.hub_id, secret_file, settings.hub_context.seal, quiet, db=db, make=False)
