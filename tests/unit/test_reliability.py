"""The documentation's table of faults is that of the tests."""

import ast
from pathlib import Path

from tests.support.outcomes import HEAD, Outcome, documented

FAULTS = Path(__file__).resolve().parents[1] / "cluster" / "faults"


def faults_of_tests():
    for file in FAULTS.glob("test_*.py"):
        for test in ast.walk(ast.parse(file.read_text())):
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                yield " ".join((ast.get_docstring(test) or "").split()).removesuffix(".")


def test_every_documented_fault_has_a_test_and_every_test_a_row():
    documented_faults = {row[0] for row in documented()}
    plain = {fault for fault in faults_of_tests() if "{" not in fault}
    assert plain <= documented_faults
    if len(plain) == len(list(faults_of_tests())):
        assert documented_faults <= plain


def test_a_row_has_a_cell_for_each_heading():
    assert all(len(row) == len(HEAD) for row in documented())


def test_how_long_it_took_may_differ():
    outcome = Outcome("Hub killed", saw="Nothing", seconds=4.2)
    assert outcome.row()[2] == "4 s"
    assert outcome.agrees(("Hub killed", "Nothing", "9 s", "nothing", "nothing"))
    assert not outcome.agrees(("Hub killed", "Nothing", "4 s", "the server", "nothing"))
