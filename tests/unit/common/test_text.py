"""Text from others becomes fit for a page, a log or a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import many
from yarnspawner.common.ids import checked_application_id, is_application_id
from yarnspawner.common.text import one_line, printable, sanitize, truncate


def test_control_characters() -> None:
    """Control characters, escape sequences and bidirectional overrides are removed; newlines stay."""
    assert sanitize("\x1b[31mred\x1b[0m\r\nnext\x00\x07\u202eli\u2028ne", 100) == "red\nnextline"


def test_secrets() -> None:
    """The values of tokens and passwords are left out."""
    log = "JUPYTERHUB_API_TOKEN=abc123 http://h/?token=abc123&x=1 Authorization: token abc123 {'password': 'abc123'}"
    assert "abc123" not in sanitize(log, 1000)


def test_stack_traces() -> None:
    """Java stack traces are left out unless a caller keeps them."""
    text = "failed\n\tat a.B.c(B.java:1)\n\t... 2 more\nCaused by: nothing"
    assert sanitize(text, 100) == "failed\nCaused by: nothing"
    assert "at a.B.c(B.java:1)" in sanitize(text, 100, keep_stack=True)


def test_truncation() -> None:
    """A long text keeps its beginning and its end."""
    text = sanitize("begin" + "x" * 10_000 + "end", 100)
    assert text.startswith("begin") and text.endswith("end") and len(text) < 120
    assert truncate("short", 5) == "short"


def test_one_line() -> None:
    """Lines are joined by spaces."""
    assert one_line("a\nb\r\nc", 100) == "a b c"
    assert "\n" not in one_line("x" * 1000, 10)


def test_printable() -> None:
    """A space takes the place of each character that a terminal would act on."""
    assert printable("a\nb\x1bc\u202ed") == "a b c d"


@given(said=st.text(), limit=st.integers(40, 500))
@many()
def test_fuzz_sanitize(said: str, limit: int) -> None:
    """Any text becomes printable and short, and stays as it is the second time."""
    text = sanitize(said, limit)
    assert len(text) <= limit + 10
    assert all(line.isprintable() for line in text.split("\n"))
    assert sanitize(text, limit + 10) == text


@pytest.mark.parametrize("text", ["application_1_2\n", "application_1_2/..", "application_\u0661_2", "job_1_2", ""])
def test_application_ids(text: str) -> None:
    """Only the exact form of an application id is accepted."""
    assert is_application_id("application_1763890000000_0001")
    assert not is_application_id(text)
    with pytest.raises(ValueError, match="not an application id"):
        checked_application_id(text)
