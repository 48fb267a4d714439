"""What the recipe puts off, in processes of their own."""

import os
import subprocess
import sys
import textwrap


def python(code: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout.strip()


def test_deferred_grammar():
    """The grammar is built at its first use and not before."""
    assert python("""
        import sys
        from yarnspawner.singleuser.imports import defer_grammar_import
        defer_grammar_import()
        from jsonschema import Draft202012Validator, FormatChecker
        assert "rfc3987_syntax.syntax_helpers" not in sys.modules
        checker = Draft202012Validator({"format": "iri"}, format_checker=Draft202012Validator.FORMAT_CHECKER)
        print(checker.is_valid("https://example.com/é"), checker.is_valid("no iri"))
        assert "rfc3987_syntax.syntax_helpers" in sys.modules
        import rfc3987_syntax
        print(rfc3987_syntax.is_valid_syntax.__module__)
    """).splitlines() == ["True False", "rfc3987_syntax.syntax_helpers"]


def test_deferred_hub_imports():
    """A server imports the hub's database and pages only when they are used."""
    assert python("""
        import sys
        from yarnspawner.singleuser.imports import defer_hub_imports
        defer_hub_imports()
        import jupyterhub.log, jupyterhub.singleuser.extension
        print([name for name in ("alembic", "jupyterhub.handlers") if name in sys.modules])
        # Who needs them, has them.
        import jupyterhub.orm, jupyterhub.handlers.pages
        print(jupyterhub.orm.User.__name__, jupyterhub.handlers.pages.HealthCheckHandler.__mro__[1].__name__)
        print("alembic" in sys.modules)
    """).splitlines() == ["[]", "User BaseHandler", "True"]


def test_jupyterlab_does_not_run_node(tmp_path):
    """JupyterLab's import does not run node."""
    node, called = tmp_path / "node", tmp_path / "called"
    node.write_text(f"#!/bin/sh\ntouch {called}\n")
    node.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert python("import jupyterlab.labapp; print('loaded')", PATH=path) == "loaded"
    assert called.exists(), "then there is no need to skip it"
    called.unlink()
    code = """
        from yarnspawner.singleuser.imports import skip_yarn_configuration
        skip_yarn_configuration()
        import jupyterlab.labapp
        print(jupyterlab.labapp.get_app_version())
    """
    assert python(code, PATH=path)
    assert not called.exists()


def test_stdlib_distutils_for_skein():
    """Skein is imported without setuptools if Python has its own distutils."""
    assert (
        python("""
        import sys
        from yarnspawner.singleuser.imports import use_stdlib_distutils
        before = list(sys.meta_path)
        with use_stdlib_distutils():
            import skein
        print(sys.version_info >= (3, 12) or "setuptools" not in sys.modules, sys.meta_path == before)
    """)
        == "True True"
    )
