"""What a choice changes in a spawner's settings, for one start."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from traitlets import HasTraits, TraitError


class Overrides:
    """Changed settings of a spawner.

    - they can be undone: JupyterHub may use a spawner for a second start, with another choice
    - the admin's own dicts and lists are never changed, only replaced
    """

    def __init__(self, spawner: HasTraits) -> None:
        self._spawner = spawner
        self._before: dict[str, Any] = {}

    async def apply(self, override: Mapping[str, Any]) -> None:
        """Change settings: a dict is merged into what is there, a callable is given the spawner and returns the value.

        Raises:
            TraitError: a value that the setting cannot have.
        """
        for name, wanted in override.items():
            value = wanted(self._spawner) if callable(wanted) else wanted
            if inspect.isawaitable(value):
                value = await value
            current = getattr(self._spawner, name)
            self._before.setdefault(name, current)
            if isinstance(value, Mapping) and isinstance(current, Mapping):
                value = merged(current, value)
            self._set(name, value)

    def undo(self) -> None:
        """Set everything as it was."""
        for name, value in self._before.items():
            setattr(self._spawner, name, value)
        self._before.clear()

    def _set(self, name: str, value: Any) -> None:
        try:
            setattr(self._spawner, name, value)
        except TraitError:
            # What a user typed in is text also where the setting is a number.
            if not isinstance(value, str):
                raise
            try:
                number = self._spawner.traits()[name].from_string(value)
            except ValueError as error:
                raise TraitError(f"{name}: {error}") from None
            setattr(self._spawner, name, number)


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two dicts, and what is in them, as one; None in the second takes a key out."""
    result = dict(one)
    for key, value in other.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
