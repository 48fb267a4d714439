"""From what a user asks for to the settings that it brings, or a refusal. Pure: no I/O, no hub, no cluster.

Forms and the REST API come through here alike: nothing is believed of either.
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
    """All that one user may choose from.

    Attributes:
        profiles: in the admin's order.
        limits: that users may choose, where their profile says nothing else.
        ceiling: the most that the cluster gives to one server, by setting; without what is not known.
        to_others: whether others are offered something; who is offered nothing then must not ask for anything.
    """

    profiles: Sequence[Profile] = ()
    limits: Mapping[str, Limit] = field(default_factory=dict)
    ceiling: Mapping[str, int] = field(default_factory=dict)
    to_others: bool = False

    def __bool__(self) -> bool:
        return bool(self.profiles or self.limits)

    @property
    def decides(self) -> bool:
        """Whether what a user asks for is checked against it; else options are the admin's own business."""
        return bool(self) or self.to_others

    @property
    def default(self) -> Profile | None:
        """The profile of who does not choose."""
        return next((profile for profile in self.profiles if profile.default), next(iter(self.profiles), None))

    def limits_of(self, profile: Profile | None) -> dict[str, Limit]:
        """What may be chosen with a profile."""
        own = profile.limits if profile else {}
        return {name: limit for name, limit in {**self.limits, **own}.items() if limit}

    def profile(self, slug: Any) -> Profile | None:
        """The profile that a user asked for.

        Raises:
            ChoiceRefused: it is not offered.
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
    """What a user has chosen.

    Attributes:
        profile: None where there are none.
        overrides: the settings that it brings; later ones count.
    """

    profile: Profile | None
    overrides: Sequence[Override]


def select(offer: Offer, user_options: Mapping[str, Any]) -> Selection:
    """Check what a user asks for.

    Args:
        offer: what that user may choose from.
        user_options: of a form or the REST API: ``{"profile": "large", "image": "spark", "mem_limit": "3 G"}``.

    Raises:
        ChoiceRefused: an unknown profile, choice or key, or a value that is not allowed; the message names it.
    """
    asked = {key: value for key, value in user_options.items() if value is not None}
    profile = offer.profile(asked.pop("profile", None))
    overrides = [profile.yarnspawner_override] if profile else []
    for slug, option in profile.profile_options.items() if profile else ():
        overrides.append(option.override(asked.pop(slug, None), asked.pop(f"{slug}--{UNLISTED_CHOICE}", None)))
    limits = offer.limits_of(profile)
    overrides.append(
        {name: limit.check(asked.pop(name), offer.ceiling.get(name)) for name, limit in limits.items() if name in asked}
    )
    if asked:
        where = f" with the profile {profile.slug}" if profile else ""
        raise ChoiceRefused(f"There is no {shown(next(iter(asked)))} to choose{where}.")
    return Selection(profile, overrides)


def field_name(profile: Profile | None, key: str) -> str:
    """The name of an option's field in the form, as in KubeSpawner's."""
    return f"{_PREFIX}{profile.slug}--{key}" if profile else key


def read_form(offer: Offer, form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The user's options from the form's fields.

    Fields of the profiles that were not chosen do not count. Keys are also understood without their prefix, as they
    are in the REST API, so that a link can bring them.

    Args:
        offer: what the user may choose from.
        form: each field's values.

    Raises:
        ChoiceRefused: an unknown profile, or a field that comes twice.
    """
    fields = {}
    for key, values in form.items():
        if len(values) != 1:
            raise ChoiceRefused(f"{shown(key)} comes {len(values)} times.")
        # An empty field is one that was not filled in.
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
    """Keep either the choice from the list or the text beside it."""
    typed = f"{slug}--{UNLISTED_CHOICE}"
    if options.get(slug) == UNLISTED_CHOICE:
        # Without a text the mark itself is refused, and what is missing is said.
        if typed in options:
            del options[slug]
    elif listed and slug in options:
        options.pop(typed, None)
