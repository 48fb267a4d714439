"""What a spawner keeps of its server, in memory and in JupyterHub's database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yarnspawner.state.last_exit import LastExit
from yarnspawner.state.seal import Seal
from yarnspawner.state.server_state import ServerState
from yarnspawner.state.start_history import StartHistory


class ServerRecord:
    """What a spawner keeps of its server.

    A spawner may drop its server, or get another one, while work for the first is in progress. Such work calls
    :meth:`update_if_current`, which then changes nothing.

    Args:
        seal: returns the seal of stored secrets; called when it is needed.
        save: stores the spawner's state at once. JupyterHub stores it only when ``start()`` has returned.
        last_exit: of the user's last server.

    Attributes:
        server: None if there is no server.
        starting: a start is in progress in this process.
        stopping: a stop is in progress in this process.
        restarting: a restart of Jupyter is in progress in this process.
        last_exit: see above.
    """

    def __init__(self, seal: Callable[[], Seal], save: Callable[[ServerState], None], last_exit: LastExit) -> None:
        self._seal = seal
        self._save = save
        self.server: ServerState | None = None
        self.starting = False
        self.stopping = False
        self.restarting = False
        self.last_exit = last_exit
        self.history = StartHistory()

    @property
    def application_id(self) -> str:
        """The server's application; "" if there is none, or its submission was not answered."""
        return self.server.application_id if self.server is not None else ""

    def update(self, server: ServerState) -> None:
        """Replace the server's state and store it."""
        self.server = server
        if server.application_id:
            self.history.begin(server)
        self._save(server)

    def update_if_current(self, server: ServerState) -> None:
        """Do the same, unless the spawner has another server now, or none."""
        if self.is_current(server):
            self.update(server)

    def is_current(self, server: ServerState) -> bool:
        """Return True if the spawner's server is still the one of that start."""
        return server.is_same(self.server)

    def clear(self) -> None:
        """Forget the server."""
        if self.server is not None:
            self.history.end(self.server.application_id)
        self.server = None

    def public_dict(self) -> dict[str, Any]:
        """Return what is kept of the server, without its secrets; {} if there is no server."""
        return self.server.public_dict() if self.server is not None else {}

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored, with sealed secrets."""
        server = self.server.to_dict(self._seal()) if self.server is not None else {}
        return {**server, **self.last_exit.to_dict(), **self.history.to_dict()}

    def load(self, state: Any, *, hub_user: str) -> None:
        """Read what an earlier run of the hub has stored.

        Args:
            state: whatever the database holds.
            hub_user: the hub's name of the user.

        Raises:
            StateError: the state of the server cannot be used.
        """
        kept = state if isinstance(state, dict) else {}
        self.last_exit.load(kept)
        self.history.load(kept)
        self.server = ServerState.from_dict(state, self._seal(), hub_user=hub_user)
