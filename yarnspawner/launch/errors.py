"""Exceptions of a failed start, with a message for the user and details for the log."""

from __future__ import annotations

from collections.abc import Mapping

from tornado import web

from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.launch.failure_page import failure_html

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5

    class SpawnException(web.HTTPError):  # type: ignore[no-redef]
        """JupyterHub 6's class, for JupyterHub 5, which also logs an HTTPError without a traceback."""

        def __init__(
            self, message: str, *, reason: str, log_message: str = "", status_code: int = 400, **_: str
        ) -> None:
            super().__init__(status_code, "%s", log_message or message, reason=reason)


class OptionsRefused(SpawnException):
    """A user chose options that are not offered.

    Args:
        message: shown on the page and in the REST API.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="options-refused")
        self.jupyterhub_message = message


class StartFailed(SpawnException):
    """A server did not start.

    JupyterHub 5 and 6 show ``jupyterhub_message`` and ``jupyterhub_html_message`` on the user's page and return them in
    the REST API.

    Args:
        diagnosis: cause, remedy, and YARN's message as the detail. Its code is the ``reason`` in JupyterHub's metrics.
        link: URL of the application in YARN; "" for none.
        log_page: path of the hub's page with the server's log; "" for none.
        facts: names and values that an administrator needs, such as the application; shown on the page.
    """

    def __init__(
        self, diagnosis: Diagnosis, *, link: str = "", facts: Mapping[str, str] | None = None, log_page: str = ""
    ) -> None:
        message = diagnosis.message
        log_message = "\n".join(filter(None, (f"[{diagnosis.code}] {message}", diagnosis.detail)))
        super().__init__(message, reason=diagnosis.code, log_message=log_message)
        self.diagnosis = diagnosis
        self.jupyterhub_message = message
        self.jupyterhub_html_message = failure_html(diagnosis, facts or {}, link, log_page)
