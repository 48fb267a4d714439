"""The page about the check: its table has a row for each thing that the cluster test breaks."""

from __future__ import annotations

from tests.cluster.test_check import BEGIN, BREAKS, END, PAGE
from tests.support.breaking import what


def test_table() -> None:
    """Each row is of a breakage of the cluster test, in its order and with its mark. The test adds rows when it runs."""
    lines = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split(" | "))[:3] for line in lines]
    expected = [(what(breaks), step, mark) for breaks, _, step, mark, _ in BREAKS]
    assert rows == [row for row in expected if row in rows]
    assert len(rows) >= 25
