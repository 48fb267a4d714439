"""Why a user's last server ended, kept until the next start."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

KEY = "last_end"


class LastExit:
    """Why the last server ended without a stop request.

    - It is stored under ``last_end`` in JupyterHub's database, also when the server's own state is gone. The pages of
      ``TEMPLATE_PATHS`` show it from there, and the REST API shows it to admins.
    """

    def __init__(self) -> None:
        self._exit: dict[str, str] | None = None

    def is_of(self, application_id: str) -> bool:
        """Return True if this is the end of that application."""
        return self._exit is not None and self._exit.get("application_id") == application_id

    @property
    def code(self) -> str:
        """The cause's code; "" if nothing is kept."""
        return (self._exit or {}).get("code", "")

    def record(self, application_id: str, message: str, finished: datetime | None = None, *, code: str = "") -> None:
        """Keep why an application ended.

        Args:
            application_id: the application; "" if it was never known.
            message: cause and remedy, for the user.
            finished: when it ended. Default: now.
            code: the cause's code.
        """
        finished = finished or datetime.now(timezone.utc)
        self._exit = {
            "application_id": application_id,
            "when": f"{finished.astimezone():%Y-%m-%d %H:%M %Z}",
            "said": message,
            **({"code": code} if code else {}),
        }

    def clear(self) -> None:
        """Forget it: another server starts."""
        self._exit = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored; {} if there is nothing to tell."""
        return {KEY: self._exit} if self._exit else {}

    def load(self, state: dict[str, Any]) -> None:
        """Read what an earlier run of the hub has stored."""
        kept = state.get(KEY)
        self._exit = kept if isinstance(kept, dict) else None
