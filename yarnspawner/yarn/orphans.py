"""Which applications are this hub's, and which of them nobody owns. Pure: no I/O, no hub, no cluster.

Tags are no proof. Whoever submits an application gives it any tags, and sees those of others unless YARN's ACLs hide them.
So it was thought through what somebody gains who copies this hub's tags, all of them:

- Onto an application of their own: it is taken for this hub's, and as no spawner owns it, it is ended, as the user whom YARN
  says that it belongs to. They have lost their own application, which they could have ended themselves.
- Onto somebody else's: there is no way. Tags are set at the submission and never changed, and who submits as another user
  is somebody whom Hadoop trusts to impersonate that user.
- With the tag of a start that is pending: it counts as owned only if it belongs to the same Hadoop user, and then that user
  has kept an application of their own from being swept, which nobody minds: they may run what they like on the cluster.
- To make the hub act as a mighty account: applications of system accounts and of the hub's own are never taken for ours, as
  no server runs as one of them. What Hadoop does not let the hub do as a user, is refused, logged once, and not insisted on.
- To make the hub remove folders: those in the home of the application's own user, with that application's id, as that user.
- To keep it busy: a sweep ends one after another, no more than its limit, the accounts in turn, and what was refused waits.
- To keep it from sweeping: of one account only a few orphans count for the limit above which a sweep ends nothing.
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

# Orphans of one account that count in addition to twice the account's owned applications: a user who copies tags onto
# hundreds of applications must not keep the hub from sweeping those of others.
_UNOWNED = 5


@dataclass(frozen=True)
class ServerKey:
    """A server of the hub: its user, and its name ("" for the default one)."""

    user: str
    server: str = ""

    def __str__(self) -> str:
        return f"{self.user}/{self.server}" if self.server else self.user


@dataclass
class OwnedServers:
    """What the hub's spawners own.

    Attributes:
        applications: by id.
        starts: those whose application's id is not known yet, by their tag and Hadoop user.
        protected: tags of users whose stored state nobody can read: they may own anything that has their tag.
        names: whose a server's tag is, also of those that do not run.
    """

    applications: dict[str, ServerKey] = field(default_factory=dict)
    starts: dict[tuple[str, str], ServerKey] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    names: dict[str, ServerKey] = field(default_factory=dict)

    def add(self, owner: ServerKey, state: Any, *, hub_id: str, has_server: bool) -> None:
        """Take in what JupyterHub's database keeps of a server.

        Args:
            owner: whose it is.
            state: the spawner's.
            hub_id: this hub's.
            has_server: whether JupyterHub has the server for running, starting or stopping.
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
        """The server that an application is, or is to become."""
        if report.id in self.applications:
            return self.applications[report.id]
        return next(
            (self.starts[name, report.user] for name in report.tags if (name, report.user) in self.starts), None
        )

    def name(self, report: Report) -> ServerKey | None:
        """The server that an application was started for, as far as its tags say, which anyone may have copied."""
        return self.owner(report) or next((self.names[name] for name in report.tags if name in self.names), None)


def is_ours(report: Report, *, hub_id: str, hub_user: str) -> bool:
    """Whether all that is known of an application fits one that this hub has started."""
    own = hub_tag(hub_id) in report.tags and has_server_tags(report.tags)
    return own and is_person(report.user, hub=hub_user)


def orphans(
    reports: Iterable[Report], owned: OwnedServers, *, hub_id: str, hub_user: str, now: datetime, grace: float
) -> list[Report]:
    """The unfinished applications of this hub that no spawner owns, the oldest first.

    Args:
        reports: what YARN listed **before** ``owned`` was read: a start is written down before it is submitted.
        owned: by this hub's spawners.
        hub_id, hub_user: which hub this is, and as whom it speaks to the cluster.
        now: the time.
        grace: seconds that an application must have been there.
    """
    latest = now - timedelta(seconds=grace)
    found = [
        report
        for report in reports
        if not report.ended
        and is_ours(report, hub_id=hub_id, hub_user=hub_user)
        and owned.owner(report) is None
        and not owned.protected & report.tags
        and report.started is not None
        and report.started <= latest
    ]
    return sorted(found, key=lambda report: report.id)


def too_many(
    ours: Collection[Report], orphans: Collection[Report], owned: OwnedServers, *, shared: Collection[str] = ()
) -> str:
    """Return why these may not be orphans at all, since they are too many; "" if they are few.

    - A hub that owns none of what runs ends nothing.
    - A hub that would end more than half of what runs ends nothing. Of one account no more orphans count than
      `_UNOWNED` and twice the applications of that account that are owned, unless users share the account.

    Args:
        ours: the hub's unfinished applications.
        orphans: those of them that would be ended.
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
