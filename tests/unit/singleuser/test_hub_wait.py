"""The wait for the hub."""

from __future__ import annotations

import asyncio
import time

import pytest

from yarnspawner.singleuser import hub_wait
from yarnspawner.singleuser.failure import RecipeError
from yarnspawner.singleuser.hub_wait import Wrong, find_hub

URL = "http://hub.example:8081/hub/api"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_wait, "_INTERVAL", 0.02)
    monkeypatch.setattr(hub_wait, "_LONGEST_INTERVAL", 0.02)
    monkeypatch.setattr(hub_wait, "_SURE_AFTER", 0.5)


def test_wrong_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is wrong for a moment, as when a service restarts, does not end the wait."""
    asked = 0

    def ask(*_: object) -> str:
        nonlocal asked
        asked += 1
        if asked <= 6:
            raise Wrong("HTTP status 404")
        return "6.0"

    said: list[str] = []
    monkeypatch.setattr(hub_wait, "_ask", ask)
    assert asyncio.run(find_hub(URL, said.append)) == "6.0"
    assert said[-1] == ""
    assert len(said) == 7
    assert all("hub.example:8081 yet (HTTP status 404); waiting" in sentence for sentence in said[:-1])


def test_wrong_address_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that stays wrong ends the start long before its timeout."""

    def ask(*_: object) -> str:
        raise Wrong("its name is not known")

    monkeypatch.setattr(hub_wait, "_ask", ask)
    start = time.monotonic()
    with pytest.raises(RecipeError, match=r"Cannot connect to the hub at hub.example:8081: its name is not known"):
        asyncio.run(find_hub(URL, lambda _: None))
    assert 0.5 <= time.monotonic() - start < 5
