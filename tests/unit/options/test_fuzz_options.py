"""Whatever is posted, nobody gets what is not offered, and nothing but a refusal comes of it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from traitlets import TraitError

from tests.support.fuzzing import JSON, SCALARS, TRAPS, many
from yarnspawner.common.units import LABELS, shown, text
from yarnspawner.options.form import _number_field
from yarnspawner.options.limits import ChoiceRefused, Limit, ProfileError, parse
from yarnspawner.options.profile_list import read_profiles, slug_of
from yarnspawner.options.selection import Offer, read_form, select

GIB = 2**30
OVERRIDABLE = {"mem_limit", "cpu_limit", "queue", "environment", "node_label"}
PROFILES = read_profiles(
    [
        {"display_name": "Small", "yarnspawner_override": {"mem_limit": "1 G"}},
        {
            "display_name": "Own",
            "yarnspawner_override": {
                "mem_limit_choices": {"minimum": "1 G", "maximum": "4 G"},
                "cpu_limit_choices": [1, 2],
                "queue_choices": ["default", "root.{username}"],
            },
            "profile_options": {
                "image": {
                    "display_name": "Image",
                    "choices": {
                        "a": {"display_name": "A", "yarnspawner_override": {"environment": {"IMAGE": "a"}}},
                        "b": {"display_name": "B", "allowed_groups": ["few"]},
                    },
                    "unlisted_choice": {
                        "enabled": True,
                        "display_name": "Other",
                        "validation_regex": "[a-z]+",
                        "yarnspawner_override": {"environment": {"IMAGE": "{value}"}},
                    },
                }
            },
        },
        {"display_name": "Secret", "allowed_users": ["bob"], "yarnspawner_override": {"mem_limit": "64 G"}},
    ],
    OVERRIDABLE,
    free={"environment"},
)
OFFER = Offer(
    [mine for profile in PROFILES if (mine := profile.offered_to("alice", []))],
    {"node_label": Limit.read("node_label", ["", "gpu"])},
    {"mem_limit": 3 * GIB, "cpu_limit": 8},
)
KEYS = [
    "profile",
    "mem_limit",
    "cpu_limit",
    "gpus",
    "queue",
    "node_label",
    "image",
    "image--unlisted-choice",
    "cmd",
    "profile-option-own--image",
    "profile-option-own--mem_limit",
    "profile-option-own--mem_limit--gib",
    "profile-option-secret--image",
    "hadoop_user",
    "__class__",
    "_xsrf",
]
VALUES = (
    st.sampled_from(
        ["own", "small", "secret", "a", "b", "abc", "1 G", "2", 2, GIB, "64 G", "default", "gpu", "unlisted-choice"]
    )
    | st.sampled_from(TRAPS)
    | SCALARS
    | JSON
)
OPTIONS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=10), VALUES, max_size=5)


def check(selection):
    """Everything that a choice may bring, and nothing else."""
    assert selection.profile is None or selection.profile.slug in ("small", "own")
    brought = {}
    for override in selection.overrides:
        brought |= override
    assert set(brought) <= OVERRIDABLE
    if "mem_limit" in brought:
        size = brought["mem_limit"]
        assert size == "1 G" or (isinstance(size, int) and GIB <= size <= 3 * GIB)
    assert brought.get("cpu_limit", 1) in (1, 2)
    assert brought.get("queue", "default") in ("default", "root.{username}")
    assert brought.get("node_label", "") in ("", "gpu")
    image = brought.get("environment", {}).get("IMAGE", "a")
    assert image.isascii() and image.isalpha() and image.islower()


@given(options=OPTIONS)
@example({"profile": "own", "mem_limit": 10**400})
@example({"profile": "own", "cpu_limit": 10**4000})
@many(400)
def test_fuzz_posted_options(options):
    """Any posted options select only what is offered, or are refused with a printable message."""
    try:
        check(select(OFFER, options))
    except ChoiceRefused as refused:
        assert str(refused).isprintable() and len(str(refused)) < 1000


@given(
    form=st.dictionaries(
        st.sampled_from(KEYS) | st.text(max_size=10), st.lists(VALUES | st.binary(max_size=10), max_size=2), max_size=5
    )
)
@many(500)
def test_fuzz_posted_form(form):
    """Any posted form selects only what is offered, or is refused with a printable message."""
    try:
        check(select(OFFER, read_form(OFFER, form)))
    except ChoiceRefused as refused:
        assert str(refused).isprintable() and len(str(refused)) < 1000


@pytest.mark.parametrize("name", LABELS)
@given(asked=SCALARS | st.sampled_from(TRAPS) | st.from_regex(r"\d{1,20}(\.\d+)? ?[KMGTP]?", fullmatch=True))
@many(300)
def test_fuzz_limit(name, asked):
    """Any value of a limit becomes a readable number or text, or is refused."""
    try:
        value = parse(name, asked)
    except ChoiceRefused:
        return
    assert isinstance(value, (int, str))
    assert text(name, value).isprintable()
    assert not isinstance(value, int) or 0 <= value < 2**63


@given(
    written=JSON
    | st.lists(
        st.dictionaries(
            st.sampled_from(["display_name", "slug", "yarnspawner_override", "profile_options", "allowed_users"]), JSON
        )
    )
)
@many()
def test_fuzz_profile_list(written):
    """Any profile list can be read, or raises an error with an explanation."""
    try:
        read_profiles(written, OVERRIDABLE, free=set())
    except (ProfileError, TraitError) as error:
        assert str(error)


@given(name=st.text(min_size=1))
@many()
def test_fuzz_any_name_has_a_slug(name):
    """Any name has a slug of lower-case letters, digits and hyphens."""
    assert set(slug_of(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug_of(name)


@given(value=JSON)
@many()
def test_fuzz_anything_can_be_shown(value):
    """Any value has a short printable form for messages."""
    assert shown(value).isprintable() and len(shown(value)) <= 63


SIZES = st.integers(1, 2**45) | st.sampled_from([1500 * 2**20, 2744 * 2**20, 2**30, 3 * 2**30 + 1])


@given(st.sampled_from(["mem_limit", "cpu_limit", "gpus"]), SIZES, SIZES | st.none(), SIZES | st.none(), SIZES)
@example("mem_limit", 1500 * 2**20, 8 * 2**30, None, 0)
@example("mem_limit", 2**30, None, 2744 * 2**20, 2**40)
@example("mem_limit", 5, 5, None, 5)
@many()
def test_fuzz_shown_numbers(name, minimum, maximum, cluster_maximum, value):
    """The page accepts every number that it shows: the ends of a range and the field's first value."""
    ends = [end % 10**9 if name != "mem_limit" and end else end for end in (minimum, maximum, cluster_maximum)]
    limit = Limit(name, ends[0], None if ends[1] is None else max(ends[:2]))
    cluster_maximum = None if ends[2] is None else max(ends[0], ends[2])
    offer = Offer((), {name: limit}, {} if cluster_maximum is None else {name: cluster_maximum})
    field = _number_field(name, limit, value, limit.upper_bound(cluster_maximum))
    for shown_number in filter(None, (field.minimum, field.maximum, field.value)):
        if name == "mem_limit" or len(shown_number) <= 9:
            select(offer, read_form(offer, {field.name: [shown_number]}))  # or it raises ChoiceRefused


@given(st.integers(1, 2**30 * 10**3))
def test_fuzz_typed_size(thousandths):
    """A size of at most three decimals comes back as it was typed."""
    typed = f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")
    assert _number_field("mem_limit", Limit("mem_limit", 1, None), parse("mem_limit", f"{typed}G"), None).value == typed
