"""The page of tested versions."""

from localhadoop.jars import Lock
from tests.support.compatibility import BEGIN, END, PAGE, rows, with_row

FIRST = ("3.4.3", "simple", "17", "6.1.1", "3.11", "passed", "60", "2026-11-27")


def test_rows_are_sorted_and_replaced():
    """A new run replaces the row of the same versions, and older versions of Hadoop come first."""
    page = with_row(f"Text\n{BEGIN}\n{END}\nmore\n", FIRST)
    assert rows(page) == [FIRST]
    assert page.startswith("Text\n")
    assert page.endswith("\nmore\n")
    older, again = ("3.1.4", *FIRST[1:]), (*FIRST[:5], "failed", *FIRST[6:])
    assert rows(with_row(with_row(page, older), again)) == [older, again]


def test_page_versions_exist():
    """Each row of the page is about a version that localhadoop has, and says how it ended."""
    found = rows(PAGE.read_text())
    assert found
    for row in found:
        assert Lock.of(row[0]).version == row[0]
        assert row[5] in ("passed", "failed")
