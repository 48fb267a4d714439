"""The wait of a spare container for its kernel."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.file_store import FOLDER, FileStore
from yarnspawner.common.spare_protocol import KernelAssignment, assignment_key, ready_key, spare_prefix
from yarnspawner.singleuser import spare_kernel
from yarnspawner.singleuser.spare_kernel import await_assignment

CONTAINER = "kernel-small_1"
ASSIGNMENT = KernelAssignment("an-id", "encrypted")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(spare_kernel, "_INTERVAL", 0.01)
    store = FileStore()
    store.container_id = CONTAINER
    return store


def never() -> str:
    return ""


def test_ready_container_gets_kernel(store: FileStore) -> None:
    """A spare container publishes that it is ready, and accepts its assignment."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(await_assignment(store, never)))  # type: ignore[arg-type]
    thread.start()
    until = time.monotonic() + 20
    while store.get(ready_key(CONTAINER)) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    store.put(assignment_key(CONTAINER), ASSIGNMENT.to_bytes())
    thread.join(20)
    assert found == [ASSIGNMENT]
    assert not store.get_prefix(spare_prefix(CONTAINER))


def test_early_assignment(store: FileStore) -> None:
    """An assignment that exists before the container is ready is accepted."""
    store.put(assignment_key(CONTAINER), ASSIGNMENT.to_bytes())
    assert await_assignment(store, never) == ASSIGNMENT  # type: ignore[arg-type]


@pytest.mark.parametrize(("limit", "reason"), [(0.05, ""), (60, "The kernel's server has ended.")])
def test_it_does_not_wait_forever(store: FileStore, monkeypatch: pytest.MonkeyPatch, limit: float, reason: str) -> None:
    """After its limit, without a server, or when YARN stops it, it ends, and no longer says that it is ready."""
    monkeypatch.setattr(spare_kernel, "_LIMIT", limit)
    assert await_assignment(store, lambda: reason) is None  # type: ignore[arg-type]
    assert store.get(ready_key(CONTAINER)) is None


def test_unreadable_assignment(store: FileStore) -> None:
    """An assignment that cannot be read ends the wait without a kernel."""
    store.put(assignment_key(CONTAINER), b"{}")
    assert await_assignment(store, never) is None  # type: ignore[arg-type]
