"""Start the server faster: defer imports of Jupyter and skein that it hardly ever needs.

The imports are deferred, not dropped: first use triggers them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Builds a grammar when it is imported, which takes as long as half of all that Jupyter imports. jsonschema does so, for
# a format ("iri") that none of Jupyter's own schemas has.
_GRAMMAR = "rfc3987_syntax"
# The tables of the hub's database.
_DATABASE = "jupyterhub.orm"


def defer_grammar_import() -> None:
    """Defer the import of `rfc3987_syntax` until its first use."""
    if _GRAMMAR in sys.modules or (spec := importlib.util.find_spec(_GRAMMAR)) is None:
        return
    stand_in = types.ModuleType(_GRAMMAR, "Imports the module of this name when it is first used.")
    stand_in.__spec__ = spec

    def real() -> types.ModuleType:
        if sys.modules.get(_GRAMMAR) is stand_in:
            del sys.modules[_GRAMMAR]
        return importlib.import_module(_GRAMMAR)

    def is_valid_syntax(*arguments: Any, **named: Any) -> Any:
        return real().is_valid_syntax(*arguments, **named)

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        # What the import system asks any module, such as for its path, is no use of it.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(real(), name)

    stand_in.__dict__.update(is_valid_syntax=is_valid_syntax, __getattr__=__getattr__)
    sys.modules[_GRAMMAR] = stand_in


def defer_hub_imports() -> None:
    """Import JupyterHub's part of a server without the hub's own database and pages.

    A server needs none of them, and they take half of these imports. Nothing is changed if JupyterHub was imported before.
    """
    if importlib.util.find_spec("jupyterhub") is None or _DATABASE in sys.modules:
        return
    _import_lazily(_DATABASE)
    # Its log imports the hub's pages for one class, whose requests it logs as debug messages.
    pages = "jupyterhub.handlers.pages"
    stand_ins = {name: types.ModuleType(name) for name in ("jupyterhub.handlers", pages)}
    stand_ins[pages].HealthCheckHandler = type("HealthCheckHandler", (), {})  # type: ignore[attr-defined]
    sys.modules.update(stand_ins)
    try:
        with suppress(ImportError):  # of another JupyterHub, whose log needs more of them; it is imported as usual
            importlib.import_module("jupyterhub.log")
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def skip_yarn_configuration() -> None:
    """Keep JupyterLab from running Node.js at each start.

    It asks yarn for npm's registry, which it needs only to build itself, and waits as long as for all other imports. Where
    there is no Node.js, it uses the default registry, and so it does here.
    """
    with suppress(Exception):  # Jupyter itself says what is missing or broken
        commands: Any = importlib.import_module("jupyterlab.commands")
        if hasattr(commands, "_yarn_config"):
            commands._yarn_config = lambda _logger: {"yarn config": {}, "npm config": {}}  # noqa: SLF001


def _import_lazily(name: str) -> None:
    """Import a module of a package that runs its code at the first access to anything in it."""
    if name in sys.modules or (spec := importlib.util.find_spec(name)) is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    package, _, attribute = name.rpartition(".")
    setattr(sys.modules[package], attribute, module)


@contextmanager
def use_stdlib_distutils() -> Iterator[None]:
    """Use Python's own `distutils` during the context, if Python still has it.

    setuptools puts its own in the place, and all of itself is imported with it; skein wants nothing but a version's order.
    """
    hack = sys.modules.get("_distutils_hack") if sys.version_info < (3, 12) else None
    kind = getattr(hack, "DistutilsMetaFinder", None)
    before = list(sys.meta_path)
    if kind is not None:
        sys.meta_path[:] = [finder for finder in before if not isinstance(finder, kind)]
    try:
        yield
    finally:
        sys.meta_path[:] = before
