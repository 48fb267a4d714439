"""Output of ``yarnspawner applications`` and ``yarnspawner sweep``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.cli import hub as hub_commands
from yarnspawner.skein_driver import Report
from yarnspawner.yarn.orphan_reaper import MOST

HARM = "bob\x1b[31m\nroot\u202e"


class OrphanReaper:
    """A reaper that has found orphans of one user."""

    def __init__(self, number: int) -> None:
        self._found = [Report(f"application_1_{n}", user=HARM, queue=HARM, state="RUNNING") for n in range(number)]

    async def find(self) -> Any:
        owned = SimpleNamespace(name=lambda report: None, owner=lambda report: None)
        return SimpleNamespace(orphans=self._found, ours=self._found, owned=owned)

    def held(self, found: Any) -> str:
        return ""

    def turn(self, orphans: list[Report]) -> list[Report]:
        return orphans[:MOST]

    async def left_behind(self) -> list[Report]:
        return self._found


async def test_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run lists what one sweep would do and counts the rest."""
    await hub_commands._dry_run(OrphanReaper(MOST + 7))  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("would stop ")]) == MOST
    assert len([line for line in lines if line.startswith("would remove ")]) == MOST
    assert lines[-1].endswith("later sweeps handle the other 14.")


async def test_singular(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers and nouns agree."""
    await hub_commands._dry_run(OrphanReaper(1))  # type: ignore[arg-type]
    assert "1 application to stop and 1 folder to remove." in capsys.readouterr().out


async def test_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in user and queue names are not printed."""
    await hub_commands._dry_run(OrphanReaper(1))  # type: ignore[arg-type]
    printed = capsys.readouterr().out
    found = await OrphanReaper(1).find()
    cells = hub_commands._row(found.ours[0], found)
    assert "bob root, RUNNING in bob root\n" in printed
    assert not set("\x1b\u202e") & set(printed + "".join(cells)) and not any("\n" in cell for cell in cells)
