"""Why a user's last server ended unexpectedly. It is logged once and stored until the next start."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

from yarnspawner.diagnosis.explain import Diagnosis, explain
from yarnspawner.skein_driver import Report

KEY = "last_end"


class RememberingSpawner:
    """Store why the last server ended.

    - It is stored in the state, under ``last_end``, even after the server's own state is cleared. The pages of
      ``TEMPLATE_PATHS`` show it to the user, and the REST API to admins.
    - A server that succeeded (final status SUCCEEDED) needs no explanation.
    """

    # JupyterHub's Spawner has these.
    log: logging.Logger
    _log_name: str

    _last_end: dict[str, str] | None = None

    def note_end(self, report: Report, memory: str = "") -> None:
        """Record why an application ended. Idempotent.

        Args:
            report: the application's last report.
            memory: the server's memory limit, for messages; "" if it is not known.
        """
        if report.final_status == "SUCCEEDED" or (self._last_end or {}).get("application_id") == report.id:
            return
        self._remember(report.id, explain(report, memory=memory), report.finished)

    def note_failure(self, application_id: str, diagnosis: Diagnosis) -> None:
        """Record why a start failed that was resumed after a hub restart. No browser waits for this start any more."""
        self._remember(application_id, diagnosis, None)

    def _remember(self, application_id: str, diagnosis: Diagnosis, when: datetime | None) -> None:
        said = " ".join(filter(None, (diagnosis.cause, diagnosis.remedy)))
        when = when or datetime.now(timezone.utc)
        self._last_end = {
            "application_id": application_id,
            "when": f"{when.astimezone():%Y-%m-%d %H:%M %Z}",
            "said": said,
        }
        self.log.warning("%s of %s has ended: %s\n%s", application_id, self._log_name, said, diagnosis.detail)

    def forget_end(self) -> None:
        """Clear the record. Called when another server starts."""
        self._last_end = None

    def get_state(self) -> dict[str, Any]:
        """Return the spawner's state, with the last exit if there is one."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        return {**state, KEY: self._last_end} if self._last_end else state

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what an earlier run of the hub has stored."""
        super().load_state(state)  # type: ignore[misc]
        kept = state.get(KEY) if isinstance(state, dict) else None  # an invalid database must not stop the hub
        self._last_end = kept if isinstance(kept, dict) else None
