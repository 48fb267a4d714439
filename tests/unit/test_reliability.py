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


def test_faults_are_documented():
    """Each documented fault has a test, and each test of a fault has a row in the table."""
    documented_faults = {row[0] for row in documented()}
    plain = {fault for fault in faults_of_tests() if "{" not in fault}
    assert plain <= documented_faults
    if len(plain) == len(list(faults_of_tests())):
        assert documented_faults <= plain


def test_rows_have_all_cells():
    """Each row of the table has a cell for each heading."""
    assert all(len(row) == len(HEAD) for row in documented())


def test_duration_may_differ():
    """An outcome agrees with its row if only the duration differs."""
    outcome = Outcome("Hub killed", saw="Nothing", seconds=4.2)
    assert outcome.row()[2] == "4 s"
    assert outcome.agrees(("Hub killed", "Nothing", "9 s", "nothing", "nothing"))
    assert not outcome.agrees(("Hub killed", "Nothing", "4 s", "the server", "nothing"))


def _strings(node, constants):
    """Yield the strings that an expression has, by names of the module's constants as well."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
        elif isinstance(part, ast.Name) and part.id in constants:
            yield constants[part.id]


def asserted_effects():
    """Yield what tests say that users saw, where it is written out."""
    for file in FAULTS.glob("test_*.py"):
        module = ast.parse(file.read_text())
        constants = {
            statement.targets[0].id: statement.value.value
            for statement in module.body
            if isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        }
        for statement in ast.walk(module):
            if isinstance(statement, ast.Assign) and "fault.saw" in ast.unparse(statement.targets[0]):
                yield next(_strings(statement.value, constants), None)


def test_what_users_saw_is_documented():
    """Each effect that a test asserts is in the table, word by word."""
    effects = [effect for effect in asserted_effects() if effect]
    assert len(effects) > 30
    assert set(effects) <= {row[1] for row in documented()}
