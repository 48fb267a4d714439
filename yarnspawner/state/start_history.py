"""The last starts of a server, with their applications and causes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from yarnspawner.state.server_state import ServerState

KEY = "starts"

_KEPT = 5


class StartHistory:
    """The last five starts of a server that YARN accepted.

    They are stored in JupyterHub's database, also when the server's own state is gone. ``yarnspawner logs`` and the page of a
    user's logs find the applications there. The REST API shows them to admins.
    """

    def __init__(self) -> None:
        self._starts: list[dict[str, str]] = []

    def begin(self, server: ServerState) -> None:
        """Keep a start whose application YARN has accepted. Idempotent."""
        if any(start.get("application_id") == server.application_id for start in self._starts):
            return
        start = {
            "application_id": server.application_id,
            "hadoop_user": server.hadoop_user,
            "container": server.container,
            "began": _now(),
        }
        self._starts = [*self._starts, start][-_KEPT:]

    def end(self, application_id: str, *, code: str = "", message: str = "") -> None:
        """Keep that a start or its server has ended; the first call counts.

        Args:
            application_id: the application.
            code: of the cause; "" if it was stopped in order.
            message: cause and remedy, for the user.
        """
        for start in self._starts:
            if start.get("application_id") == application_id and "ended" not in start:
                start |= {"ended": _now(), "code": code, "said": message}

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored; {} if there was no start."""
        return {KEY: [dict(start) for start in self._starts]} if self._starts else {}

    def load(self, state: dict[str, Any]) -> None:
        """Read what an earlier run of the hub has stored."""
        self._starts = read_starts(state)


def read_starts(state: Any) -> list[dict[str, str]]:
    """Return the starts in a stored state, oldest first. Entries that make no sense are left out."""
    kept = state.get(KEY) if isinstance(state, dict) else None
    starts = kept if isinstance(kept, list) else []
    return [
        {name: text for name, text in start.items() if isinstance(name, str) and isinstance(text, str)}
        for start in starts[-_KEPT:]
        if isinstance(start, dict) and isinstance(start.get("application_id"), str)
    ]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
