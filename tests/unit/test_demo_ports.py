"""Two demos on one machine do not get in each other's way."""

from __future__ import annotations

import socket

import pytest

from demo.ports import Ports


def test_a_port_is_claimed_before_anybody_listens_on_it() -> None:
    one, other = Ports(), Ports()
    claimed = one.claim(17000)
    assert other.claim(claimed) > claimed
    one.close()
    other.close()


def test_a_port_on_which_somebody_listens_is_left_alone() -> None:
    ports = Ports()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert ports.claim(taken) != taken
    ports.close()


def test_a_port_is_free_again_when_the_demo_has_ended() -> None:
    one, other = Ports(), Ports()
    claimed = one.claim(17100)
    one.close()
    assert other.claim(claimed) == claimed
    other.close()


def test_there_are_no_ports_above_the_last() -> None:
    with pytest.raises(OSError, match="no port is free from 65536 on"):
        Ports().claim(65536)
