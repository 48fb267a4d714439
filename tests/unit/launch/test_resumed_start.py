"""A start that was pending when the hub's last run ended."""

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from tests.support.one_application import ID
from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.launch import resumed_start
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.launcher import Launcher
from yarnspawner.launch.resumed_start import ResumedStart

URL = "http://worker:4040"


class Proxy:
    """Records the routes that are added."""

    def __init__(self):
        self.routes = []

    async def add_user(self, user, name):
        self.routes.append(user.name)


@pytest.fixture
async def pending(adopted, monkeypatch):
    """Return a spawner with a pending start, the event that makes it ready, and the hub's proxy."""
    monkeypatch.setattr(resumed_start, "_INTERVAL", 0.01)
    spawner, _ = adopted("")
    ready, proxy = asyncio.Event(), Proxy()
    spawner.user.settings["proxy"] = proxy

    async def wait_until_ready(self, server):
        self._progress.tell(30, "Waiting in queue default.")
        await ready.wait()
        spawner.record.update(server.with_url(URL))
        return URL

    monkeypatch.setattr(Launcher, "wait_until_ready", wait_until_ready)
    return spawner, ready, proxy


def fail(monkeypatch, error):
    async def wait_until_ready(*_):
        raise error

    monkeypatch.setattr(Launcher, "wait_until_ready", wait_until_ready)


async def test_pending(pending):
    """A resumed start is pending as a new one, with its progress."""
    spawner, ready, _ = pending
    assert spawner.recovery.has_pending_start
    check = asyncio.ensure_future(spawner.poll())
    await asyncio.sleep(0.05)
    assert (spawner.pending, check.done(), spawner._spawn_future.done()) == ("spawn", False, False)
    events = spawner.progress()
    assert (await events.__anext__())["message"] == "Waiting in queue default."
    ready.set()
    assert await asyncio.wait_for(check, 5) is None
    assert [event async for event in events] == []
    assert spawner.pending == "spawn"  # until JupyterHub has checked the server and it has a route


async def test_ready(pending):
    """A resumed start becomes ready, with a route, once JupyterHub has checked its server."""
    spawner, ready, proxy = pending
    ready.set()
    assert await asyncio.wait_for(spawner.poll(), 5) is None
    shown = spawner._spawn_future
    assert proxy.routes == []
    spawner._check_pending = False
    await asyncio.wait_for(shown, 5)
    assert (proxy.routes, spawner.ready, spawner._spawn_future) == (["alice"], True, None)


async def test_other_polls(pending):
    """A poll other than JupyterHub's check does not wait for the start."""
    spawner, _, _ = pending
    check = asyncio.ensure_future(spawner.poll())
    await asyncio.sleep(0.02)
    spawner._check_pending = False
    assert await asyncio.wait_for(spawner.poll(), 1) is None
    spawner._spawn_future.cancel()
    spawner.server = None
    await check


async def test_cancelled(pending):
    """A user can stop a resumed start: JupyterHub cancels its future and may stop the server then."""
    spawner, _, _ = pending
    check = asyncio.ensure_future(spawner.poll())
    await asyncio.sleep(0.02)
    spawner._spawn_future.cancel()
    await asyncio.sleep(0.05)
    assert (spawner.pending, spawner._spawn_future, check.done()) == (None, None, False)
    spawner.server = None  # as JupyterHub's stop does
    assert await asyncio.wait_for(check, 5) == 1


async def test_failed(pending, monkeypatch):
    """If a resumed start fails, its application is killed, and the user sees why."""
    spawner, _, _ = pending
    killed = []
    fail(monkeypatch, StartFailed(Diagnosis("The queue is closed.", "Choose another.")))
    monkeypatch.setattr(spawner.hub_context, "terminate", killed.append)
    assert await asyncio.wait_for(spawner.poll(), 5) == 1
    await asyncio.sleep(0)
    assert [server.application_id for server in killed] == [ID]
    assert spawner.get_state()["last_end"]["said"] == "The queue is closed. Choose another."
    assert spawner._spawn_future.exception().jupyterhub_message == "The queue is closed. Choose another."
    assert not spawner._spawn_pending


async def test_unexpected_error(pending, monkeypatch):
    """An unexpected error ends this start only: a poll that raises would be logged as JupyterHub's."""
    spawner, _, _ = pending
    fail(monkeypatch, RuntimeError("broken"))
    assert await asyncio.wait_for(spawner.poll(), 5) == 1


async def test_never_submitted(pending, monkeypatch):
    """If YARN has no application of the start, there is no server, and no failure is shown."""
    spawner, _, _ = pending
    spawner.record.server = spawner.record.server.with_application_id("")

    async def nothing(*_):
        return ""

    monkeypatch.setattr(resumed_start, "find_with_retries", nothing)
    assert await asyncio.wait_for(spawner.poll(), 5) == 1
    await asyncio.sleep(0)
    assert (spawner._spawn_future, spawner.get_state().get("last_end")) == (None, None)


@pytest.mark.parametrize(("ago", "left"), [(0, 300), (100, 200), (1000, 60)])
async def test_time_left(adopted, ago, left):
    """The time of a start counts over a restart of the hub."""
    spawner, _ = adopted("")
    spawner.start_timeout = 300
    spawner.orm_spawner.started = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(seconds=ago)
    start = ResumedStart(spawner, spawner.hub_context, spawner.record, spawner.progress_events, spawner._launcher)
    assert start._time_left() == pytest.approx(left, abs=5)
