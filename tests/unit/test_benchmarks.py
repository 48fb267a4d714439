"""The benchmarks' own arithmetic and command line."""

import json

import pytest

from benchmarks.__main__ import found, parser
from benchmarks.results import Results


def test_row_shows_median():
    """A row shows its median, its extremes and its ratio to the baseline."""
    table = Results("start", "simple").table("Start", baseline="bare")
    table.add("bare", 1, 2, 9)
    table.add("ours", 3)
    assert "| bare | 2.00 | 1.00 | 9.00 | 1.00 |\n| ours | 3.00 | 3.00 | 3.00 | 1.50 |" in table.markdown()


def test_a_missed_goal_is_named():
    """A missed goal is listed with its value and its limit."""
    results = Results("start", "simple")
    table = results.table("Start", baseline="bare")
    table.add("bare", 1)
    table.add("ours", 3)
    table.goal("ours in terms of bare", table.ratio("ours"), 1.1)
    table.goal("easy", 1, 2)
    assert results.missed == ["Start: ours in terms of bare: 3, at most 1.1 wanted: MISSED"]


def test_result_file(tmp_path, capsys):
    """The result file has all values and the machine, and the table is printed."""
    results = Results("start", "simple")
    results.table("Start").add("bare", 1, 2)
    results.write(tmp_path / "found.json")
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["tables"][0]["rows"][0]["values"] == [1, 2]
    assert written["machine"]["cores"] >= 1
    assert "| bare | 1.50 |" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(found()))
def test_each_benchmark_has_help(name, capsys):
    """Each benchmark has a help text with its options."""
    with pytest.raises(SystemExit, match="0"):
        parser(found()).parse_args([name, "--help"])
    assert "--kerberos" in capsys.readouterr().out
