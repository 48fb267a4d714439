"""What goes with a submission: whose account it is for, the admin's hooks, and the end of its time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import skein
from jupyterhub.utils import maybe_future

from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.hub.account_registry import AccountRegistry, carried
from yarnspawner.launch.admin_code import SettingFailed, call_setting
from yarnspawner.options.limits import duration
from yarnspawner.settings.yarn import FeatureSettings
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.access import ClusterAccess

# Seconds that YARN has to end a server whose time is over before the hub does it: its own look is every few seconds.
_GRACE = 60


class FeatureSpawner(FeatureSettings):
    """The part of a spawner that knows whose account is whose."""

    # JupyterHub's Spawner has these.
    log: logging.Logger
    name: str
    user: Any
    orm_spawner: Any

    _yarn_server: ServerState | None = None

    @property
    def time_left(self) -> str:
        """How long the server has, for people; "" if it has no end, or does not run."""
        return time_left(self._yarn_server.ends) if self._yarn_server is not None else ""

    @property
    def access(self) -> ClusterAccess:
        raise NotImplementedError

    @property
    def resource_manager(self) -> ResourceManager:
        """What YARN tells of queues, nodes and applications; for hooks as well.

        Raises:
            SettingFailed: Hadoop's configuration does not say where the ResourceManager is.
        """
        try:
            return self.access.resource_manager
        except ResourceManagerUnavailable as error:
            self.log.error("No server can start: %s", error)  # noqa: TRY400 - it says what is missing
            raise SettingFailed(f"The hub cannot find its cluster: {error}.") from None

    def claim(self, hadoop_user: str) -> None:
        """Take a Hadoop user as this user's own, which is committed at once. A start calls it before anything else.

        Raises:
            IdentityRefused: it belongs to another user of the hub, and is not one to share.
        """
        if hadoop_user not in self.shared_hadoop_users:
            other = self._accounts.other_owner(hadoop_user, self.user.id)
            if other:
                self.log.warning("%s may not be %s, as %s is", self.user.name, hadoop_user, other)
                raise IdentityRefused(f"The account {hadoop_user!r} belongs to another user of this hub.")
        self._accounts.take(hadoop_user, self.user)

    @contextmanager
    def claimed(self, hadoop_user: str) -> Iterator[Callable[[], None]]:
        """Claim a Hadoop user for a start. If it fails before it calls what this gives, the claim is released.

        Raises:
            IdentityRefused: see `claim`.
        """
        self.claim(hadoop_user)
        try:
            yield lambda: self._accounts.confirm(hadoop_user, self.user)
        finally:
            self._accounts.give_up(hadoop_user, self.user)

    @property
    def _accounts(self) -> AccountRegistry:
        return AccountRegistry.of(self.user.db, self.log)

    def get_state(self) -> dict[str, Any]:
        """The accounts are kept for as long as the hub knows the user."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        return {**state, **carried(self.orm_spawner.state, self.user.name)} if self.orm_spawner else state

    async def delete_forever(self) -> None:
        """Keep the user's accounts when a server is deleted. JupyterHub calls this for each server that goes."""
        await maybe_future(super().delete_forever())  # type: ignore[misc]
        if self.name and self.user.spawner:  # which makes the default server's row, should there be none
            self._accounts.spread(self.user)


async def modified(spawner: FeatureSpawner, specification: skein.ApplicationSpec) -> skein.ApplicationSpec:
    """The specification as ``modify_spec_hook`` wants it."""
    if spawner.modify_spec_hook is None:
        return specification
    name = "modify_spec_hook"
    returned = await call_setting(name, spawner.modify_spec_hook, spawner, specification, log=spawner.log)
    if returned is not None and not isinstance(returned, skein.ApplicationSpec):
        raise SettingFailed(f"The hub's setting {name} returned {type(returned).__name__}, not an ApplicationSpec.")
    return specification if returned is None else returned


async def set_lifetime(spawner: FeatureSpawner, server: ServerState) -> ServerState:
    """Set the end of a submitted server's time.

    YARN is told, so that it holds while the hub is down. Where it cannot be told, :func:`has_exceeded_lifetime` is the hub's way.
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
    return server.with_end_time(time.time() + seconds)


def has_exceeded_lifetime(server: ServerState) -> bool:
    """Whether a server lives although its time is over."""
    return bool(server.ends) and time.time() > server.ends + _GRACE


def time_left(ends: float) -> str:
    """How long a server has, for people; "" if there is no end."""
    if not ends:
        return ""
    return f"{duration(ends - time.time())} left, until {datetime.fromtimestamp(ends).astimezone():%Y-%m-%d %H:%M %Z}"
