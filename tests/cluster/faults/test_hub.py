"""The hub is killed, at every moment of a server's life."""

from __future__ import annotations

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.member import END, Member, unfinished
from tests.support.outcomes import Outcome


@pytest.mark.quick
def test_killed_while_a_server_runs(hub: Hub, alice: Member, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed while a server runs."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    hub.kill()
    fault.begins()
    hub.start()
    again = Member(hub.address, "alice", hub.password)
    again.wait_ready(timeout=END)
    fault.recovered()
    again.take_kernel_of(alice)
    assert again.run("print(answer)") == "42\n"
    assert len(unfinished(cluster, "alice")) == 1
    fault.saw = "The server goes on, with its kernels"
