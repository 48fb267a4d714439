"""The package's architecture: one spawner class, small files, and docstrings that name JupyterHub's calls."""

import ast
import inspect
from pathlib import Path

import pytest
from jupyterhub.spawner import Spawner

import yarnspawner
from yarnspawner import YarnSpawner

PACKAGE = Path(yarnspawner.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# What JupyterHub calls of a spawner, as far as this package overrides it.
CALLED = sorted(
    name
    for name, member in vars(YarnSpawner).items()
    if inspect.isfunction(member) and hasattr(Spawner, name) and not name.startswith(("__", "_default_"))
)


def classes():
    """Yield the names of all classes of the package."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                yield node.name


def test_one_spawner():
    """One class of the package ends with "Spawner"."""
    assert [name for name in classes() if name.endswith("Spawner")] == ["YarnSpawner"]


def test_mro():
    """The spawner has four classes of settings, JupyterHub's Spawner, and what that inherits."""
    assert len(YarnSpawner.__mro__) <= 11, [base.__name__ for base in YarnSpawner.__mro__]


@pytest.mark.parametrize("base", [base for base in YarnSpawner.__bases__ if base is not Spawner])
def test_settings(base):
    """A class of settings has declarations, defaults and validators, and no other methods."""
    methods = [name for name, member in vars(base).items() if inspect.isfunction(member)]
    assert methods == []


def test_files():
    """No file of the package has more than 330 lines."""
    assert {file.name: lines for file in FILES if (lines := len(file.read_text().splitlines())) > 330} == {}


@pytest.mark.parametrize("name", CALLED)
def test_callers(name):
    """A method that JupyterHub calls says who calls it."""
    assert "Called by" in (getattr(YarnSpawner, name).__doc__ or "")


def test_state():
    """Only the spawner has get_state and load_state."""
    written = [
        (file.relative_to(PACKAGE).as_posix(), node.name)
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in ("get_state", "load_state")
    ]
    assert sorted(written) == [("spawner.py", "get_state"), ("spawner.py", "load_state")]


def test_tests():
    """A test has a short name, and says in its docstring what it shows."""
    tests = [
        (f"{file.name}: {node.name}", node)
        for file in (Path(__file__).parents[1]).rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    ]
    assert [name for name, node in tests if len(node.name) > 35 or not ast.get_docstring(node)] == []
