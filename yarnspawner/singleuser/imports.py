"""Start the server faster: defer imports of Jupyter and skein that it hardly ever needs.

The imports are deferred, not dropped: first use triggers them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Builds a grammar when it is imported, which takes as long as half of all that Jupyter imports. jsonschema does so, for
# a format ("iri") that none of Jupyter's own schemas has.
_GRAMMAR = "rfc3987_syntax"


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
