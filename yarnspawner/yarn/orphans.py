"""Decide which applications are this hub's, and which of them are orphans. Pure: no I/O, no hub, no cluster.

Tags prove nothing. Users can give their applications any tags. They can read the tags of others unless YARN's ACLs hide
them. An attacker who copies all of this hub's tags gains nothing:

- Copied to the attacker's own application: the hub takes it for its own and finds no spawner that owns it. It kills the
  application as the user that YARN reports. The attacker loses only their own application.
- Copied to another user's application: impossible. Tags are set at submission and never change. Only accounts that
  Hadoop trusts to impersonate a user can submit as that user.
- Copied with the tag of a pending start: the application counts as owned only if it has the same Hadoop user. That user
  protects their own application from the sweep, which is harmless: they may run anything on the cluster.
- To make the hub act as a privileged account: the hub never takes applications of system accounts, or of its own
  account, for its servers. If Hadoop refuses a kill, the hub logs it once and backs off.
- To make the hub remove folders: it removes only the folder with the application's id in its user's home, as that user.
- To keep the hub busy: a sweep has a limit, kills one application at a time, takes the accounts in turn and backs off.
- To block the sweep: only a few orphans of an account count towards the limit above which a sweep kills nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from yarnspawner.hadoop.accounts import is_person
from yarnspawner.skein_driver import Report
from yarnspawner.yarn.tags import has_server_tags, hub_tag, server_tag, start_tag, user_tag

# Orphans of one account that count in addition to twice its owned applications. The limit exists because a user who
# copies tags to hundreds of applications must not block the sweep of others' orphans.
_UNOWNED = 5


@dataclass(frozen=True)
class ServerKey:
    """The key of a server: its user's name and its own name ("" for the default server)."""

    user: str
    server: str = ""

    def __str__(self) -> str:
        return f"{self.user}/{self.server}" if self.server else self.user


@dataclass
class OwnedServers:
    """The applications and starts that the hub's spawners own.

    Attributes:
        applications: servers by application id.
        starts: servers whose application id is not known yet, by start tag and Hadoop user.
        protected: tags of users with unreadable stored state. They could own any application with their tag.
        names: servers by server tag, including those that do not run.
    """

    applications: dict[str, ServerKey] = field(default_factory=dict)
    starts: dict[tuple[str, str], ServerKey] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    names: dict[str, ServerKey] = field(default_factory=dict)

    def add(self, owner: ServerKey, state: Any, *, hub_id: str, has_server: bool) -> None:
        """Add a server from JupyterHub's database.

        Args:
            owner: the server.
            state: the spawner's stored state.
            hub_id: this hub's id.
            has_server: True if JupyterHub considers the server as running, starting or stopping.
        """
        self.names[server_tag(hub_id, owner.user, owner.server)] = owner
        if not state or not has_server:
            return
        if not isinstance(state, Mapping):
            self.protected.add(user_tag(hub_id, owner.user))
            return
        ids = [state[name] for name in ("application_id", "app_id") if state.get(name)]
        start, user = state.get("start_id"), state.get("hadoop_user")
        if not all(isinstance(text, str) for text in (*ids, start or "", user or "")):
            self.protected.add(user_tag(hub_id, owner.user))
        elif ids:
            self.applications.update(dict.fromkeys(ids, owner))
        elif start:
            self.starts[start_tag(start), user or ""] = owner
        elif "version" in state:
            self.protected.add(user_tag(hub_id, owner.user))

    def owner(self, report: Report) -> ServerKey | None:
        """Return the server that owns an application, running or starting; None for an orphan."""
        if report.id in self.applications:
            return self.applications[report.id]
        return next(
            (self.starts[name, report.user] for name in report.tags if (name, report.user) in self.starts), None
        )

    def name(self, report: Report) -> ServerKey | None:
        """Return the server that an application's tags name; None if they name none. Anyone can copy tags."""
        return self.owner(report) or next((self.names[name] for name in report.tags if name in self.names), None)


def is_ours(report: Report, *, hub_id: str, hub_user: str, allowed: Collection[str] = frozenset()) -> bool:
    """Return True if an application's tags and user match those of this hub's servers.

    Args:
        report: YARN's report of the application.
        hub_id: this hub's id.
        hub_user: the hub's Hadoop user.
        allowed: system accounts that servers may run as.
    """
    own = hub_tag(hub_id) in report.tags and has_server_tags(report.tags)
    return own and is_person(report.user, hub=hub_user, allowed=allowed)


def orphans(
    reports: Iterable[Report],
    owned: OwnedServers,
    *,
    hub_id: str,
    hub_user: str,
    now: datetime,
    grace: float,
    allowed: Collection[str] = frozenset(),
) -> list[Report]:
    """Return this hub's unfinished applications that no spawner owns, oldest first.

    Args:
        reports: YARN's list, requested **before** ``owned`` was read. A start is stored before it is submitted.
        owned: what this hub's spawners own.
        hub_id: this hub's id.
        hub_user: the hub's Hadoop user.
        now: the current time.
        grace: seconds that an application must have existed.
        allowed: system accounts that servers may run as.
    """
    latest = now - timedelta(seconds=grace)
    found = [
        report
        for report in reports
        if not report.ended
        and is_ours(report, hub_id=hub_id, hub_user=hub_user, allowed=allowed)
        and owned.owner(report) is None
        and not owned.protected & report.tags
        and report.started is not None
        and report.started <= latest
    ]
    return sorted(found, key=lambda report: report.id)


def too_many(
    ours: Collection[Report], orphans: Collection[Report], owned: OwnedServers, *, shared: Collection[str] = ()
) -> str:
    """Return why there are too many orphans to be plausible; "" if the sweep may kill them.

    - A hub that owns none of its applications kills nothing.
    - A hub that would kill more than half of its applications kills nothing. For each account, at most `_UNOWNED` plus
      twice its owned applications count as orphans. Accounts that users share have no such limit.

    Args:
        ours: the hub's unfinished applications.
        orphans: those of them that the sweep would kill.
        owned: what this hub's spawners own.
        shared: accounts that several users share.
    """
    if not orphans:
        return ""
    known = Counter(report.user for report in ours if owned.owner(report) is not None)
    if not known:
        return f"none of the {len(ours)} applications with this hub's tags belongs to a server in its database"
    lost = Counter(report.user for report in orphans)
    counted = sum(
        number if user in shared else min(number, 2 * known[user] + _UNOWNED) for user, number in lost.items()
    )
    if counted > len(ours) - len(orphans):
        return f"{len(orphans)} of {len(ours)} applications with this hub's tags belong to no server in its database"
    return ""
