"""How a server ended that nobody had asked to end: logged once, and kept for its user until the next start."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

from yarnspawner.diagnosis.explain import Diagnosis, explain
from yarnspawner.skein_driver import Report

KEY = "last_end"


class RememberingSpawner:
    """The part of a spawner that remembers why its last server ended.

    - it is in the state, under ``last_end``, also when the server's own state is gone: the pages of ``TEMPLATE_PATHS`` show
      it from there, and the REST API shows it to admins
    - a server that has ended as it wanted (SUCCEEDED) needs no explanation
    """

    # JupyterHub's Spawner has these.
    log: logging.Logger
    _log_name: str

    _last_end: dict[str, str] | None = None

    def note_end(self, report: Report, memory: str = "") -> None:
        """Keep why an application ended that had a server of that memory; saying it twice is saying it once."""
        if report.final_status == "SUCCEEDED" or (self._last_end or {}).get("application_id") == report.id:
            return
        self._remember(report.id, explain(report, memory=memory), report.finished)

    def note_failure(self, application_id: str, diagnosis: Diagnosis) -> None:
        """Keep why a start failed that went on after a restart of the hub: nobody's page waits for it any more."""
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
        """Another server starts."""
        self._last_end = None

    def get_state(self) -> dict[str, Any]:
        """With the last end, if there is one to tell."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        return {**state, KEY: self._last_end} if self._last_end else state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what another run of the hub has kept."""
        super().load_state(state)  # type: ignore[misc]
        kept = state.get(KEY) if isinstance(state, dict) else None  # a broken database must not keep the hub down
        self._last_end = kept if isinstance(kept, dict) else None
