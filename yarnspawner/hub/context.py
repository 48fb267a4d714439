"""Give a spawner what it shares with its hub: identity, secret, accounts and access to the cluster."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from jupyterhub.utils import url_path_join

from yarnspawner.hub.account_registry import AccountRegistry
from yarnspawner.hub.identity import HubIdentity, cookie_secret_file, load_or_create
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.state.seal import Seal
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.access import ClusterAccess
from yarnspawner.yarn.audit import route
from yarnspawner.yarn.server_channel import ServerChannel


class HubContext:
    """Give a spawner the objects that it shares with its hub.

    A spawner without a user has the hub's settings and stands for the hub itself.

    Args:
        spawner: the spawner whose settings apply.
    """

    def __init__(self, spawner: SpawnerSettings) -> None:
        self._spawner = spawner
        self.log = spawner.log
        self._known_access: tuple[tuple[Any, ...], ClusterAccess] | None = None
        route(spawner.log)

    @cached_property
    def seal(self) -> Seal:
        """The seal that encrypts stored secrets, derived from the hub's own secret."""
        spawner = self._spawner
        settings = spawner.user.settings if spawner.user else {"cookie_secret": _cookie_secret(spawner.parent)}
        return Seal.of(spawner.state_secret.encode() or settings["cookie_secret"])

    @cached_property
    def identity(self) -> HubIdentity:
        """The hub's identity among all hubs that share the cluster."""
        spawner = self._spawner
        db = getattr(spawner.user or spawner.parent, "db", None)
        return load_or_create(
            spawner.hub_id, cookie_secret_file(spawner.config.JupyterHub), self.seal, spawner.log, db=db
        )

    @property
    def accounts(self) -> AccountRegistry:
        """The Hadoop accounts that the hub's users have reserved."""
        return AccountRegistry.of(self._spawner.user.db, self._spawner.log)

    @property
    def access(self) -> ClusterAccess:
        """The hub's access to the cluster, which spawners with the same settings share."""
        # Each poll reads this, and there may be thousands of spawners.
        spawner = self._spawner
        settings = (
            spawner.principal or "",
            spawner.keytab or "",
            spawner.resource_manager_url,
            spawner.submission_drivers,
            spawner.shared_folder or "",
            spawner.keep_uploads,
            spawner.spnego_over_http,
            spawner.hadoop_ca_file,
            spawner.hub_hadoop_user,
            spawner.application_link,
            frozenset(spawner.allowed_system_accounts),
        )
        if self._known_access is None or self._known_access[0] != settings:
            self._known_access = (settings, ClusterAccess(*settings, log=spawner.log).shared())
        return self._known_access[1]

    @property
    def audit_facts(self) -> dict[str, str]:
        """The user's name and the server's name, for the audit log."""
        return {"user": self._spawner.user.name, "server": self._spawner.name}

    @property
    def usage_facts(self) -> dict[str, Any]:
        """The same with the profile and the user's groups, for the end of an application."""
        spawner = self._spawner
        options = spawner.user_options if isinstance(spawner.user_options, dict) else {}
        profile = options.get("profile")
        groups = sorted(group.name for group in getattr(spawner.user, "groups", None) or ())
        return {**self.audit_facts, "profile": profile if isinstance(profile, str) else "", "groups": groups or None}

    @property
    def server_name(self) -> str:
        """The server's name in JupyterHub's log."""
        return str(self._spawner._log_name)  # noqa: SLF001 - JupyterHub has no public name for it

    def log_page(self, application_id: str) -> str:
        """Return the path of the hub's page with the log of one of the user's starts; see `hub/log_page.py`."""
        spawner = self._spawner
        if not spawner.hub or not spawner.user:
            return ""
        return str(url_path_join(spawner.hub.base_url, "server-logs", spawner.user.escaped_name, application_id))

    def belongs_to_this_hub(self, server: ServerState) -> bool:
        """Return True if this hub started a server that it finds in its database. Otherwise log a warning."""
        own = self.identity.is_same_hub(server.hub)
        if not own:
            self._spawner.log.warning(
                "%s: %s was started by another hub, so it is left alone (was this database copied? If this hub was"
                " moved, it needs its old id: %s)",
                self.server_name,
                server.application_id or "the server",
                self.identity.source,
            )
        return own

    def channel(self, server: ServerState) -> ServerChannel:
        """Return a channel to a server, through the key-value store of its application."""
        return ServerChannel(server.application_id, server.credentials, self.access, self._spawner.log)

    def terminate(self, server: ServerState, *, by: str = "hub") -> asyncio.Future[None]:
        """Kill a server's application until YARN reports it as finished.

        Args:
            server: a server that has an application.
            by: the cause; see :func:`~yarnspawner.yarn.audit.audit_end`.
        """
        return self.access.terminator.terminate(
            server.application_id, server.hadoop_user, by=by, facts=self.usage_facts
        )


def _cookie_secret(hub: Any) -> bytes:
    return getattr(hub, "cookie_secret", b"")
