"""What a user may choose for one setting, how it is written, and how it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.common.units import duration, shown, text
from yarnspawner.options.limits import GIBIBYTE, ChoiceRefused, Limit, ProfileError, parse


@pytest.mark.parametrize(
    ("name", "limit", "cluster_maximum", "least", "upper_bound"),
    [
        ("cpu_limit", Limit("cpu_limit", 2, 4), None, 2, 4),
        ("cpu_limit", Limit("cpu_limit", 2, 4), 3, 2, 3),
        ("cpu_limit", Limit("cpu_limit", 0), 3, 0, 3),
        ("cpu_limit", Limit("cpu_limit", values=(2, 3, 4)), 3, 2, 3),
        ("mem_limit", Limit("mem_limit", GIBIBYTE), None, GIBIBYTE, 2**63 - 1),
    ],
)
def test_ends_of_a_range(name, limit, cluster_maximum, least, upper_bound):
    """Both ends of a range are accepted, and values beyond them are refused."""
    for value in (least, upper_bound):
        assert limit.check(value, cluster_maximum) == value
    for value in (least - 1, upper_bound + 1):
        with pytest.raises(ChoiceRefused):
            limit.check(value, cluster_maximum)


@pytest.mark.parametrize(
    ("limit", "asked", "message"),
    [
        (Limit("gpus", 2), 1, "GPUs (gpus): 1 GPU is less than the 2 GPUs that you must ask for at least."),
        (Limit("gpus", 0, 2), 3, "GPUs (gpus): 3 GPUs is more than the 2 GPUs that you may have."),
        (Limit("gpus"), 9, "GPUs (gpus): 9 GPUs is more than the 4 GPUs that the cluster gives to one server."),
        (Limit("gpus", values=(1, 2)), 3, "GPUs (gpus): 3 GPUs is not offered; choose from 1 GPU, 2 GPUs."),
        (Limit("gpus"), "many", "GPUs (gpus): many is not a whole number."),
    ],
)
def test_message_of_a_refusal(limit, asked, message):
    """A refusal names the bound, or the list of values, from which a user can choose."""
    with pytest.raises(ChoiceRefused) as refused:
        limit.check(asked, 4)
    assert str(refused.value) == message


def test_a_name_has_no_cluster_maximum():
    """Only numbers are compared with what the cluster gives."""
    limit = Limit.read("queue", ("default", "fast", "default"))
    assert limit.values == tuple(limit.offered(1)) == ("default", "fast")
    assert limit.check("fast", 1) == "fast"


def test_list_within_cluster_maximum():
    """A list is offered up to the cluster's maximum, which is included."""
    limit = Limit.read("cpu_limit", [1, "2", 4])
    assert [limit.offered(cluster_maximum) for cluster_maximum in (None, 2, 0)] == [[1, 2, 4], [1, 2], []]


@pytest.mark.parametrize(
    ("maximum", "cluster_maximum", "upper_bound"), [(4, 8, 4), (8, 4, 4), (None, 4, 4), (4, None, 4)]
)
def test_upper_bound(maximum, cluster_maximum, upper_bound):
    """The upper bound of a range is the lower one of the setting's and the cluster's maximum."""
    assert Limit("cpu_limit", 1, maximum).upper_bound(cluster_maximum) == upper_bound


@pytest.mark.parametrize("written", [None, [], {}, ""])
def test_no_choices_are_no_limit(written):
    """An empty list offers nothing to choose."""
    assert Limit.read("queue", written) is None


def test_a_range_is_read_from_its_ends():
    """An end that is not written is one, or the cluster's."""
    assert Limit.read("cpu_limit", {"minimum": 2, "maximum": "2"}) == Limit("cpu_limit", 2, 2)
    assert Limit.read("cpu_limit", {"minimum": 2}) == Limit("cpu_limit", 2, None)
    assert Limit.read("mem_limit", {"maximum": "1 K"}) == Limit("mem_limit", 1, 1024)


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("cpu_limit", {"minimum": 4, "maximum": 2}, "the minimum 4 cores is above the maximum."),
        ("cpu_limit", {"minimum": 1, "most": 2}, "unknown key 'most'; a range has minimum and maximum."),
        ("cpu_limit", 5, "neither a list nor a range: 5."),
        ("mem_limit", ["1 X"], 'Memory (mem_limit): 1 X is not a size; write for instance "4 G".'),
        ("queue", {"minimum": "a"}, "there is no range of names; write a list."),
    ],
)
def test_a_wrong_limit_is_explained(name, written, message):
    """The admin learns which setting is wrong, and why."""
    with pytest.raises(ProfileError) as wrong:
        Limit.read(name, written)
    assert str(wrong.value) == f"{name}_choices: {message}"


@pytest.mark.parametrize(
    ("name", "asked", "value"),
    [
        ("cpu_limit", 0, 0),
        ("cpu_limit", " 4 ", 4),
        ("cpu_limit", "123456789", 123456789),
        ("cpu_limit", 2**63 - 1, 2**63 - 1),
        ("mem_limit", " 0.5 G ", GIBIBYTE // 2),
        ("mem_limit", "1.5", 1),
        ("mem_limit", "2 M", 2**21),
        ("mem_limit", str(10**15 - 1), 10**15 - 1),
        ("mem_limit", "8388607.999 T", 8388607999 * 2**40 // 1000),
        ("queue", "a b", "a b"),
    ],
)
def test_a_value_is_read(name, asked, value):
    """Spaces do not count around a number."""
    assert parse(name, asked) == value


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("cpu_limit", -1),
        ("cpu_limit", 2**63),
        ("cpu_limit", "1234567890"),
        ("cpu_limit", False),
        ("cpu_limit", 1.0),
        ("cpu_limit", "1 G"),
        ("gpus", None),
        ("mem_limit", 2**63),
        ("mem_limit", "8388608 T"),
        ("mem_limit", "1 g"),
        ("mem_limit", 1.5),
        ("queue", ["default"]),
    ],
)
def test_no_other_value_is_read(name, asked):
    """Too large a number is refused as well as a text that is none."""
    with pytest.raises(ChoiceRefused):
        parse(name, asked)


@pytest.mark.parametrize(
    "written",
    ["8 G", 5, {"max": 1}, {"minimum": 4, "maximum": 2}, {"minimum": "x"}, [None], ["a"], {"maximum": -1}],
)
def test_invalid_limits(written):
    """The error for invalid limits names their setting."""
    with pytest.raises(ProfileError, match="cpu_limit_choices: "):
        Limit.read("cpu_limit", written)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (GIBIBYTE, "1 GiB"),
        (3 * GIBIBYTE // 2, "1.5 GiB"),
        (1234567890, "1.15 GiB"),
        (2**20, "1 MiB"),
        (1, "1 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (2**40, "1 TiB"),
        (2**52, "4096 TiB"),
    ],
)
def test_sizes_are_told_as_people_do(size, words):
    """A size has the largest unit of which it is at least one, and two decimals."""
    assert text("mem_limit", size) == words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cpu_limit", 1, "1 core"),
        ("cpu_limit", 2, "2 cores"),
        ("gpus", 1, "1 GPU"),
        ("gpus", 0, "0 GPUs"),
        ("queue", "default", "default"),
    ],
)
def test_numbers_have_a_unit(name, value, words):
    """Numbers are shown with their unit, which is singular for one; a name stays as it is."""
    assert text(name, value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-60, "0 min"),
        (29, "0 min"),
        (31, "1 min"),
        (59 * 60, "59 min"),
        (3600, "1 h"),
        (3900, "1 h 05 min"),
        (12 * 3600, "12 h"),
    ],
)
def test_text_of_durations(seconds, words):
    """Durations are shown in hours and minutes; minutes are left out if there are none."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("default", "default"),
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        (5, "5"),
        ("x" * 63, "x" * 63),
        ("x" * 64, "x" * 60 + "..."),
    ],
)
def test_shown_value_is_one_line(value, words):
    """A message shows any posted value on one short line."""
    assert shown(value) == words


@given(st.integers(1, 2**20), st.sampled_from("KMGT"))
def test_space_before_a_unit(number, unit):
    """Memory means the same with and without a space, and a unit is a power of 1024."""
    factor = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}[unit]
    assert parse("mem_limit", f"{number} {unit}") == parse("mem_limit", f"{number}{unit}") == number * factor


def test_memory_in_bytes():
    """Memory without a unit is in bytes, as a number and as text."""
    assert parse("mem_limit", "1024") == parse("mem_limit", 1024) == 1024


def test_a_range_of_gpus_begins_at_none():
    """Who may choose GPUs may choose none, and the page offers no more than the cluster gives."""
    limit = Limit.read("gpus", {"maximum": 8})
    assert (limit.minimum, limit.check(0), limit.upper_bound(2), limit.upper_bound(None)) == (0, 0, 2, 8)


@pytest.mark.parametrize("asked", ["3\x1f", "\x1c3", " 3\n"])
def test_separators(asked):
    """What Python's strip() takes for a space does not break a number."""
    assert parse("cpu_limit", asked) == 3
