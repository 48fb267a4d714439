"""Explain a failed recipe in plain English."""

from __future__ import annotations

import os
import re
import site
import sys
import traceback
from contextlib import suppress
from typing import TextIO

from yarnspawner.common.protocol import Failure

# "[C 2026-11-23 10:00:00.000 ServerApp] Bad config encountered during initialization: ..." is Jupyter's way to log,
# "[KernelApp] CRITICAL | Bad config encountered during initialization: ..." is IPython's.
_SERIOUS_LINE = re.compile(r"(?:\[[CE] [^]]*\]|\[\w+\] (?:CRITICAL|ERROR) \|) *(\S.*)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSPHRASE")


def say(recipe: str, message: str) -> None:
    """Write one line to the container's log."""
    sys.stderr.write(f"{recipe}: {message}\n")
    sys.stderr.flush()


class RecipeError(Exception):
    """An error that the recipe found itself; the message is a sentence for the user."""


class Tail:
    """A stream that forwards its output to another and keeps the last characters."""

    def __init__(self, stream: TextIO, size: int = 8000) -> None:
        self._stream = stream
        self._size = size
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-self._size :]
        try:
            return self._stream.write(text)
        except RuntimeError:
            # "reentrant call": a signal's handler, which logs, has interrupted this thread in a write. The exception would
            # end the handler, and Jupyter's server would miss its SIGTERM.
            os.write(self._stream.fileno(), text.encode(errors="replace"))
            return len(text)

    def flush(self) -> None:
        # As above; who was interrupted flushes both.
        with suppress(RuntimeError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def explain(error: BaseException, log: str, program: str = "Jupyter") -> Failure:
    """Return the failure to publish.

    Args:
        error: what ended the recipe.
        log: the end of what it wrote.
        program: what did not start, as the first words of a sentence.
    """
    log = _without_secrets(_COLOUR.sub("", log)).strip()
    return Failure(message=_without_secrets(_message(error, log, program)), detail="\n".join(log.splitlines()[-20:]))


def _message(error: BaseException, log: str, program: str) -> str:
    if own := _own_package(error, log):
        return (
            f"{program} did not start because of a package in your home directory, {own}: remove it (pip uninstall), or"
            " ask your administrator to set PYTHONNOUSERSITE=1."
        )
    missing = _missing_module(error)
    if missing:
        return f"The Python environment ({sys.prefix}) has no package {missing!r}: it must be installed there."
    serious = _SERIOUS_LINE.findall(log)
    match error:
        case RecipeError():
            return str(error)
        case ImportError():
            return f"The Python environment ({sys.prefix}) is not usable: {error}"
        case SystemExit() if serious:
            return f"{program} did not start: {serious[-1]}"
        case SystemExit():
            return f"{program} left with exit status {error.code} before it listened."
        case _:
            return f"{program} failed with {type(error).__name__}: {error}"


def _own_package(error: BaseException, log: str) -> str:
    """Return the file below the user's own site-packages in which an error arose last; "" if there is none."""
    own = site.getusersitepackages()
    if isinstance(error, SystemExit) and _SERIOUS_LINE.search(log):
        return ""  # Jupyter has said why it left
    found = None if isinstance(error, (RecipeError, SystemExit)) else error
    files = []
    while found is not None:
        files += [frame.filename for frame in traceback.extract_tb(found.__traceback__)]
        found = found.__cause__ or found.__context__
    if isinstance(error, SystemExit):
        files = re.findall(r'File "([^"\n]{1,500})", line', log)
    return next((file for file in reversed(files) if file.startswith(f"{own}/")), "")


def _missing_module(error: BaseException | None) -> str | None:
    # JupyterHub and JupyterLab wrap what they cannot import in errors of their own.
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return error.name
        error = error.__cause__
    return None


def _without_secrets(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "[secret]")
    return text
