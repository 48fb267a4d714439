"""The last moments of a start that fails: its application ends before JupyterHub is told."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.one_application import ID, KILLED, OneApplication
from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.launcher import Launcher
from yarnspawner.launch.submitter import Submitter
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState


class Cluster(OneApplication):
    """The end of its application takes a while."""

    def __init__(self, end_takes):
        super().__init__()
        self.end_takes = end_takes

    async def kill(self, application_id, user):
        await asyncio.sleep(self.end_takes)
        self.now = KILLED


@pytest.fixture
def starting(spawner_on, monkeypatch):
    """A spawner whose server is submitted and says something that the hub does not accept."""

    def make(*, end_takes):
        spawner = spawner_on(Cluster(end_takes))
        server = ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(ID)

        async def submit(_):
            spawner.record.update(server)
            return server

        async def arrive(*_):
            raise StartFailed(Diagnosis("That is not accepted.", "Give up."))

        monkeypatch.setattr(Launcher, "submit", submit)
        monkeypatch.setattr(Launcher, "wait_until_ready", arrive)
        return spawner

    return make


async def test_failure_follows_kill(starting):
    """A failed start kills its application before JupyterHub gets the error."""
    spawner = starting(end_takes=0.3)
    failing = asyncio.ensure_future(spawner.start())
    await asyncio.sleep(0.1)
    # Who opens the page now, finds a start.
    assert await spawner.poll() is None
    assert not failing.done()
    with pytest.raises(StartFailed, match="not accepted"):
        await failing
    assert await spawner.poll() is not None


async def test_slow_kill_keeps_the_reason(starting):
    """A slow kill does not delay the reason, and continues in the background."""
    spawner = starting(end_takes=30)
    with pytest.raises(StartFailed, match="not accepted"):
        await asyncio.wait_for(spawner.start(), 10)
    # It is ended in the background; JupyterHub's stop() waits for that.
    assert await spawner.poll() is None
    assert spawner.hub_context.access.terminator.pending == {ID}


@pytest.mark.parametrize(
    ("connected", "said"), [(True, "YARN has not answered yet"), (False, "still connecting to YARN")]
)
async def test_slow_submission(spawner_on, monkeypatch, connected, said):
    """The message of a slow submission says whether it waits for YARN or for the hub's first driver."""

    class Slow(OneApplication):
        async def submit(self, spec, on_late=None):
            await asyncio.sleep(0.1)
            return ID

    cluster = Slow()
    cluster.connected = connected
    spawner = spawner_on(cluster)
    monkeypatch.setattr("yarnspawner.launch.submitter._SUBMISSION_IS_SLOW", 0.01)
    server = ServerState.new("alice", "default", Credentials(b"", b""))
    assert await submitter(spawner).submit(server, None, lambda: None) == ID
    assert said in spawner.progress_events.last


def submitter(spawner):
    return Submitter(spawner.hub_context, spawner.progress_events, spawner.log)


NO_JAVA = ClusterUnavailable("No Java: it is not on PATH")
NO_ANSWER = ClusterUnavailable("YARN did not accept the application within 120 s")
REFUSED = ClusterRefused("Queue is stopped")


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ([NO_JAVA], False),
        ([REFUSED], False),
        ([NO_ANSWER, REFUSED], True),
        ([NO_ANSWER, NO_JAVA], True),
        ([ZeroDivisionError()], True),
        ([asyncio.CancelledError()], True),
    ],
)
async def test_claim_is_kept(spawner_on, monkeypatch, errors, kept):
    """A claim is kept if YARN can have accepted an application, whatever a later attempt says."""

    class Failing(OneApplication):
        async def submit(self, spec, on_late=None):
            raise next(failures)

    async def nothing(*_):
        return None

    failures, claims = iter(errors), []
    spawner = spawner_on(Failing())
    spawner.hub_context.access.uploads.invalidate = lambda _: False
    monkeypatch.setattr("yarnspawner.launch.submitter.PAUSE", 0.01)
    monkeypatch.setattr("yarnspawner.launch.launcher.container_environment", lambda _: {})
    monkeypatch.setattr(Launcher, "_specification", nothing)
    monkeypatch.setattr("yarnspawner.launch.submitter.find_with_retries", nothing)
    with pytest.raises((StartFailed, ZeroDivisionError, asyncio.CancelledError)):
        await spawner._launcher()._submit_as("alice", lambda: claims.append("kept"))
    assert bool(claims) is kept
