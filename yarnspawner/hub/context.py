"""What a spawner has of the hub that it belongs to: the hub's identity, its secret, and its way to the cluster."""

from __future__ import annotations

import logging
import weakref
from functools import cached_property
from typing import Any

from yarnspawner.hub.identity import HubIdentity, cookie_secret_file, identify
from yarnspawner.settings.hub import HubSettings
from yarnspawner.state.seal import Seal
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.access import ClusterAccess
from yarnspawner.yarn.audit import route

# All spawners of this process.
living: weakref.WeakSet[BelongingSpawner] = weakref.WeakSet()


class BelongingSpawner(HubSettings):
    """The part of a spawner that knows its hub.

    A spawner without a user has the hub's settings, and stands for the hub itself.
    """

    # JupyterHub's Spawner has these.
    active: bool
    log: logging.Logger
    user: Any
    name: str
    _log_name: str

    _yarn_server: ServerState | None = None
    _known_access: tuple[tuple[Any, ...], ClusterAccess] | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        route(self.log)
        living.add(self)

    @cached_property
    def seal(self) -> Seal:
        """Made of the hub's secret."""
        # A spawner without a user stands for the hub's settings.
        settings = self.user.settings if self.user else {"cookie_secret": getattr(self.parent, "cookie_secret", b"")}
        return Seal.of(self.state_secret.encode() or settings["cookie_secret"])

    @cached_property
    def hub_identity(self) -> HubIdentity:
        """Which hub this is, among those that share the cluster."""
        db = getattr(self.user or self.parent, "db", None)
        return identify(self.hub_id, cookie_secret_file(self.config.JupyterHub), self.seal, self.log, db=db)

    @property
    def audit_facts(self) -> dict[str, str]:
        """Whose server it is, for the audit's lines."""
        return {"user": self.user.name, "server": self.name}

    @property
    def in_use(self) -> bool:
        """True while JupyterHub goes by this spawner. After a stop, the user's next server has another one."""
        return any(spawner is self for spawner in self.user.spawners.values())

    def is_own(self, server: ServerState) -> bool:
        """Whether this hub has started a server that it finds in its database; if not, its log says so."""
        own = self.hub_identity.is_own(server.hub)
        if not own:
            self.log.warning(
                "%s: %s was started by another hub, so it is left alone (was this database copied? If this hub was"
                " moved, it needs its old id: %s)",
                self._log_name,
                server.application_id or "the server",
                self.hub_identity.source,
            )
        return own

    @property
    def kept(self) -> dict[str, Any]:
        """What is kept of the server, without its secrets; {} if there is none."""
        return self._yarn_server.public_dict() if self._yarn_server is not None else {}

    @property
    def access(self) -> ClusterAccess:
        """The hub's way to the cluster."""
        # Each poll asks for it, and there may be thousands of spawners; a group's override may change it.
        settings = (
            self.principal or "",
            self.keytab or "",
            self.resource_manager_url,
            self.submission_drivers,
            self.shared_folder or "",
            self.keep_uploads,
            self.spnego_over_http,
        )
        if self._known_access is None or self._known_access[0] != settings:
            self._known_access = (settings, ClusterAccess(*settings, log=self.log).shared())
        return self._known_access[1]
