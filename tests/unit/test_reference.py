"""The reference page."""

import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    specification = importlib.util.spec_from_file_location("reference", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_page_is_current(reference):
    """The reference page is what scripts/reference makes of the settings."""
    assert reference.PAGE.read_text() == reference.page(), "run scripts/reference"


def test_examples_and_links(reference):
    """Every setting has an example, and every link leads to a setting."""
    entries = re.split(r"^### ", reference.page(), flags=re.MULTILINE)[1:]
    names = {entry.partition("`")[2].partition("`")[0] for entry in entries}
    assert len(names) > 35
    for entry in entries:
        assert re.search(r"[Ee]xample|for instance|```python", entry), entry
        assert set(re.findall(r"\]\(#(\w+)\)", entry)) <= names, entry


def test_help_becomes_markdown(reference):
    """References, literals and code blocks in a help text become Markdown."""
    text = """
        See :attr:`queue` and ``x``. Example::

            c.X = {
                "a": 1
            }

        More.
        """
    assert (
        reference.markdown(text)
        == 'See [`queue`](#queue) and `x`. Example:\n\n```python\nc.X = {\n    "a": 1\n}\n```\n\nMore.'
    )


def test_versions_become_markdown(reference):
    """Directives for versions become sentences."""
    text = "Text.\n\n.. versionadded:: 1.0\n\n.. versionchanged:: 1.1\n    More.\n"
    assert reference.markdown(text) == "Text.\n\n*Added in version 1.0.*\n\n*Changed in version 1.1:* More."
