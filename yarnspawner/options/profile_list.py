"""Read a ``profile_list``, with a message for each error in it. Pure: no I/O, no hub, no cluster."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from yarnspawner.common.string_templates import TemplateError
from yarnspawner.common.units import LABELS, shown
from yarnspawner.options.limits import Limit, ProfileError
from yarnspawner.options.profiles import (
    UNLISTED_CHOICE,
    Audience,
    Choice,
    Option,
    Override,
    Profile,
    UnlistedChoice,
    filled_in,
)


def read_profiles(written: Any, overridable: Collection[str], *, free: Collection[str]) -> list[Profile]:
    """Return the profiles of a ``profile_list``.

    Args:
        written: the list.
        overridable: the settings that an override may change.
        free: those of them that may contain ``{value}``, a user's own text.

    Raises:
        ProfileError: the list is invalid. The message says where.
    """
    if not isinstance(written, (list, tuple)):
        raise ProfileError(f"profile_list is not a list: {shown(written)}.")
    reader = _Reader(frozenset(overridable), frozenset(free))
    profiles = [reader.profile(f"profile_list[{index}]", profile) for index, profile in enumerate(written)]
    slugs = [profile.slug for profile in profiles]
    if twice := [slug for slug in slugs if slugs.count(slug) > 1]:
        raise ProfileError(f"profile_list: two profiles have the slug {twice[0]!r}; give them slugs of their own.")
    return profiles


def slug_of(display_name: str) -> str:
    """Return a profile's default slug: its name in lower case, with dashes.

    - The slug is valid for any name.
    - It depends only on the name, not on the position in the list, because users' choices are stored under it.
    """
    slug = re.sub("[^a-z0-9]+", "-", display_name.lower()).strip("-")
    return slug or f"profile-{hashlib.sha256(display_name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class _Reader:
    """Read the admin's entries, and report where an error is."""

    overridable: frozenset[str]
    free: frozenset[str]

    def profile(self, where: str, written: Any) -> Profile:
        entries = self._entries(
            where,
            written,
            "display_name slug description default yarnspawner_override profile_options allowed_users allowed_groups",
        )
        name = self._name(where, entries)
        slug = entries.get("slug", slug_of(name))
        if not isinstance(slug, str) or not re.fullmatch("[A-Za-z0-9._-]+", slug) or "--" in slug:
            raise ProfileError(f"{where}: the slug {shown(slug)} is not made of letters, digits, '.', '_' and '-'.")
        override = dict(self._override(where, entries, limits=True))
        limits = {
            name: Limit.read(name, override.pop(f"{name}_choices")) for name in LABELS if f"{name}_choices" in override
        }
        options = {
            str(key): self.option(f"{where}, option {key!r}", option)
            for key, option in self._mapping(where, entries, "profile_options").items()
        }
        if taken := options.keys() & {"profile", *(name for name, limit in limits.items() if limit)}:
            raise ProfileError(
                f"{where}: an option cannot be called {min(taken)!r}, which is the name of something else."
            )
        return Profile(
            display_name=name,
            slug=slug,
            description=entries.get("description") or "",
            default=bool(entries.get("default")),
            yarnspawner_override=override,
            profile_options=options,
            audience=read_audience(where, entries),
            limits=limits,
        )

    def option(self, where: str, written: Any) -> Option:
        entries = self._entries(where, written, "display_name choices unlisted_choice")
        choices = {
            str(slug): self.choice(f"{where}, choice {slug!r}", choice)
            for slug, choice in self._mapping(where, entries, "choices").items()
        }
        if UNLISTED_CHOICE in choices:
            raise ProfileError(f"{where}: a choice cannot be called {UNLISTED_CHOICE!r}.")
        unlisted = self._mapping(where, entries, "unlisted_choice")
        option = Option(
            self._name(where, entries),
            choices,
            self.unlisted_choice(f"{where}, unlisted_choice", unlisted) if unlisted.get("enabled") else None,
        )
        if not option.choices and not option.unlisted_choice:
            raise ProfileError(f"{where}: it has neither choices nor an enabled unlisted_choice.")
        return option

    def choice(self, where: str, written: Any) -> Choice:
        entries = self._entries(
            where, written, "display_name default yarnspawner_override allowed_users allowed_groups"
        )
        return Choice(
            self._name(where, entries),
            self._override(where, entries),
            bool(entries.get("default")),
            read_audience(where, entries),
        )

    def unlisted_choice(self, where: str, written: Any) -> UnlistedChoice:
        entries = self._entries(
            where,
            written,
            "enabled display_name display_name_in_choices validation_regex validation_message yarnspawner_override",
        )
        texts = {
            key: entries[key]
            for key in ("display_name_in_choices", "validation_regex", "validation_message")
            if entries.get(key)
        }
        try:
            re.compile(texts.get("validation_regex", ""))
        except (re.error, TypeError) as error:
            raise ProfileError(f"{where}: validation_regex: {error}.") from None
        unlisted = UnlistedChoice(
            self._name(where, entries), **texts, yarnspawner_override=self._override(where, entries)
        )
        for name, template in unlisted.yarnspawner_override.items():
            try:
                has_value = filled_in(template, "0") != filled_in(template, "1")
            except TemplateError as error:
                raise ProfileError(f"{where}: {name}: {error}") from None
            if has_value and name not in self.free:
                raise ProfileError(f"{where}: what a user types in may not become a part of {name}.")
        return unlisted

    @staticmethod
    def _entries(where: str, written: Any, allowed: str) -> Mapping[str, Any]:
        if not isinstance(written, Mapping):
            raise ProfileError(f"{where} is not a dict: {shown(written)}.")
        for key in written:
            if key not in allowed.split():
                hint = " (write yarnspawner_override)" if key == "kubespawner_override" else ""
                raise ProfileError(f"{where}: unknown key {key!r}{hint}; there are {allowed.replace(' ', ', ')}.")
        return written

    @staticmethod
    def _name(where: str, entries: Mapping[str, Any]) -> str:
        name = entries.get("display_name")
        if not isinstance(name, str) or not name.strip():
            raise ProfileError(f"{where}: it needs a display_name.")
        return name

    @staticmethod
    def _mapping(where: str, entries: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = entries.get(key) or {}
        if not isinstance(found, Mapping):
            raise ProfileError(f"{where}: {key} is not a dict: {shown(found)}.")
        return found

    def _override(self, where: str, entries: Mapping[str, Any], *, limits: bool = False) -> Override:
        override = self._mapping(where, entries, "yarnspawner_override")
        for name in override:
            if name.removesuffix("_choices") in LABELS and name.endswith("_choices"):
                if limits and not callable(override[name]):
                    continue
                raise ProfileError(f"{where}: {name} can be overridden by a profile alone, and with a fixed value.")
            if name not in self.overridable:
                raise ProfileError(f"{where}: yarnspawner_override: {name!r} is no setting that may be overridden.")
        return override


def read_audience(where: str, entries: Mapping[str, Any]) -> Audience:
    """Return the users of an entry with ``allowed_users`` and ``allowed_groups``.

    Raises:
        ProfileError: one of them is not a list of names.
    """
    names = {}
    for key in ("allowed_users", "allowed_groups"):
        found = entries.get(key)
        if found is not None and (
            not isinstance(found, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in found)
        ):
            raise ProfileError(f"{where}: {key} is not a list of names: {shown(found)}.")
        names[key] = frozenset(found or ())
    restricted = any(entries.get(key) is not None for key in ("allowed_users", "allowed_groups"))
    return Audience(names["allowed_users"], names["allowed_groups"], everybody=not restricted)
