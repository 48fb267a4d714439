"""What must end, ends. YARN is a stand-in here, which refuses as often as a test wants."""

import asyncio
import contextlib
import json
import logging
from types import SimpleNamespace

import pytest

from yarnspawner.applications import Applications
from yarnspawner.cluster import ClusterRefused, ClusterUnavailable, Report
from yarnspawner.ending import Ending


class Yarn:
    """Ends an application at the first kill after so many failures."""

    report = None

    def __init__(self, failures=0):
        self.failures = failures
        self.kills = []
        self.is_ended = False
        self.pauses = []

    async def kill(self, application_id, user):
        self.kills.append((application_id, user))
        if len(self.kills) <= self.failures:
            raise ClusterUnavailable("no answer")
        self.is_ended = True

    async def status(self, application_id):
        return SimpleNamespace(ended=self.is_ended, report=self.report if self.is_ended else None)

    async def look(self, application_id):
        pass

    async def ended(self, application_id, timeout):
        self.pauses.append(timeout)
        await asyncio.sleep(0)
        return self.is_ended

    def watching(self, application_id, *, closely=True):
        return contextlib.nullcontext()


@pytest.fixture
def log():
    return logging.getLogger("test")


async def test_an_application_is_killed_as_its_user(log):
    yarn = Yarn()
    await Ending(yarn, yarn, log=log).end("application_1_1", "alice")
    assert yarn.kills == [("application_1_1", "alice")]


async def test_it_is_killed_again_until_it_has_ended(log):
    yarn = Yarn(failures=3)
    await Ending(yarn, yarn, log=log).end("application_1_1", "alice")
    assert len(yarn.kills) == 4


async def test_asking_twice_is_asking_once(log):
    yarn = Yarn()
    one = Ending(yarn, yarn, log=log)
    await asyncio.gather(one.end("application_1_1", "alice"), one.end("application_1_1", "alice"))
    assert len(yarn.kills) == 1


async def test_one_that_has_ended_is_left_alone(log):
    yarn = Yarn()
    yarn.is_ended = True
    await Ending(yarn, yarn, log=log).end("application_1_1", "alice")
    assert yarn.kills == []


async def test_who_gives_up_waiting_does_not_end_the_ending(log):
    yarn = Yarn(failures=5)
    waiting = Ending(yarn, yarn, log=log).end("application_1_1", "alice")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    while not yarn.is_ended:
        await asyncio.sleep(0)


async def test_a_long_outage_only_makes_the_kills_rarer(log):
    """The pauses between kills grow up to half a minute, and the ending never gives up."""
    yarn = Yarn(failures=10)
    await Ending(yarn, yarn, log=log).end("application_1_1", "alice")
    assert len(yarn.kills) == 11
    low = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert all(pause >= least / 2 for pause, least in zip(yarn.pauses, low, strict=False)), yarn.pauses
    assert yarn.pauses[0] <= 1 and max(yarn.pauses) <= 60


@pytest.mark.parametrize(
    ("by", "killed", "told"),
    [("hub", True, "hub"), ("hub", False, "yarn"), ("stop", True, "stop"), ("stop", False, "stop")],
)
async def test_the_audit_says_whose_server_was_ended_and_by_whom(log, caplog, by, killed, told):
    """A start that fails after its application has ended by itself was ended by YARN."""
    yarn = Yarn()
    yarn.report = Report("application_1_1", user="alice", state="KILLED")
    yarn.is_ended = not killed
    one = Ending(yarn, yarn, log=log)
    with caplog.at_level(logging.INFO, "yarnspawner.audit"):
        await one.end("application_1_1", "alice", by=by, facts={"user": "Alice"})
    (line,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "yarnspawner.audit"]
    assert (line["by"], line["user"], line["hadoop_user"]) == (told, "Alice", "alice")
    await asyncio.sleep(0)
    assert one.pending == frozenset()


class Refusing(Yarn):
    """Refuses every kill, until it does not."""

    refuses = True

    async def kill(self, application_id, user):
        self.kills.append((application_id, user))
        if self.refuses:
            raise ClusterRefused("jupyterhub is not allowed to impersonate alice")
        self.is_ended = True

    async def ended(self, application_id, timeout):
        if not self.is_ended:
            await asyncio.sleep(timeout)
        return self.is_ended


async def test_a_refused_kill_cools_down(log, caplog):
    """A refusal is logged once, and does not refresh the view quickly."""
    yarn = Refusing()
    close = []

    @contextlib.contextmanager
    def watching(application_id, *, closely=True):
        close.append(closely)
        yield
        close.append(None)

    yarn.watching = watching
    one = Ending(yarn, yarn, log=log)
    done = one.end("application_1_1", "alice")
    await asyncio.sleep(0.2)
    assert len(yarn.kills) == 1
    assert close == [False, True, None]
    assert caplog.text.count("refuses") == 1
    yarn.refuses = False
    await asyncio.wait_for(one.end("application_1_1", "alice"), 1)
    assert done.done()


async def test_refusals_become_rare(log, caplog):
    """A thousand refusals make one log message, and their pauses grow to ten minutes."""
    waits = []

    class Quick(Refusing):
        async def ended(self, application_id, timeout):
            waits.append(timeout)
            self.refuses = len(waits) < 1000
            return False

    yarn = Quick()
    await Ending(yarn, yarn, log=log).end("application_1_1", "alice")
    assert 500 < max(waits) <= 600
    assert waits[0] <= 2
    assert caplog.text.count("refuses") == 1


async def test_one_kill_is_enough_after_an_outage(log):
    """What YARN says after the kill counts, although its next list has not come yet."""

    class Cluster:
        kills = 0
        away = True
        now = Report("application_1_1", user="alice", state="RUNNING")

        async def active(self):
            raise ClusterUnavailable("no list")

        async def report(self, application_id):
            if self.away:
                raise ClusterUnavailable("no report")
            return self.now

        async def kill(self, application_id, user):
            if self.away:
                raise ClusterUnavailable("no kill")
            self.kills += 1
            self.now = Report("application_1_1", user="alice", state="KILLED", final_status="KILLED")

    cluster = Cluster()
    view = Applications(cluster, fast=0.05, slow=60, log=log)
    ending = Ending(cluster, view, log=log).end("application_1_1", "alice")
    await asyncio.sleep(0.1)
    cluster.away = False
    await asyncio.wait_for(ending, 10)
    assert cluster.kills == 1
    await view.close()
