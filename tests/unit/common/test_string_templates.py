"""Templates in an admin's settings."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.common.string_templates import TemplateError, render_strict, substitute

FIELDS = {"username": "alice", "servername": ""}


def test_render():
    """Fields are replaced by their values."""
    assert render_strict("root.users.{username}{servername}", FIELDS) == "root.users.alice"


def test_doubled_braces():
    """Doubled braces are literal braces."""
    assert render_strict("{{x}}", FIELDS) == "{x}"


def test_unknown_field():
    """The error names the unknown field and the valid ones."""
    with pytest.raises(TemplateError, match=r"unknown field \{user\}; valid fields are \{servername\}, \{username\}"):
        render_strict("{user}", FIELDS)


@pytest.mark.parametrize(
    "template",
    ["{username.__class__}", "{0}", "{}", "{username[0]}", "{username!x}", "{username", "}", "{username:{x}}"],
)
def test_only_names(template):
    """Attributes, items, conversions and formats are refused."""
    with pytest.raises(TemplateError):
        render_strict(template, FIELDS)


def test_values_are_not_rendered():
    """Fields in a value stay as they are."""
    assert render_strict("{username}", {"username": "{servername}", "servername": "x"}) == "{servername}"


@given(st.text())
def test_any_text(template):
    """Any text is rendered or raises TemplateError."""
    try:
        assert isinstance(render_strict(template, FIELDS), str)
    except TemplateError:
        pass


SHELL = """awk '{print $1}' <<< "${username} ${servername:-x}"; f() { echo {}; }; {{username}}"""


def test_shell_braces_stay():
    """Braces of shell syntax stay as they are."""
    assert substitute(SHELL, FIELDS) == SHELL
    assert substitute("cd /data/{username} # {other}", FIELDS) == "cd /data/alice # {other}"


def test_json_braces_stay():
    """Braces of JSON syntax stay as they are."""
    assert substitute('{"user": "{username}", "a": {"b": {}}}', FIELDS) == '{"user": "alice", "a": {"b": {}}}'


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_name_is_one_shell_word(name):
    """Any user name becomes one word of the shell."""
    script = substitute("printf %s {username}", {"username": name}, quoted=shlex.quote)
    assert shlex.split(script)[2:] == [name]


def test_no_command_injection():
    """A user name cannot run a command."""
    name = "$(id)`id`'\"; id #"
    script = substitute("echo {username}", {"username": name}, quoted=shlex.quote)
    assert subprocess.check_output(["bash", "-c", script], text=True) == f"{name}\n"
