"""The troubleshooting page, and the codes of the catalogue."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from yarnspawner.diagnosis.catalogue import SECTIONS
from yarnspawner.diagnosis.cause import Cause

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "troubleshooting.py"
CAUSES = [cause for _, causes in SECTIONS for cause in causes]


@pytest.fixture(scope="module")
def troubleshooting() -> ModuleType:
    specification = importlib.util.spec_from_file_location("troubleshooting", SCRIPT)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_page(troubleshooting: ModuleType) -> None:
    """The page is what the catalogue says."""
    assert troubleshooting.PAGE.read_text() == troubleshooting.page(), "run scripts/troubleshooting"


def test_page_has_every_code_once(troubleshooting: ModuleType) -> None:
    """Each code has one entry, whose message and remedies have no open fields."""
    codes = re.findall(r"^### `(\S+)`$", troubleshooting.page(), re.MULTILINE)
    assert sorted(codes) == sorted({cause.code for cause in CAUSES})
    assert "{" not in troubleshooting.page()
    assert len(codes) >= 40


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.code)
def test_row(cause: Cause) -> None:
    """A code fits a metric's label and an HTTP reason; the administrator always has a remedy."""
    assert re.fullmatch("[a-z]+(-[a-z]+)*", cause.code)
    # JupyterHub replaces the message of these reasons by its own.
    assert cause.code not in ("timeout", "error")
    assert cause.message
    assert cause.admin.endswith(".")
