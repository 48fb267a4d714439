"""The page of a server's kernels in containers."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any
from unittest.mock import Mock

import pytest

from yarnspawner.common.kernel_protocol import PORT_NAMES, KernelAddress, KernelEnd, KernelSize
from yarnspawner.kernels.page import KernelRow, _template, describe, lost_kernels
from yarnspawner.kernels.remote_kernel import LostKernel, RemoteKernel

NOW = 1_795_800_000.0
ADDRESS = KernelAddress(1, "10.0.0.7", dict.fromkeys(PORT_NAMES, 4711), "n1", "container_1", True)


def kernel(requested: float = 0.0, waiting: str = "", **attributes: Any) -> RemoteKernel:
    containers = Mock()
    containers.size.return_value = KernelSize("large", "python3", "", 32 * 1024, 8)
    kernel = RemoteKernel(containers, "1", "large", logging.getLogger())
    kernel.progress.requested, kernel.progress.sentence = requested, waiting
    for name, value in attributes.items():
        setattr(kernel, name, value)
    return kernel


def test_an_idle_kernel() -> None:
    """What it holds, for how long, and for how long it has been idle."""
    model = {"execution_state": "idle", "last_activity": "2026-11-27T14:40:00.000000Z"}
    since = NOW - 3 * 3600
    row = describe("1", kernel(address=ADDRESS, requested=since), model, "a.ipynb", NOW)
    idle = row.holds.partition(", idle for ")
    assert idle[0] == "32 GiB for 3 h"
    assert idle[2]
    assert (row.size, row.node, row.state) == ("32 GB · 8 cores", "n1", "idle")


def test_a_busy_kernel_is_not_idle() -> None:
    """The row of a busy kernel contains no idle time."""
    model = {"execution_state": "busy", "last_activity": "2026-11-27T14:40:00.000000Z"}
    assert describe("1", kernel(address=ADDRESS, requested=NOW - 60), model, "", NOW).holds == "32 GiB for 1 min"


def test_a_waiting_kernel_says_why() -> None:
    """The row of a waiting kernel says why it waits and since when."""
    waiting = kernel(requested=NOW - 120, waiting="Waiting in queue default, because the queue is full.")
    assert describe("1", waiting, {}, "", NOW).state == (
        "Waiting in queue default, because the queue is full. It has waited for 2 min."
    )


def test_an_ended_kernel_says_why() -> None:
    """The row of an ended kernel says why it ended."""
    ended = kernel(address=ADDRESS, end=KernelEnd(1, 137, "It was over its memory.", True))
    assert describe("1", ended, {}, "", NOW).state == "It was over its memory."


def test_notebook_names_are_escaped() -> None:
    """The page escapes the names of notebooks."""
    row = KernelRow("1", "<script>alert(1)</script>.ipynb", "8 GB", "8 GiB", "n1", "idle")
    page = _template().render(rows=[row], form="<input>")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "No kernel runs" in _template().render(rows=[], form="")


def test_kernel_stopped_by_yarn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page lists a kernel that YARN has stopped, with the reason."""
    monkeypatch.setattr(
        RemoteKernel, "lost", deque([LostKernel("<b>.ipynb", "32 GB · 8 cores", "Too large.", NOW - 120)])
    )
    (lost,) = lost_kernels(NOW)
    assert lost == ("<b>.ipynb", "32 GB · 8 cores", "2 min ago", "Too large.")
    page = _template().render(rows=[], lost=[lost], form="")
    assert "Stopped by YARN" in page
    assert "<td>&lt;b&gt;.ipynb</td>" in page


def test_only_living_kernels_are_known() -> None:
    """A kernel that no longer exists is not in the list of known kernels."""
    one = kernel()
    assert RemoteKernel.known["1"] is one
    del one
    assert "1" not in RemoteKernel.known
