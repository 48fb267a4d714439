"""Render the options page for an offer. No hub, no cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jinja2

from yarnspawner.common.units import LABELS, duration, text
from yarnspawner.options.limits import GIBIBYTE, ChoiceRefused, Limit, parse
from yarnspawner.options.profiles import Option, Override, Profile
from yarnspawner.options.selection import Offer, field_name

# The page shows sizes in GiB with six decimals. A number of bytes has at most 30 decimals in GiB.
_PARTS = 10**6
_DECIMALS = 30


@dataclass(frozen=True)
class LimitField:
    """A form field for a limit that the user may choose.

    Attributes:
        name: the field's name in the form.
        label: the label on the page.
        value: the preselected value.
        choices: value and text of each choice; empty for a number.
        minimum: lowest number; "" for no limit.
        maximum: highest number; "" for no limit.
        unit: unit of the number; "" for none.
    """

    name: str
    label: str
    value: str
    choices: Sequence[tuple[str, str]] = ()
    minimum: str = ""
    maximum: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Card:
    """A profile on the page, or the choice of limits if there are no profiles.

    Attributes:
        profile: the profile; None without profiles.
        selected: True if it is preselected.
        figures: the fixed resources of a server: ``["2 GiB", "1 core", "queue default"]``.
        facts: the state of its queue; "" if unknown.
        limits: the limits to choose.
        answers: the user's last choices by option; empty if the last choice was another profile.
    """

    profile: Profile | None
    selected: bool
    figures: Sequence[str]
    facts: str
    limits: Sequence[LimitField]
    answers: Mapping[str, Any]


def cards(
    offer: Offer,
    settings: Mapping[str, Any],
    user_options: Mapping[str, Any],
    *,
    queue_of: Callable[[str], str],
    facts: Mapping[str, str],
) -> list[Card]:
    """Return the cards that the page shows.

    Args:
        offer: what the user may choose from.
        settings: the spawner's settings, for those that a profile does not override.
        user_options: the user's last choice, checked.
        queue_of: fills in a queue's template.
        facts: the state of queues by name.
    """
    chosen = offer.profile(user_options.get("profile"))
    result = []
    profiles: Sequence[Profile | None] = offer.profiles or [None]
    for profile in profiles:
        own = {**settings, **(profile.yarnspawner_override if profile else {})}
        answers = user_options if profile is chosen else {}
        free = offer.limits_of(profile)
        fixed = {name: value for name, value in own.items() if name not in free}
        queue = fixed.get("queue")
        result.append(
            Card(
                profile,
                profile is chosen,
                figures(fixed, queue_of),
                facts.get(queue_of(queue), "") if isinstance(queue, str) else "",
                list(_limit_fields(offer, profile, own, answers, queue_of, facts)),
                answers,
            )
        )
    return result


def figures(settings: Mapping[str, Any], queue_of: Callable[[str], str]) -> list[str]:
    """Return the resources of a server with these settings, as text for users.

    Callables are left out, because only a start can evaluate them.
    """
    told = []
    for name in LABELS:
        try:
            value = parse(name, settings[name])
        except (KeyError, ChoiceRefused):
            continue
        if name == "queue":
            told.append(f"queue {queue_of(str(value))}")
        elif name == "node_label":
            told.extend([f"nodes {value}"] if value else [])
        elif name != "gpus" or value:
            told.append(text(name, value))
    lifetime = settings.get("maximum_lifetime")
    if isinstance(lifetime, int) and lifetime:
        told.append(f"ends after {duration(lifetime)}")
    return told


def render(
    paths: Sequence[str], offer: Offer, shown: Sequence[Card], user_options: Mapping[str, Any], notice: str
) -> str:
    """Return the page's HTML, from ``form.html``.

    Args:
        paths: template folders that are searched before yarnspawner's own.
        offer: see :func:`cards`.
        shown: the result of :func:`cards`.
        user_options: see :func:`cards`.
        notice: a message to the user; "" for none.
    """
    template = _environment(tuple(paths)).get_template("form.html")
    # Templates for KubeSpawner use profile_list and user_options. They expect exactly one default profile.
    profile_list = [replace(profile, default=profile is offer.default) for profile in offer.profiles]
    return template.render(cards=shown, notice=notice, profile_list=profile_list, user_options=user_options)


@lru_cache(maxsize=8)
def _environment(paths: tuple[str, ...]) -> jinja2.Environment:
    own = jinja2.PackageLoader("yarnspawner", "templates")
    loader = jinja2.ChoiceLoader([jinja2.FileSystemLoader(paths), own, jinja2.PrefixLoader({"yarnspawner": own})])
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(field_name=field_name, choice_text=_choice_text, typed_in=_typed_in)
    return environment


def _choice_text(display_name: str, override: Override) -> str:
    gets = ", ".join(figures(override, str))
    return f"{display_name} ({gets})" if gets else display_name


def _typed_in(option: Option, typed: Any) -> bool:
    """Return True if an option's text field counts, not its list."""
    return option.unlisted_choice is not None and (typed is not None or not option.choices)


def _limit_fields(
    offer: Offer,
    profile: Profile | None,
    settings: Mapping[str, Any],
    answers: Mapping[str, Any],
    queue_of: Callable[[str], str],
    facts: Mapping[str, str],
) -> Iterator[LimitField]:
    for name, limit in offer.limits_of(profile).items():
        value = _value(name, answers.get(name, settings.get(name)))
        cluster_maximum = offer.cluster_maximum.get(name)
        if limit.values:
            words = {offered: text(name, offered) for offered in limit.offered(cluster_maximum)}
            if name == "queue":
                queues = {offered: queue_of(str(offered)) for offered in words}
                words = {
                    offered: f"{queue}: {facts[queue]}" if queue in facts else queue
                    for offered, queue in queues.items()
                }
            elif name == "node_label":
                words = {offered: str(offered) or "any" for offered in words}
            choices = [(str(offered), word) for offered, word in words.items()]
            yield LimitField(field_name(profile, name), LABELS[name], str(value), choices)
        elif limit.minimum or limit.upper_bound(cluster_maximum) != 0:  # the cluster has none of it
            yield _number_field(field_name(profile, name), limit, value, limit.upper_bound(cluster_maximum))


def _number_field(field: str, limit: Limit, value: int | str | None, upper_bound: int | None) -> LimitField:
    ends = (limit.minimum, upper_bound)
    number = value if isinstance(value, int) else limit.minimum
    number = max(limit.minimum, number if upper_bound is None else min(number, upper_bound))
    if limit.name == "mem_limit":
        least, end, now = _gibibytes(limit.minimum, upper_bound, number)
        return LimitField(f"{field}--gib", LABELS[limit.name], now, minimum=least, maximum=end, unit="GiB")
    least, end, now = ("" if size is None else str(size) for size in (*ends, number))
    return LimitField(field, LABELS[limit.name], now, minimum=least, maximum=end)


def _gibibytes(least: int, upper_bound: int | None, now: int) -> tuple[str, str, str]:
    """Return minimum, maximum and value, in bytes, as text in GiB. Rounding never leaves the range."""
    minimum = _rounded(least, up=True)
    maximum = None if upper_bound is None else _rounded(upper_bound)
    if maximum is not None and minimum > maximum:  # no rounded number is in the range, so show exact ones
        minimum, maximum = (Fraction(size, GIBIBYTE) for size in (least, max(least, upper_bound or 0)))
    value = max(minimum, Fraction(round(Fraction(now * _PARTS, GIBIBYTE)), _PARTS))
    value = value if maximum is None else min(value, maximum)
    return _decimal(minimum), "" if maximum is None else _decimal(maximum), _decimal(value)


def _rounded(size: int, *, up: bool = False) -> Fraction:
    parts = size * _PARTS
    return Fraction(-(-parts // GIBIBYTE) if up else parts // GIBIBYTE, _PARTS)


def _decimal(size: Fraction) -> str:
    """Return the exact decimal text of a number. Its denominator must divide a power of ten."""
    whole, rest = divmod(size * 10**_DECIMALS, 10**_DECIMALS)
    return f"{whole}.{int(rest):0{_DECIMALS}}".rstrip("0").rstrip(".")


def _value(name: str, written: Any) -> int | str | None:
    try:
        return parse(name, written)
    except ChoiceRefused:
        return None
