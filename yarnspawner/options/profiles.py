"""Define profiles, their options and choices, and their audiences. Pure: no I/O, no hub, no cluster.

The keys are those of KubeSpawner (https://jupyterhub-kubespawner.readthedocs.io), except ``yarnspawner_override``,
``allowed_users`` and ``allowed_groups``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from yarnspawner.common.string_templates import render_strict
from yarnspawner.common.units import shown
from yarnspawner.options.limits import ChoiceRefused, Limit

# The value that a form's list posts if the user types in another value, and the suffix of that value's key.
UNLISTED_CHOICE = "unlisted-choice"

# Limit of characters that a user may type in.
_LONGEST = 256

Override = Mapping[str, Any]


@dataclass(frozen=True)
class Audience:
    """The users of an offer: everyone, or these users and the members of these groups."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    everybody: bool = True

    def includes(self, user: str, groups: Collection[str]) -> bool:
        return self.everybody or user in self.users or not self.groups.isdisjoint(groups)


@dataclass(frozen=True)
class Choice:
    """A choice of an option, and the settings that it overrides."""

    display_name: str
    yarnspawner_override: Override = field(default_factory=dict)
    default: bool = False
    audience: Audience = Audience()


@dataclass(frozen=True)
class UnlistedChoice:
    """A value that a user types in.

    Attributes:
        display_name: label of the field.
        display_name_in_choices: entry for the field in the list of choices.
        validation_regex: regular expression that the whole text must match.
        validation_message: message to the user if it does not match.
        yarnspawner_override: the settings that it overrides, with ``{value}`` for the text.
    """

    display_name: str
    display_name_in_choices: str = "Other..."
    validation_regex: str = ""
    validation_message: str = ""
    yarnspawner_override: Override = field(default_factory=dict)

    @property
    def enabled(self) -> bool:
        """True, for KubeSpawner's templates. An unlisted choice that is not enabled does not exist here."""
        return True

    def override(self, typed: Any) -> Override:
        """Return the settings that a user's text overrides.

        Raises:
            ChoiceRefused: the value is not plain text, or the admin does not allow it.
        """
        value = str(typed) if isinstance(typed, (int, float)) and not isinstance(typed, bool) else typed
        # Braces mark template fields, and a user's text must never act as a template.
        plain = isinstance(value, str) and value.isprintable() and not set(value) & set("{}")
        if not plain or not 0 < len(value) <= _LONGEST:
            raise ChoiceRefused(f"{self.display_name}: {shown(typed)} is not a line of plain text without braces.")
        # Match the whole text. KubeSpawner matches only its beginning.
        if self.validation_regex and not re.fullmatch(self.validation_regex, value):
            expected = self.validation_message or f"it must match {self.validation_regex}"
            raise ChoiceRefused(f"{self.display_name}: {shown(typed)} is not allowed. {expected}")
        return {name: filled_in(template, value) for name, template in self.yarnspawner_override.items()}


@dataclass(frozen=True)
class Option:
    """An option of a profile."""

    display_name: str
    choices: Mapping[str, Choice] = field(default_factory=dict)
    unlisted_choice: UnlistedChoice | None = None

    @property
    def default(self) -> str:
        """The slug of the default choice; "" if there are no choices."""
        return next((slug for slug, choice in self.choices.items() if choice.default), next(iter(self.choices), ""))

    def override(self, chosen: Any, typed: Any) -> Override:
        """Return the settings that a user's answer overrides.

        Args:
            chosen: a choice's slug; None for the default choice.
            typed: the text that the user typed in instead; None for none.

        Raises:
            ChoiceRefused: the choice does not exist, text is missing, or text is not allowed.
        """
        if typed is not None:
            if self.unlisted_choice is None:
                raise ChoiceRefused(f"{self.display_name}: {shown(typed)} is not offered; {self._offered}.")
            if chosen not in (None, UNLISTED_CHOICE):
                raise ChoiceRefused(f"{self.display_name}: either {shown(chosen)} or {shown(typed)}, not both.")
            return self.unlisted_choice.override(typed)
        slug = self.default if chosen is None else chosen
        if not isinstance(slug, str) or slug not in self.choices:
            asked = f"{shown(slug)} is not offered; " if chosen not in (None, UNLISTED_CHOICE) else ""
            raise ChoiceRefused(f"{self.display_name}: {asked}{self._offered}.")
        return self.choices[slug].yarnspawner_override

    def offered_to(self, user: str, groups: Collection[str]) -> Option | None:
        """Return the part that a user is offered; None for nothing."""
        choices = {slug: one for slug, one in self.choices.items() if one.audience.includes(user, groups)}
        return replace(self, choices=choices) if choices or self.unlisted_choice else None

    @property
    def _offered(self) -> str:
        listed = f"choose from {', '.join(self.choices)}" if self.choices else ""
        free = f"fill in {self.unlisted_choice.display_name}" if self.unlisted_choice else ""
        return " or ".join(filter(None, (listed, free)))


@dataclass(frozen=True)
class Profile:
    """A profile that users may choose."""

    display_name: str
    slug: str
    description: str = ""
    default: bool = False
    yarnspawner_override: Override = field(default_factory=dict)
    profile_options: Mapping[str, Option] = field(default_factory=dict)
    audience: Audience = Audience()
    limits: Mapping[str, Limit | None] = field(default_factory=dict)

    def offered_to(self, user: str, groups: Collection[str]) -> Profile | None:
        """Return the part that a user is offered; None for nothing."""
        if not self.audience.includes(user, groups):
            return None
        options = {slug: option.offered_to(user, groups) for slug, option in self.profile_options.items()}
        return replace(self, profile_options={slug: option for slug, option in options.items() if option})


def filled_in(template: Any, value: str) -> Any:
    """Return an override with ``{value}`` replaced by the user's text."""
    if isinstance(template, str):
        return render_strict(template, {"value": value})
    if isinstance(template, Mapping):
        return {name: filled_in(part, value) for name, part in template.items()}
    if isinstance(template, (list, tuple)):
        return [filled_in(part, value) for part in template]
    return template
