"""Calls of what an admin wrote: hooks, callables and templates of the hub's configuration."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from tornado import web

from yarnspawner.common.string_templates import TemplateError, render_strict
from yarnspawner.common.text import one_line
from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.launch.errors import StartFailed

# What JupyterHub shows to users of any exception.
_FOR_USERS = ("jupyterhub_message", "jupyterhub_html_message")
_LIMIT = 300


class SettingFailed(StartFailed):
    """A setting of the hub that cannot be used, with a sentence that names it."""

    def __init__(self, cause: str) -> None:
        super().__init__(Diagnosis(cause, "Please tell your administrator.", ""), reason="settings")


async def call_setting(name: str, function: Callable[..., Any], *arguments: Any, log: logging.Logger) -> Any:
    """Call what an admin wrote, which may be async.

    Args:
        name: of the setting.
        function: the setting's value, and ``arguments``: what it is called with.
        log: gets the traceback.

    Raises:
        SettingFailed: it raised something.
        Exception: it raised an HTTPError, such as SpawnException, or an exception with ``jupyterhub_message`` or
            ``jupyterhub_html_message``: so a hook speaks to users, says JupyterHub's documentation.
    """
    try:
        result = function(*arguments)
        return await result if inspect.isawaitable(result) else result
    except web.HTTPError:
        raise
    except Exception as error:
        if any(hasattr(error, name) for name in _FOR_USERS):
            raise
        log.exception("The setting %s of the configuration raised an exception", name)
        raise failed(name, error) from error


def failed(name: str, error: Exception) -> SettingFailed:
    """Return what to raise for a setting whose use raised an exception."""
    said = one_line(str(error), _LIMIT)
    return SettingFailed(
        f"The hub's setting {name} raised {type(error).__name__}{': ' * bool(said)}{said.rstrip('.')}."
    )


def expand_setting(name: str, template: str, fields: Mapping[str, str]) -> str:
    """Fill in the fields of a setting that is a template.

    Raises:
        TemplateError: it cannot be filled in; the message names the setting.
    """
    try:
        return render_strict(template, fields)
    except TemplateError as error:
        raise TemplateError(f"{name}: {error}") from None
