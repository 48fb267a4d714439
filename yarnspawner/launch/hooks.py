"""Calls of what an admin wrote: hooks, callables and templates of the hub's configuration."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import skein
from tornado import web

from yarnspawner.common.string_templates import TemplateError, render_strict
from yarnspawner.common.text import one_line
from yarnspawner.diagnosis.explain import own_cause
from yarnspawner.launch.errors import StartFailed

# What JupyterHub shows to users of any exception.
_FOR_USERS = ("jupyterhub_message", "jupyterhub_html_message")
_LIMIT = 300


class SettingFailed(StartFailed):
    """A setting of the hub cannot be used. The message names it."""

    def __init__(self, cause: str) -> None:
        super().__init__(own_cause("setting-failed", words=cause))


async def call_hook(name: str, function: Callable[..., Any], *arguments: Any, log: logging.Logger) -> Any:
    """Call a hook or callable of the configuration, which may be async, and return its result.

    Args:
        name: of the setting.
        function: the setting's value.
        arguments: of the call.
        log: gets the traceback.

    Raises:
        SettingFailed: the hook raised an exception.
        Exception: the hook raised an HTTPError, such as SpawnException, or an exception with ``jupyterhub_message`` or
            ``jupyterhub_html_message``. JupyterHub documents these as a hook's way to tell users something.
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
        raise hook_failed(name, error) from error


def hook_failed(name: str, error: Exception) -> SettingFailed:
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


async def apply_spec_hook(
    hook: Callable[..., Any] | None, spawner: Any, specification: skein.ApplicationSpec, log: logging.Logger
) -> skein.ApplicationSpec:
    """Return the specification as ``modify_spec_hook`` changes it.

    Raises:
        SettingFailed: the hook raised an exception, or returned something else.
    """
    if hook is None:
        return specification
    name = "modify_spec_hook"
    returned = await call_hook(name, hook, spawner, specification, log=log)
    if returned is not None and not isinstance(returned, skein.ApplicationSpec):
        raise SettingFailed(f"The hub's setting {name} returned {type(returned).__name__}, not an ApplicationSpec.")
    return specification if returned is None else returned
