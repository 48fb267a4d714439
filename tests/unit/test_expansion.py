"""Templates in what an admin wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.expansion import TemplateError, expand

FIELDS = {"username": "alice", "servername": ""}


def test_fields_are_filled_in():
    assert expand("root.users.{username}{servername}", FIELDS) == "root.users.alice"


def test_doubled_braces_are_braces():
    assert expand("{{x}}", FIELDS) == "{x}"


def test_an_unknown_field_is_named_with_those_that_there_are():
    with pytest.raises(TemplateError, match=r"unknown field \{user\}; there are \{servername\}, \{username\}"):
        expand("{user}", FIELDS)


@pytest.mark.parametrize(
    "template",
    ["{username.__class__}", "{0}", "{}", "{username[0]}", "{username!x}", "{username", "}", "{username:{x}}"],
)
def test_more_than_a_name_is_refused(template):
    with pytest.raises(TemplateError):
        expand(template, FIELDS)


def test_what_a_field_stands_for_is_not_expanded_again():
    assert expand("{username}", {"username": "{servername}", "servername": "x"}) == "{servername}"


@given(st.text())
def test_any_text_is_expanded_or_refused(template):
    try:
        assert isinstance(expand(template, FIELDS), str)
    except TemplateError:
        pass
