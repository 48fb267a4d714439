"""A key is asked for when it was set, and otherwise rarely."""

import time

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster, Silent, Unwatched, until
from yarnspawner.singleuser.key_news import KeyNews
from yarnspawner.singleuser.store import Store

KEY = "a.key"


@pytest.fixture
def news(monkeypatch, tmp_path):
    """Follow a key of an application master, and return both."""
    masters = []

    def start(master_class=ApplicationMaster):
        master = master_class(tmp_path)
        masters.append(master)
        master.surround(monkeypatch)
        news = KeyNews(Store(), KEY)
        news.start()
        return master, news

    yield start
    for master in masters:
        master.close()


def test_a_key_is_due_when_it_was_set(news):
    """With a stream, a key is due once after it was set, each time."""
    master, news = news()
    assert news.due()
    until(lambda: not news.due())
    for value in (b"1", b"2"):
        assert not any(news.due() for _ in range(5))
        began = time.monotonic()
        master.values[KEY] = value
        news.wait(10)
        assert time.monotonic() - began < 5
        assert news.due()
        # The stream is opened again, and until then each request is due.
        until(lambda: not news.due())
    assert master.watches > 2
    news.repeat()
    assert news.due()
    assert not news.due()


def test_no_stream(news):
    """Without a stream, each request is due, and a wait takes its whole time."""
    master, news = news(Unwatched)
    until(lambda: master.watches)
    time.sleep(0.3)
    assert all(news.due() for _ in range(5))
    began = time.monotonic()
    news.wait(0.1)
    assert time.monotonic() - began >= 0.09
    assert news.due()


def test_silent_stream(news, monkeypatch):
    """With a silent stream, a request is due after some seconds in any case."""
    monkeypatch.setattr("yarnspawner.singleuser.key_news._WATCHED_INTERVAL", 0.3)
    _, news = news(Silent)
    until(lambda: not news.due())
    until(news.due)


def test_changes_of_prefix(news):
    """Each caller counts the set and removed keys with its prefix, and ignores other keys."""
    master, _ = news()
    master.values["a.1.x"] = b"1"
    found = KeyNews.of_prefix(Store(), "a.")
    assert found.changes is None
    found.start()
    until(lambda: found.changes is not None)

    def changed(change):
        before = found.changes
        change()
        until(lambda: found.changes not in (None, before))

    changed(lambda: master.values.update({"a.2.x": b"1"}))
    changed(lambda: master.values.pop("a.1.x"))
    before = found.changes
    master.values["b.1.x"] = b"1"
    time.sleep(0.2)
    assert found.changes == before
