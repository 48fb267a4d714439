"""``yarnspawner logs``: print the end of the log of a user's server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from jupyterhub import orm

from yarnspawner.cli.hub import HubConfigError, cell, load_hub, spawner_settings
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.logs import LogsUnavailable
from yarnspawner.state.start_history import read_starts
from yarnspawner.yarn.server_log import start_log


def logs(options: argparse.Namespace) -> int:
    """Print the end of the log of one of a server's last starts, or list these starts."""
    hub = load_hub(options.config)
    starts = _starts(hub.db, options.user, options.server)
    if options.list:
        for start in starts:
            print(_line(start))
        return 0
    start = _chosen(starts, options.application)
    print(_line(start), file=sys.stderr)
    access = spawner_settings(hub, options).hub_context.access
    try:
        text = asyncio.run(start_log(access, start, lines=options.lines))
    except LogsUnavailable as error:
        raise HubConfigError(f"The log cannot be read: {one_line(str(error), 1000)}") from None
    print(text or "The log is empty.")
    return 0


def _starts(db: Any, user: str, server: str) -> list[dict[str, str]]:
    """Return the last starts of a server, oldest first."""
    found = orm.User.find(db, user)
    if found is None:
        raise HubConfigError(f"The hub has no user {cell(user)}.")
    spawner = found.orm_spawners.get(server)
    if spawner is None:
        names = ", ".join(sorted(cell(name) or "(default)" for name in found.orm_spawners)) or "none"
        raise HubConfigError(f"{cell(user)} has no server {cell(server) or '(default)'}. Servers: {names}.")
    if starts := read_starts(spawner.state):
        return starts
    raise HubConfigError("The hub's database has no start of this server that YARN accepted.")


def _chosen(starts: list[dict[str, str]], application_id: str) -> dict[str, str]:
    if not application_id:
        return starts[-1]
    for start in starts:
        if start["application_id"] == application_id:
            return start
    raise HubConfigError(f"{cell(application_id)} is not one of the last starts of this server; see --list.")


def _line(start: dict[str, str]) -> str:
    """Return a start as one line: application, account, times and cause."""
    began, ended = start.get("began", "?"), start.get("ended", "")
    when = f"{began} to {ended}" if ended else f"since {began}"
    cause = (
        f"[{start['code']}] {start.get('said', '')}" if start.get("code") else "stopped" if ended else "runs or starts"
    )
    return one_line(f"{start['application_id']} as {start.get('hadoop_user', '?')}, {when}: {cause}", 500)
