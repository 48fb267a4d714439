"""Two demos on one machine do not get in each other's way."""

from __future__ import annotations

import socket

import pytest

from demo.ports import Ports


def test_claim_before_listening() -> None:
    """A claimed port is not given to another demo, even if no process listens on it yet."""
    one, other = Ports(), Ports()
    claimed = one.claim(17000)
    assert other.claim(claimed) > claimed
    one.close()
    other.close()


def test_busy_port_is_skipped() -> None:
    """A port on which another process listens is skipped."""
    ports = Ports()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert ports.claim(taken) != taken
    ports.close()


def test_closed_port_is_free() -> None:
    """A port is free again after the demo that claimed it has ended."""
    one, other = Ports(), Ports()
    claimed = one.claim(17100)
    one.close()
    assert other.claim(claimed) == claimed
    other.close()


def test_no_port_above_the_last() -> None:
    """A claim above the last port raises an error."""
    with pytest.raises(OSError, match="no port is free from 65536 on"):
        Ports().claim(65536)
