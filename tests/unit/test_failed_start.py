"""The last moments of a start that fails: its application ends before JupyterHub is told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from yarnspawner.cluster import Report
from yarnspawner.diagnosis import Diagnosis
from yarnspawner.errors import StartFailed
from yarnspawner.state import Credentials, ServerState

ID = "application_1_0001"


class Cluster:
    """Runs one application, whose end takes a while."""

    def __init__(self, end_takes):
        self.end_takes = end_takes
        self.now = Report(ID, user="alice", state="RUNNING", host="worker", rpc_port=4711)

    def warm(self):
        pass

    async def close(self):
        pass

    async def active(self):
        return [self.now] if not self.now.ended else []

    async def report(self, application_id):
        return self.now

    async def kill(self, application_id, user):
        await asyncio.sleep(self.end_takes)
        self.now = Report(ID, user="alice", state="KILLED", final_status="KILLED")


@pytest.fixture
async def starting(spawner_of, monkeypatch):
    """A spawner whose server is submitted and says something that the hub does not accept."""
    views = []

    async def nothing():
        pass

    def make(*, end_takes):
        spawner = spawner_of()
        uploads = SimpleNamespace(at_once=lambda path: "", close=nothing)
        spawner.access.__dict__.update(cluster=Cluster(end_takes), uploads=uploads)
        views.append(spawner.access.applications)
        server = ServerState.new("alice", "default", Credentials(b"", b"")).submitted(ID)

        async def submit():
            spawner._keep(server)
            return server

        async def arrive(_):
            raise StartFailed(Diagnosis("That is not accepted.", "Give up.", ""), reason="failed")

        monkeypatch.setattr(spawner, "_submit", submit)
        monkeypatch.setattr(spawner, "_arrive", arrive)
        return spawner

    yield make
    for view in views:
        await view.close()


async def test_jupyterhub_has_nothing_left_to_stop(starting):
    spawner = starting(end_takes=0.3)
    failing = asyncio.ensure_future(spawner.start())
    await asyncio.sleep(0.1)
    # Who opens the page now, finds a start.
    assert await spawner.poll() is None
    assert not failing.done()
    with pytest.raises(StartFailed, match="not accepted"):
        await failing
    assert await spawner.poll() is not None


async def test_a_yarn_that_takes_its_time_does_not_keep_the_reason_from_the_user(starting):
    spawner = starting(end_takes=30)
    with pytest.raises(StartFailed, match="not accepted"):
        await asyncio.wait_for(spawner.start(), 10)
    # It is ended in the background; JupyterHub's stop() waits for that.
    assert await spawner.poll() is None
    assert spawner.access.ending.pending == {ID}
