"""Templates in what an admin wrote."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.common.string_templates import TemplateError, expand, substitute

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


SHELL = """awk '{print $1}' <<< "${username} ${servername:-x}"; f() { echo {}; }; {{username}}"""


def test_a_shells_own_braces_stay():
    assert substitute(SHELL, FIELDS) == SHELL
    assert substitute("cd /data/{username} # {other}", FIELDS) == "cd /data/alice # {other}"


def test_jsons_own_braces_stay():
    assert substitute('{"user": "{username}", "a": {"b": {}}}', FIELDS) == '{"user": "alice", "a": {"b": {}}}'


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_whatever_a_user_is_called_is_one_word_of_the_shell(name):
    script = substitute("printf %s {username}", {"username": name}, quoted=shlex.quote)
    assert shlex.split(script)[2:] == [name]


def test_a_name_cannot_run_a_command():
    name = "$(id)`id`'\"; id #"
    script = substitute("echo {username}", {"username": name}, quoted=shlex.quote)
    assert subprocess.check_output(["bash", "-c", script], text=True) == f"{name}\n"
