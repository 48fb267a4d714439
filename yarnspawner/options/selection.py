"""Turn a user's choice into overridden settings, or refuse it. Pure: no I/O, no hub, no cluster.

Forms and the REST API both use this module. It trusts neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yarnspawner.common.units import shown
from yarnspawner.options.limits import ChoiceRefused, Limit
from yarnspawner.options.profiles import UNLISTED_CHOICE, Override, Profile

_PREFIX = "profile-option-"


@dataclass(frozen=True)
class Offer:
    """The profiles and limits that one user may choose from.

    Attributes:
        profiles: the profiles in the admin's order.
        limits: the limits to choose, unless a profile overrides them.
        cluster_maximum: the cluster's maximum for one server, by setting. Unknown maxima are missing.
        to_others: True if other users have an offer. Users without an offer then may not choose anything.
    """

    profiles: Sequence[Profile] = ()
    limits: Mapping[str, Limit] = field(default_factory=dict)
    cluster_maximum: Mapping[str, int] = field(default_factory=dict)
    to_others: bool = False

    def __bool__(self) -> bool:
        return bool(self.profiles or self.limits)

    @property
    def decides(self) -> bool:
        """True if choices are checked against this offer. Otherwise the admin's own code handles the options."""
        return bool(self) or self.to_others

    @property
    def default(self) -> Profile | None:
        """The default profile; None if there are no profiles."""
        return next((profile for profile in self.profiles if profile.default), next(iter(self.profiles), None))

    def limits_of(self, profile: Profile | None) -> dict[str, Limit]:
        """Return the limits that a user may choose with a profile."""
        own = profile.limits if profile else {}
        return {name: limit for name, limit in {**self.limits, **own}.items() if limit}

    def profile(self, slug: Any) -> Profile | None:
        """Return the profile with a slug; the default profile for None.

        Raises:
            ChoiceRefused: the profile is not offered.
        """
        if slug is None:
            return self.default
        for profile in self.profiles:
            if profile.slug == slug:
                return profile
        offered = ", ".join(profile.slug for profile in self.profiles)
        raise ChoiceRefused(
            f"The profile {shown(slug)} is not offered to you" + (f"; choose from {offered}." if offered else ".")
        )


@dataclass(frozen=True)
class Selection:
    """A user's choice.

    Attributes:
        profile: the profile; None if there are no profiles.
        overrides: the settings that the choice overrides. Later ones take precedence.
    """

    profile: Profile | None
    overrides: Sequence[Override]


def select(offer: Offer, user_options: Mapping[str, Any]) -> Selection:
    """Check a user's choice, and return the selection.

    Args:
        offer: what that user may choose from.
        user_options: from a form or the REST API: ``{"profile": "large", "image": "spark", "mem_limit": "3 G"}``.

    Raises:
        ChoiceRefused: a profile, choice or key is unknown, or a value is not allowed. The message names it.
    """
    asked = {key: value for key, value in user_options.items() if value is not None}
    profile = offer.profile(asked.pop("profile", None))
    overrides = [profile.yarnspawner_override] if profile else []
    for slug, option in profile.profile_options.items() if profile else ():
        overrides.append(option.override(asked.pop(slug, None), asked.pop(f"{slug}--{UNLISTED_CHOICE}", None)))
    limits = offer.limits_of(profile)
    overrides.append(
        {
            name: limit.check(asked.pop(name), offer.cluster_maximum.get(name))
            for name, limit in limits.items()
            if name in asked
        }
    )
    if asked:
        where = f" with the profile {profile.slug}" if profile else ""
        raise ChoiceRefused(f"There is no {shown(next(iter(asked)))} to choose{where}.")
    return Selection(profile, overrides)


def field_name(profile: Profile | None, key: str) -> str:
    """Return the name of an option's form field. It is the same as KubeSpawner's."""
    return f"{_PREFIX}{profile.slug}--{key}" if profile else key


def read_form(offer: Offer, form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return the user's options from the form's fields.

    Ignore the fields of profiles that the user did not choose. Also accept keys without their prefix, as in the REST
    API, so that a link can contain them.

    Args:
        offer: what the user may choose from.
        form: each field's values.

    Raises:
        ChoiceRefused: a profile is unknown, or a field occurs twice.
    """
    fields = {}
    for key, values in form.items():
        if len(values) != 1:
            raise ChoiceRefused(f"{shown(key)} comes {len(values)} times.")
        # Browsers post fields that the user left empty.
        if key != "_xsrf" and values[0] not in ("", b""):
            fields[key] = values[0]
    profile = offer.profile(fields.get("profile"))
    others = tuple(field_name(other, "") for other in offer.profiles if other is not profile)
    prefix = field_name(profile, "")
    options = {key.removeprefix(prefix): value for key, value in fields.items() if not key.startswith(others)}
    if "mem_limit--gib" in options:
        options["mem_limit"] = f"{options.pop('mem_limit--gib')} G"
    for slug, option in profile.profile_options.items() if profile else ():
        _settle(options, slug, listed=bool(option.choices))
    return options


def _settle(options: dict[str, Any], slug: str, *, listed: bool) -> None:
    """Keep either the choice from the list or the text field's value."""
    typed = f"{slug}--{UNLISTED_CHOICE}"
    if options.get(slug) == UNLISTED_CHOICE:
        # Without a text, keep the marker: the check refuses it and says what is missing.
        if typed in options:
            del options[slug]
    elif listed and slug in options:
        options.pop(typed, None)
