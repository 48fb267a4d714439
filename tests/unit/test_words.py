"""The check of words."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "words.py"


@pytest.fixture(scope="module")
def words():
    specification = importlib.util.spec_from_file_location("words", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def complaints(words, path, text):
    path.write_text(text)
    return [complaint.removeprefix(f"{path}:") for complaint in words.complaints(path, words.rules())]


def test_refused_word_in_page(words, tmp_path):
    """A refused word is reported with its line, also across a line break."""
    found = complaints(words, tmp_path / "page.md", "# Title\n\nThis is Meanwhile\nfor\never.\n")
    assert [complaint.partition(": ")[0] for complaint in found] == ["3", "4"]


def test_code_is_skipped(words, tmp_path):
    """Code, comments and the addresses of links are not checked."""
    page = "`meanwhile`, [a link](meanwhile.md)\n\n```sh\nmeanwhile\n```\n\n<!-- meanwhile -->\n"
    assert complaints(words, tmp_path / "page.md", page) == []


def test_python(words, tmp_path):
    """Strings and comments of Python are checked, names are not."""
    found = complaints(words, tmp_path / "module.py", 'meanwhile = "in vain"  # whoever\n')
    assert sorted(complaint.split("'")[1] for complaint in found) == ["in vain", "whoever"]


def test_long_sentence(words, tmp_path):
    """A sentence that is too long is reported; a list of short items is not."""
    long = " ".join(["word"] * (words.LONGEST + 1))
    assert complaints(words, tmp_path / "page.md", f"One.\n{long}.\n") == [
        f"2: a sentence of {words.LONGEST + 1} words"
    ]
    assert complaints(words, tmp_path / "page.md", "- one two three four\n" * 20) == []
