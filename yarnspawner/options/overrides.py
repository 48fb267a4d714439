"""Override a spawner's settings for one start."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from traitlets import HasTraits, TraitError


class Overrides:
    """Override settings of a spawner.

    - Overrides can be undone: JupyterHub can use a spawner for a second start with another choice.
    - The admin's own dicts and lists are never changed, only replaced.
    """

    def __init__(self, spawner: HasTraits) -> None:
        self._spawner = spawner
        self._before: dict[str, Any] = {}

    async def apply(self, override: Mapping[str, Any]) -> None:
        """Override settings. Merge a dict into the current one. Call a callable with the spawner to get the value.

        Raises:
            TraitError: a value is not valid for its setting.
        """
        for name, wanted in override.items():
            value = await self._called(wanted)
            current = getattr(self._spawner, name)
            self._before.setdefault(name, current)
            if isinstance(value, Mapping):
                current = await self._called(current)
            if isinstance(value, Mapping) and isinstance(current, Mapping):
                value = merged(current, value)
            self._set(name, value)

    async def _called(self, value: Any) -> Any:
        found = value(self._spawner) if callable(value) else value
        return await found if inspect.isawaitable(found) else found

    def kept(self) -> dict[str, Any]:
        """Return the overridden settings for JSON. Leave out values that JSON cannot hold (a ``skein.File``)."""
        kept = {}
        for name in self._before:
            try:
                kept[name] = json.loads(json.dumps(getattr(self._spawner, name), default=_as_list))
            except TypeError:
                continue
        return kept

    def restore(self, kept: Mapping[str, Any]) -> list[str]:
        """Restore stored overrides, even if the admin no longer offers them.

        Returns:
            The names of settings that no longer accept their values. These stay unchanged.
        """
        failed = []
        for name, value in kept.items():
            if not self._spawner.has_trait(name):
                failed.append(name)
                continue
            current = getattr(self._spawner, name)
            try:
                setattr(self._spawner, name, value)
            except TraitError:
                failed.append(name)
            else:
                self._before.setdefault(name, current)
        return failed

    def undo(self) -> None:
        """Restore the settings from before the overrides."""
        for name, value in self._before.items():
            setattr(self._spawner, name, value)
        self._before.clear()

    def _set(self, name: str, value: Any) -> None:
        try:
            setattr(self._spawner, name, value)
        except TraitError:
            # A user's input is text even if the setting is a number.
            if not isinstance(value, str):
                raise
            try:
                number = self._spawner.traits()[name].from_string(value)
            except ValueError as error:
                raise TraitError(f"{name}: {error}") from None
            setattr(self._spawner, name, number)


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two dicts recursively. None in the second removes a key."""
    result = dict(one)
    for key, value in other.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
