"""Types of settings: what other spawners allow for them is accepted, or refused by the setting's name."""

from __future__ import annotations

import re
from typing import Any

from jupyterhub.traitlets import ByteSpecification, Callable, Command
from traitlets import Integer, TraitError, Unicode, Union

_RECIPE = "yarnspawner.singleuser"
# The commands of other spawners, as a program or as `python -m MODULE`.
_PROGRAMS = ("jupyterhub-singleuser", "jupyter-labhub")
_MODULE = re.compile(r"jupyterhub\.singleuser|jupyterlab\.labhubapp")
_MODULE_OPTION = re.compile(r"(?<=-m )(?:jupyterhub\.singleuser|jupyterlab\.labhubapp)(?!\S)")


class Memory(ByteSpecification):
    """A size in bytes or with a suffix. None stands for the default.

    Args:
        default_value: the default.
        at_least: least size in bytes.
    """

    def __init__(self, default_value: str, *, at_least: int = 0, **kwargs: Any) -> None:
        super().__init__(default_value, **kwargs)
        self._at_least = at_least

    def _validate(self, obj: Any, value: Any) -> Any:
        value = self.default_value if value is None else value
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TraitError(f'{self.name} must be a size such as "2 G", not {_kind(value)}.')
        return super()._validate(obj, value)

    def validate(self, obj: Any, value: Any) -> int:
        try:
            size = int(super().validate(obj, value))
        except (IndexError, OverflowError, ValueError, TraitError):
            raise TraitError(f'{self.name} must be a size such as "2 G", not {value!r}.') from None
        if size < self._at_least:
            raise TraitError(f'{self.name} must be a size such as "2 G", not {size} bytes.')
        return size


class WholeNumber(Integer[int, int]):
    """A whole number, also as a float. None stands for the default."""

    def _validate(self, obj: Any, value: Any) -> Any:
        value = self.default_value if value is None else value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TraitError(
                f"{self.name} must be a whole number, because YARN has no parts of one, not {_kind(value)}."
            )
        return super()._validate(obj, value)


class ServerCommand(Command):
    """The command of a server. Commands of other spawners, which the hub would never find, become the recipe."""

    def _validate(self, obj: Any, value: Any) -> Any:
        return recipe_command(super()._validate(obj, value))


def recipe_command(cmd: list[str] | None) -> list[str]:
    """Return a command that runs the recipe where the given one would run another program of JupyterHub.

    The recipe starts the same server and publishes its address, without which the hub never finds the server.
    """
    if not cmd:
        return [f"python -m {_RECIPE}"]
    first, *rest = cmd[0].split(" ") if len(cmd) == 1 else cmd
    folder, slash, program = first.rpartition("/")
    if program in _PROGRAMS:
        words = [f"{folder}{slash}python", "-m", _RECIPE, *rest]
        return [" ".join(words)] if len(cmd) == 1 else words
    if len(cmd) == 1:
        return [_MODULE_OPTION.sub(_RECIPE, cmd[0])]
    return [
        _RECIPE if _MODULE.fullmatch(word) and before == "-m" else word
        for before, word in zip(["", *cmd[:-1]], cmd, strict=True)
    ]


def template(default_value: str, help: str) -> Union:  # noqa: A002 - the name that traitlets uses
    """Return a setting that is a template, or a callable that takes the spawner."""
    return Union([Unicode(), Callable()], default_value=default_value, config=True, help=help)


def _kind(value: Any) -> str:
    if callable(value):
        return "a callable (to offer several values, see profile_list)"
    return repr(value)
