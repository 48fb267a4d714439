"""The ways in which a start fails: with a sentence for the user, and the details for the log."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tornado import web

if TYPE_CHECKING:
    from yarnspawner.diagnosis.explain import Diagnosis

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5

    class SpawnException(web.HTTPError):  # type: ignore[no-redef]
        """What JupyterHub 6 calls so. JupyterHub 5 logs an HTTPError without a traceback as well."""

        def __init__(
            self, message: str, *, reason: str, log_message: str = "", status_code: int = 400, **_: str
        ) -> None:
            super().__init__(status_code, "%s", log_message or message, reason=reason)


class OptionsRefused(SpawnException):
    """A user asked for what is not offered.

    Args:
        message: for the user, on the page and in the REST API.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="options")
        self.jupyterhub_message = message


class StartFailed(SpawnException):
    """A server did not start.

    ``jupyterhub_message`` and ``jupyterhub_html_message`` are what JupyterHub 5 and 6 show on the user's page and answer
    in the REST API.

    Args:
        diagnosis: cause and remedy in plain words, YARN's own words as the detail.
        reason: one word for JupyterHub's metrics.
        link: YARN's page of the application, "" where there is none.
    """

    def __init__(self, diagnosis: Diagnosis, *, reason: str = "yarn", link: str = "") -> None:
        message = " ".join(part for part in (diagnosis.cause, diagnosis.remedy) if part)
        super().__init__(message, reason=reason, log_message="\n".join(filter(None, (message, diagnosis.detail))))
        self.diagnosis = diagnosis
        self.jupyterhub_message = message
        self.jupyterhub_html_message = self._html(diagnosis, link)

    @staticmethod
    def _html(diagnosis: Diagnosis, link: str) -> str:
        html = f"<p>{escape(diagnosis.cause)}</p>"
        if diagnosis.remedy:
            html += f"<p>{escape(diagnosis.remedy)}</p>"
        if diagnosis.detail:
            html += f"<details><summary>Details</summary><pre>{escape(diagnosis.detail)}</pre></details>"
        if link:
            html += f'<p><a href="{escape(link)}" target="_blank" rel="noopener">The application in YARN</a></p>'
        return html
