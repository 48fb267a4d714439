"""The wait for a stop request: by the store's event stream, and by requests where there is no stream."""

import logging
import threading
import time

import grpc
import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster, Silent, Unwatched, until
from yarnspawner.common.protocol import ADDRESS_KEY, STOP_KEY, Address, StopRequest
from yarnspawner.singleuser import stop_watcher
from yarnspawner.singleuser.stop_watcher import StopWatcher
from yarnspawner.singleuser.store import Store

LOG = logging.getLogger(__name__)
REQUEST = StopRequest("Asked by a test", 20).to_bytes()


@pytest.fixture
def watch(monkeypatch, tmp_path):
    """Start a watcher on an application master; returns both, and an event that is set when the server must stop."""
    monkeypatch.setattr(stop_watcher.threading, "Timer", lambda *_: threading.Thread())
    masters = []

    def start(master_class=ApplicationMaster):
        master = master_class(tmp_path)
        masters.append(master)
        master.surround(monkeypatch)
        stopped = threading.Event()
        watcher = StopWatcher(Store(), Address("http", "worker", 8888), stopped.set, LOG)
        watcher.start()
        master.wait(ADDRESS_KEY)
        return master, watcher, stopped

    yield start
    for master in masters:
        master.values[STOP_KEY] = REQUEST
        time.sleep(0.1)
        master.close()


def test_watch(watch, monkeypatch):
    """A stop request is noticed at once, without repeated requests to the store."""
    monkeypatch.setattr(stop_watcher, "_WATCHED_INTERVAL", 60.0)
    master, watcher, stopped = watch()
    until(lambda: master.watches and master.requests[STOP_KEY])
    time.sleep(1)
    assert master.requests[STOP_KEY] == 1
    began = time.monotonic()
    master.values[STOP_KEY] = REQUEST
    assert stopped.wait(5)
    assert time.monotonic() - began < 1
    watcher.join(5)
    assert not watcher.is_alive()


def test_request_before_the_watch(watch):
    """A stop request that came before the watch is noticed."""
    master, _, stopped = watch(RequestedBefore)
    assert stopped.wait(5)
    assert master.watches == 1


class RequestedBefore(ApplicationMaster):
    def Watch(self, requests, context):  # noqa: N802
        self.values[STOP_KEY] = REQUEST
        return super().Watch(requests, context)


class Broken(ApplicationMaster):
    """A store whose first watch breaks."""

    def Watch(self, requests, context):  # noqa: N802
        watching = super().Watch(requests, context)
        yield next(watching)
        if self.watches > 1:
            yield from watching
        context.abort(grpc.StatusCode.UNAVAILABLE, "broken")


def test_no_watch(watch):
    """Without a watch, the store is asked."""
    master, _, stopped = watch(Unwatched)
    until(lambda: master.requests[STOP_KEY] > 3)
    master.values[STOP_KEY] = REQUEST
    assert stopped.wait(5)
    assert master.watches == 1


def test_broken_watch(watch, monkeypatch):
    """After a watch breaks, the store is asked until there is another watch."""
    monkeypatch.setattr(stop_watcher, "_WATCH_AGAIN", 1.0)
    master, _, stopped = watch(Broken)
    until(lambda: master.watches > 1)
    assert master.requests[STOP_KEY] > 2
    master.values[STOP_KEY] = REQUEST
    assert stopped.wait(5)


def test_silent_watch(watch, monkeypatch):
    """A watch that never reports does not delay a stop for ever."""
    monkeypatch.setattr(stop_watcher, "_WATCHED_INTERVAL", 0.5)
    monkeypatch.setattr(stop_watcher, "_ANCESTORS_INTERVAL", 0.1)
    master, _, stopped = watch(Silent)
    until(lambda: master.requests[STOP_KEY] > 1)
    master.values[STOP_KEY] = REQUEST
    assert stopped.wait(5)
