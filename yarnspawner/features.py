"""What goes with a submission: whose account it is for, the admin's hooks, and the end of its time."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import skein

from yarnspawner.access import Access
from yarnspawner.accounts import Accounts, account_of
from yarnspawner.feature_settings import FeatureSettings
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.identity import IdentityRefused
from yarnspawner.options.choices import duration
from yarnspawner.state import ServerState

# Seconds that YARN has to end a server whose time is over before the hub does it: its own look is every few seconds.
_GRACE = 60


class FeatureSpawner(FeatureSettings):
    """The part of a spawner that knows whose account is whose."""

    # JupyterHub's Spawner has these.
    log: logging.Logger
    user: Any
    orm_spawner: Any

    _account = ""
    _yarn_server: ServerState | None = None

    @property
    def time_left(self) -> str:
        """How long the server has, for people; "" if it has no end, or does not run."""
        return time_left(self._yarn_server.ends) if self._yarn_server is not None else ""

    @property
    def access(self) -> Access:
        raise NotImplementedError

    @property
    def resource_manager(self) -> ResourceManager:
        """What YARN tells of queues, nodes and applications; for hooks as well."""
        return self.access.resource_manager

    def claim(self, hadoop_user: str) -> None:
        """Take a Hadoop user as this user's own.

        The states of the hub's servers keep whose account is whose, also when they have ended.

        Raises:
            IdentityRefused: another user of the hub has had servers as this one, which is not one to share.
        """
        accounts = Accounts.of(self.user.db)
        if hadoop_user not in self.shared_hadoop_users:
            other = accounts.other_owner(self.user.db, hadoop_user, self.user.id)
            if other is not None:
                self.log.warning("%s may not be %s, as %s is", self.user.name, hadoop_user, other.name)
                raise IdentityRefused(f"The account {hadoop_user!r} belongs to another user of this hub.")
        accounts.add(hadoop_user, self.user.id)
        self._account = hadoop_user

    def get_state(self) -> dict[str, Any]:
        """The account is kept for as long as the hub knows the user."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        if self._account:
            state["hadoop_user"] = self._account
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what another run of the hub has kept."""
        super().load_state(state)  # type: ignore[misc]
        self._account = account_of(state)


async def called(hook: Callable[..., Any] | None, *arguments: Any) -> Any:
    """What an admin's hook returns, which may be async; None if there is no hook."""
    result = hook(*arguments) if hook else None
    return await result if inspect.isawaitable(result) else result


async def modified(spawner: FeatureSpawner, specification: skein.ApplicationSpec) -> skein.ApplicationSpec:
    """The specification as ``modify_spec_hook`` wants it."""
    returned = await called(spawner.modify_spec_hook, spawner, specification)
    return specification if returned is None else returned


async def limit_lifetime(spawner: FeatureSpawner, server: ServerState) -> ServerState:
    """Set the end of a submitted server's time.

    YARN is told, so that it holds while the hub is down. Where it cannot be told, :func:`is_overdue` is the hub's way.
    """
    seconds = spawner.maximum_lifetime
    if not seconds:
        return server
    try:
        await spawner.resource_manager.set_lifetime(server.application_id, seconds)
    except ResourceManagerUnavailable as error:
        spawner.log.warning(
            "YARN cannot be told when %s is to end, so the hub will end it: %s", server.application_id, error
        )
    return server.ending_at(time.time() + seconds)


def is_overdue(server: ServerState) -> bool:
    """Whether a server lives although its time is over."""
    return bool(server.ends) and time.time() > server.ends + _GRACE


def time_left(ends: float) -> str:
    """How long a server has, for people; "" if there is no end."""
    if not ends:
        return ""
    return f"{duration(ends - time.time())} left, until {datetime.fromtimestamp(ends).astimezone():%Y-%m-%d %H:%M %Z}"
