"""Kernels' containers take too much memory, and wait in a full queue."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import START, until
from tests.support.kernel_hubs import PYTHON, hub_with_kernels, server_of
from tests.support.outcomes import Outcome


@pytest.fixture(scope="module")
def hub(strict_of_module: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_with_kernels(strict_of_module, tmp_path_factory) as hub:
        yield hub


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Servers enter it in the order in which they start."""
    with ExitStack() as stack:
        yield stack


def test_over_its_memory(hub: Hub, strict: LocalHadoop, stack: ExitStack, fault: Outcome) -> None:
    """Kernel's container exceeds its memory."""
    alice = stack.enter_context(server_of("alice", hub, strict))
    other, kernel = alice.start_kernel(PYTHON), alice.start_kernel(PYTHON)
    alice.execute(other, "kept = 42")
    fault.begins()
    alice.crash(kernel, "hog = b'x' * (900 << 20)", "dead")
    fault.recovered()
    assert alice.kernel(kernel) is None
    assert alice.execute(other, "print(kept)") == "42\n"
    assert alice.execute(alice.start_kernel(PYTHON), "print(6 * 7)") == "42\n"
    page = alice.kernels_page()
    assert "Choose a larger kernel." in page, page
    fault.saw = "The notebook shows the kernel as dead, the page of kernels says why; the server and its other kernels keep running"
    fault.lost = "the kernel"


def test_full_queue(hub: Hub, strict: LocalHadoop, stack: ExitStack, fault: Outcome) -> None:
    """Queue full when a kernel in a container is requested, and one of its containers ends later."""
    bob, alice = (stack.enter_context(server_of(name, hub, strict)) for name in ("bob", "alice"))
    # Of 4096 MB, 184 are left.
    theirs = [bob.start_kernel(PYTHON) for _ in range(3)]
    for _ in range(2):
        alice.start_kernel(PYTHON)
    with ThreadPoolExecutor() as threads:
        fault.begins()
        requested = threads.submit(alice.start_kernel, PYTHON)
        waiting = "Waiting in queue default for a container with 400 MB · 1 core, because the queue is full."
        until(lambda: waiting in alice.kernels_page(), START, "waiting")
        bob.shut_down(theirs[0])
        assert alice.execute(requested.result(), "print(6 * 7)") == "42\n"
    fault.recovered()
    fault.saw = "The kernel waits, the page of kernels says in which queue and why, and then it starts"
