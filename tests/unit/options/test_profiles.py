"""What an admin offers, and what becomes of what users ask for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.options.limits import ChoiceRefused, Limit, ProfileError
from yarnspawner.options.profile_list import read_profiles, slug_of
from yarnspawner.options.selection import Offer, field_name, read_form, select

GIB = 2**30
SETTINGS = {"mem_limit", "cpu_limit", "queue", "environment", "prologue", "script_template", "container_image"}
FREE = SETTINGS - {"script_template"}

PROFILES = [
    {
        "display_name": "Small",
        "description": "To look at data",
        "yarnspawner_override": {"mem_limit": "1 G"},
    },
    {
        "display_name": "Spark on YARN",
        "slug": "spark",
        "yarnspawner_override": {"mem_limit": "4 G", "environment": {"A": "profile"}},
        "profile_options": {
            "version": {
                "display_name": "Version",
                "choices": {
                    "3.4": {"display_name": "Spark 3.4", "yarnspawner_override": {"environment": {"SPARK": "3.4"}}},
                    "3.5": {
                        "display_name": "Spark 3.5",
                        "default": True,
                        "yarnspawner_override": {"environment": {"SPARK": "3.5"}},
                    },
                },
                "unlisted_choice": {
                    "enabled": True,
                    "display_name": "Other version",
                    "validation_regex": r"\d\.\d+",
                    "validation_message": "Write a version such as 3.3.",
                    "yarnspawner_override": {"environment": {"SPARK": "{value}", "BRACES": "{{x}}"}},
                },
            },
        },
    },
    {
        "display_name": "Large",
        "allowed_groups": ["analysts"],
        "allowed_users": ["carl"],
        "yarnspawner_override": {"mem_limit": "16 G", "cpu_limit_choices": {"minimum": 1, "maximum": 8}},
    },
]


def offer(profiles=PROFILES, user="alice", groups=(), limits=None, cluster_maximum=None):
    offered = [
        mine for profile in read_profiles(profiles, SETTINGS, free=FREE) if (mine := profile.offered_to(user, groups))
    ]
    read = {name: Limit.read(name, written) for name, written in (limits or {}).items()}
    return Offer(offered, read, cluster_maximum or {})


def chosen(options, **changes):
    """The settings that a choice brings, with dicts merged one level deep."""
    settings = {}
    for override in select(offer(**changes), options).overrides:
        for name, value in override.items():
            settings[name] = {**settings.get(name, {}), **value} if isinstance(value, dict) else value
    return settings


def refusal(options, **changes):
    with pytest.raises(ChoiceRefused) as refused:
        select(offer(**changes), options)
    return str(refused.value)


# -- Profiles


def test_first_profile_is_default():
    """A user who does not choose gets the first profile."""
    assert chosen({}) == {"mem_limit": "1 G"}


def test_marked_default_profile():
    """A user who does not choose gets the profile that the admin marks as the default."""
    profiles = [*PROFILES, {"display_name": "Usual", "default": True, "yarnspawner_override": {"cpu_limit": 2}}]
    assert chosen({}, profiles=profiles) == {"cpu_limit": 2}


def test_choice_extends_profile():
    """The settings of a choice are merged into the settings of its profile."""
    assert chosen({"profile": "spark", "version": "3.4"}) == {
        "mem_limit": "4 G",
        "environment": {"A": "profile", "SPARK": "3.4"},
    }


def test_default_of_an_option():
    """An option that the user does not set has its default."""
    assert chosen({"profile": "spark"})["environment"]["SPARK"] == "3.5"


def test_typed_text_fills_override():
    """A typed text is filled into the override, and doubled braces become single braces."""
    environment = chosen({"profile": "spark", "version--unlisted-choice": "3.3"})["environment"]
    assert environment == {"A": "profile", "SPARK": "3.3", "BRACES": "{x}"}


def test_typed_number():
    """A client may send a typed text as a number."""
    assert chosen({"profile": "spark", "version--unlisted-choice": 3.3})["environment"]["SPARK"] == "3.3"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"profile": "huge"}, "huge"),
        ({"profile": ["spark"]}, "spark"),
        ({"profile": "spark", "version": "2"}, "2 is not offered; choose from 3.4, 3.5 or fill in Other version"),
        ({"profile": "spark", "version": {"a": 1}}, "Version"),
        ({"profile": "spark", "version--unlisted-choice": "latest"}, "Write a version such as 3.3."),
        ({"profile": "spark", "version--unlisted-choice": "3.3; rm -rf ~"}, "Other version"),
        ({"profile": "spark", "version--unlisted-choice": "3.3\n"}, "Other version"),
        ({"profile": "spark", "version--unlisted-choice": ""}, "Other version"),
        ({"profile": "spark", "version--unlisted-choice": ["3.3"]}, "Other version"),
        ({"profile": "spark", "version--unlisted-choice": True}, "Other version"),
        ({"profile": "spark", "version": "3.4", "version--unlisted-choice": "3.3"}, "not both"),
        ({"profile": "spark", "version": "unlisted-choice"}, "fill in Other version"),
        ({"version": "3.4"}, "version"),
        ({"mem_limit": "100 G"}, "mem_limit"),
        ({"principal": "x"}, "principal"),
        ({"profile": "spark", "yarnspawner_override": {"mem_limit": "1 T"}}, "yarnspawner_override"),
    ],
)
def test_unoffered_choice_is_refused(options, named):
    """A choice that is not offered is refused, and the message names it."""
    assert named in refusal(options)


def test_no_text_without_free_choice():
    """An option without a free choice refuses a typed text."""
    profiles = [
        {"display_name": "P", "profile_options": {"o": {"display_name": "O", "choices": {"a": {"display_name": "A"}}}}}
    ]
    assert "x is not offered; choose from a" in refusal({"o--unlisted-choice": "x"}, profiles=profiles)


def test_required_text():
    """An option with only a free choice asks for its text."""
    unlisted = {"enabled": True, "display_name": "Image", "yarnspawner_override": {"container_image": "{value}"}}
    profiles = [
        {"display_name": "P", "profile_options": {"i": {"display_name": "Docker", "unlisted_choice": unlisted}}}
    ]
    assert refusal({}, profiles=profiles) == "Docker: fill in Image."
    assert chosen({"i--unlisted-choice": "a/b:1"}, profiles=profiles) == {"container_image": "a/b:1"}


@pytest.mark.parametrize("typed", ["{username}", "{value.__class__}", "{0}", "}", "a\0b", "x" * 257, "\u202egnp"])
def test_typed_text_is_one_plain_line(typed):
    """A typed text that is a template, too long or not a plain line is refused."""
    unlisted = {"enabled": True, "display_name": "Image", "yarnspawner_override": {"queue": "q.{value}"}}
    profiles = [
        {"display_name": "P", "profile_options": {"i": {"display_name": "Docker", "unlisted_choice": unlisted}}}
    ]
    assert "Image" in refusal({"i--unlisted-choice": typed}, profiles=profiles)


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"profile": "huge"}, {"profiles": []}, "The profile huge is not offered to you."),
        ({"gpus": 1}, {"profiles": []}, "There is no gpus to choose."),
        ({"profile": "spark", "gpus": 1}, {}, "There is no gpus to choose with the profile spark."),
        ({"gpus": 1}, {}, "There is no gpus to choose with the profile small."),
    ],
)
def test_a_refusal_says_what_is_offered(options, changes, message):
    """The message names the profile, where there is one."""
    assert refusal(options, **changes) == message


def test_null_value_is_ignored():
    """A key with the value null is ignored, because clients may write null for unset options."""
    assert chosen({"profile": None, "version": None, "principal": None}) == {"mem_limit": "1 G"}


def test_later_overrides_count():
    """A profile comes first, then its options in their order, then the limits."""
    limits = {"mem_limit": {"maximum": "8 G"}, "cpu_limit": [1, 2]}
    selection = select(offer(limits=limits), {"profile": "spark", "version": "3.4", "mem_limit": "2 G"})
    assert selection.profile.slug == "spark"
    assert selection.overrides == [
        {"mem_limit": "4 G", "environment": {"A": "profile"}},
        {"environment": {"SPARK": "3.4"}},
        {"mem_limit": 2 * GIB},
    ]


def test_who_gets_options_checked():
    """Options are checked if this user or another user is offered something, and otherwise not."""
    limits = {"cpu_limit": Limit("cpu_limit")}
    offers = [Offer(), Offer(to_others=True), Offer(limits=limits), Offer(offer().profiles)]
    assert [(bool(mine), mine.decides) for mine in offers] == [
        (False, False),
        (False, True),
        (True, True),
        (True, True),
    ]
    assert select(Offer(), {}).profile is None


# -- For whom


def test_profile_for_groups_and_users():
    """A profile may be offered to some groups and users only."""

    def slugs(user, groups):
        return [profile.slug for profile in offer(user=user, groups=groups).profiles]

    assert slugs("alice", ["interns"]) == ["small", "spark"]
    assert slugs("alice", ["interns", "analysts"]) == slugs("carl", []) == ["small", "spark", "large"]


def test_profile_of_other_users():
    """A profile for other users is refused as if it did not exist."""
    assert refusal({"profile": "large"}) == "The profile large is not offered to you; choose from small, spark."
    assert chosen({"profile": "large"}, groups=["analysts"]) == {"mem_limit": "16 G"}


def test_choice_for_groups():
    """A choice may be offered to some groups only, and another choice is then the default."""
    choices = {"a": {"display_name": "A", "allowed_groups": []}, "b": {"display_name": "B"}}
    profiles = [{"display_name": "P", "profile_options": {"o": {"display_name": "O", "choices": choices}}}]
    assert refusal({"o": "a"}, profiles=profiles) == "O: a is not offered; choose from b."
    assert select(offer(profiles=profiles), {}).profile.profile_options["o"].default == "b"


# -- Limits


def test_choice_within_a_range():
    """A user may choose memory and cores within the admin's range."""
    limits = {"mem_limit": {"minimum": "1 G", "maximum": "8 G"}, "cpu_limit": {"maximum": 4}}
    assert chosen({"mem_limit": "2.5 G", "cpu_limit": "3"}, profiles=[], limits=limits) == {
        "mem_limit": 5 * GIB // 2,
        "cpu_limit": 3,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mem_limit": "64 G"}, "Memory (mem_limit): 64 GiB is more than the 8 GiB that you may have."),
        ({"mem_limit": "1 M"}, "Memory (mem_limit): 1 MiB is less than the 1 GiB that you must ask for at least."),
        ({"mem_limit": "lots"}, 'Memory (mem_limit): lots is not a size; write for instance "4 G".'),
        ({"mem_limit": -1}, 'Memory (mem_limit): -1 is not a size; write for instance "4 G".'),
        ({"mem_limit": "nan G"}, 'Memory (mem_limit): nan G is not a size; write for instance "4 G".'),
        ({"mem_limit": True}, 'Memory (mem_limit): True is not a size; write for instance "4 G".'),
        ({"cpu_limit": "1.5"}, "Cores (cpu_limit): 1.5 is not a whole number."),
        ({"cpu_limit": 0}, "Cores (cpu_limit): 0 cores is less than the 1 core that you must ask for at least."),
        ({"queue": "root"}, "Queue (queue): root is not offered; choose from default, fast."),
        ({"queue": 5}, "Queue (queue): 5 is not a name."),
        ({"gpus": 1}, "There is no gpus to choose."),
    ],
)
def test_out_of_bounds_is_refused(options, message):
    """A value out of bounds is refused, and the message names the bound."""
    limits = {
        "mem_limit": {"minimum": "1 G", "maximum": "8 G"},
        "cpu_limit": {"maximum": 4},
        "queue": ["default", "fast"],
    }
    assert refusal(options, profiles=[], limits=limits) == message


def test_cluster_maximum():
    """A value above the cluster's maximum is refused, even if the admin's limits allow it."""
    for memory in ({"minimum": "1 G"}, {"minimum": "1 G", "maximum": "64 G"}, ["16 G"]):
        message = refusal(
            {"mem_limit": "16 G"}, profiles=[], limits={"mem_limit": memory}, cluster_maximum={"mem_limit": 8 * GIB}
        )
        assert message == ("Memory (mem_limit): 16 GiB is more than the 8 GiB that the cluster gives to one server.")


def test_limits_of_a_profile():
    """A profile may replace the general limits with its own or with none."""
    profiles = [
        {"display_name": "Fixed", "yarnspawner_override": {"cpu_limit_choices": None}},
        {"display_name": "Free", "yarnspawner_override": {"cpu_limit_choices": [16, 32]}},
        {"display_name": "Usual"},
    ]
    limits = {"cpu_limit": [1, 2]}
    assert refusal({"profile": "fixed", "cpu_limit": 1}, profiles=profiles, limits=limits).startswith("There is no")
    assert chosen({"profile": "free", "cpu_limit": 32}, profiles=profiles, limits=limits) == {"cpu_limit": 32}
    assert chosen({"profile": "usual", "cpu_limit": 2}, profiles=profiles, limits=limits) == {"cpu_limit": 2}


# -- What an admin may get wrong


def profile(**changes):
    return {"display_name": "P", **changes}


def option(**changes):
    return profile(profile_options={"o": {"display_name": "O", **changes}})


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("small", "profile_list is not a list"),
        ([5], r"profile_list\[0\] is not a dict"),
        ([{}], r"profile_list\[0\]: it needs a display_name"),
        ([profile(kubespawner_override={})], "write yarnspawner_override"),
        ([profile(yarnspawner_override={"memlimit": 1})], "'memlimit' is no setting that may be overridden"),
        ([profile(yarnspawner_override={"principal": "x"})], "'principal'"),
        ([profile(yarnspawner_override=5)], "yarnspawner_override is not a dict"),
        ([profile(slug="a b")], "slug"),
        ([profile(), profile()], "two profiles have the slug 'p'"),
        ([profile(allowed_groups="analysts")], "allowed_groups is not a list"),
        ([option()], "neither choices nor"),
        ([option(choices={"unlisted-choice": profile()})], "unlisted-choice"),
        ([option(choices={"a": {}})], "choice 'a': it needs a display_name"),
        ([option(choices={"a": profile(yarnspawner_override={"queue_choices": ["a"]})})], "by a profile alone"),
        ([option(unlisted_choice={"enabled": True, "display_name": "U", "validation_regex": "("})], "validation_regex"),
        ([profile(profile_options={"profile": {"display_name": "O", "choices": {"a": profile()}}})], "'profile'"),
        ([profile(yarnspawner_override={"cpu_limit_choices": 5})], "cpu_limit_choices"),
    ],
)
def test_profile_list_mistake_is_named(written, named):
    """A mistake in the profile list is refused, and the message says where it is."""
    with pytest.raises(ProfileError, match=named):
        read_profiles(written, SETTINGS, free=FREE)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"script_template": "{value}"}, "may not become a part of script_template"),
        ({"environment": {"X": "{other}"}}, "environment: .*unknown field {other}"),
        ({"environment": {"X": "{value.__class__}"}}, "unknown field"),
    ],
)
def test_where_text_is_not_allowed(override, named):
    """A free choice cannot fill the script template, and its override takes no unknown fields."""
    unlisted = {"enabled": True, "display_name": "U", "yarnspawner_override": override}
    with pytest.raises(ProfileError, match=named):
        read_profiles([option(unlisted_choice=unlisted)], SETTINGS, free=FREE)


@pytest.mark.parametrize(("name", "slug"), [("Small", "small"), ("Spark (3.5), large!", "spark-3-5-large")])
def test_a_slug_is_made_of_the_name(name, slug):
    """A slug consists of the name's lowercase letters and digits, with hyphens between them."""
    assert slug_of(name) == slug


def test_slugs_of_other_scripts():
    """Names in other scripts have different slugs."""
    assert len({slug_of("大"), slug_of("小"), slug_of("--")}) == 3


@given(st.text(min_size=1))
def test_slug_fits_a_form(name):
    """Every name has a stable ASCII slug without a double hyphen."""
    assert slug_of(name) == slug_of(name)
    assert "--" not in slug_of(name)
    assert slug_of(name).isascii()


# -- Forms


def test_link_with_text_only():
    """A typed text also counts if its list is not filled in."""
    form = {"profile": ["spark"], "version--unlisted-choice": ["3.3"]}
    assert read_form(offer(), form) == {"profile": "spark", "version--unlisted-choice": "3.3"}


def test_form_equals_rest_api():
    """A form gives the same options as the REST API."""
    mine = offer()
    form = {"profile": ["spark"], field_name(mine.profiles[1], "version"): ["3.4"]}
    assert read_form(mine, form) == {"profile": "spark", "version": "3.4"}


def test_link_without_prefixes():
    """The fields of a link need no prefixes."""
    assert read_form(offer(), {"profile": ["spark"], "version": ["3.4"]}) == {"profile": "spark", "version": "3.4"}


def test_fields_of_other_profiles():
    """The fields of profiles that the user did not choose are ignored."""
    form = {"profile": ["small"], "profile-option-spark--version": ["3.4"], "_xsrf": ["x"]}
    assert read_form(offer(), form) == {"profile": "small"}


@pytest.mark.parametrize(
    ("version", "typed", "options"),
    [
        ("unlisted-choice", "3.3", {"version--unlisted-choice": "3.3"}),
        ("3.4", "3.3", {"version": "3.4"}),
        ("unlisted-choice", "", {"version": "unlisted-choice"}),
    ],
)
def test_text_needs_free_choice(version, typed, options):
    """A typed text counts only if the list selects the free choice."""
    prefix = "profile-option-spark--version"
    form = {"profile": ["spark"], prefix: [version], f"{prefix}--unlisted-choice": [typed]}
    assert read_form(offer(), form) == {"profile": "spark", **options}


def test_form_memory_in_gibibytes():
    """The form's memory field is in gibibytes."""
    limits = {"mem_limit": {"maximum": "8 G"}}
    mine = offer(profiles=[], limits=limits)
    assert chosen(read_form(mine, {"mem_limit--gib": ["2.5"]}), profiles=[], limits=limits) == {
        "mem_limit": 5 * GIB // 2
    }


def test_profile_limits_in_form():
    """The fields of a profile's limits have its prefix, and fields without a profile have none."""
    mine = offer(groups=["analysts"])
    name = field_name(mine.profiles[2], "cpu_limit")
    assert (name, field_name(None, "cpu_limit")) == ("profile-option-large--cpu_limit", "cpu_limit")
    assert read_form(mine, {"profile": ["large"], name: ["4"]}) == {"profile": "large", "cpu_limit": "4"}
    assert read_form(mine, {name: ["4"]}) == {}
    assert read_form(mine, {"mem_limit--gib": ["2.5"]}) == {"mem_limit": "2.5 G"}


def test_an_empty_field_does_not_count():
    """A field that was not filled in, or whose file is empty, is left to its default."""
    form = {"profile": [""], "version": [b""], "cpu_limit": ["0"], "_xsrf": ["2|1"]}
    assert read_form(offer(), form) == {"cpu_limit": "0"}


def test_choice_and_text_without_list():
    """Without a list, the form's choice and text are both kept, and a later check refuses the choice by name."""
    unlisted = {"enabled": True, "display_name": "Image", "yarnspawner_override": {"container_image": "{value}"}}
    mine = offer(
        [{"display_name": "P", "profile_options": {"i": {"display_name": "Docker", "unlisted_choice": unlisted}}}]
    )
    form = {"i": ["a"], "i--unlisted-choice": ["b"]}
    assert read_form(mine, form) == {"i": "a", "i--unlisted-choice": "b"}
    assert read_form(mine, {**form, "i": ["unlisted-choice"]}) == {"i--unlisted-choice": "b"}


def test_field_without_value():
    """A form field without a value is refused, because every field comes once."""
    with pytest.raises(ChoiceRefused, match="profile comes 0 times"):
        read_form(offer(), {"profile": []})


def test_field_that_comes_twice():
    """A form that has a field twice is refused."""
    with pytest.raises(ChoiceRefused, match="profile comes 2 times"):
        read_form(offer(), {"profile": ["small", "spark"]})


# -- Whatever comes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(
    ["profile", "version", "version--unlisted-choice", "mem_limit", "cpu_limit", "queue", "principal", "environment"]
)
likely = st.sampled_from(["small", "spark", "large", "3.4", "3.3", "1 G", "9 G", "1024 T", 1, 2**40, "default", "a.b"])
LIMITS = {"mem_limit": {"minimum": "1 G", "maximum": "8 G"}, "cpu_limit": [1, 2], "queue": ["default"]}
ALLOWED = {"mem_limit", "cpu_limit", "queue", "environment"}


@given(st.dictionaries(keys | st.text(), likely | json_values, max_size=5))
def test_any_rest_request(options):
    """No request to the REST API changes a setting that is not offered, or exceeds a limit."""
    try:
        settings = chosen(options, limits=LIMITS)
    except ChoiceRefused as refused:
        message = str(refused)
    else:
        message = ""
        assert settings.keys() <= ALLOWED
        assert settings.get("mem_limit", "1 G") in ("1 G", "4 G") or GIB <= settings["mem_limit"] <= 8 * GIB
        assert settings.get("cpu_limit", 1) in (1, 2)
        assert settings.get("queue", "default") == "default"
        assert settings.get("environment", {}).keys() <= {"A", "SPARK", "BRACES"}
        json.dumps(settings)
    assert not message or (message.isprintable() and len(message) < 500)


@given(st.dictionaries(keys | st.text(), st.lists(likely | st.text(), max_size=2), max_size=5))
def test_any_form(form):
    """Every form is read or refused, without any other error."""
    try:
        options = read_form(offer(limits=LIMITS), form)
    except ChoiceRefused:
        return
    json.dumps(options)


@given(json_values)
def test_any_profile_list(written):
    """Every profile list is read or refused with a ProfileError."""
    for thing in (written, [written], [profile(profile_options=written)], [profile(yarnspawner_override=written)]):
        try:
            read_profiles(thing, SETTINGS, free=FREE)
        except ProfileError:
            continue
