"""What must end, ends. YARN is a stand-in here, which refuses as often as a test wants."""

import asyncio
import contextlib
import json
import logging
from types import SimpleNamespace

import pytest

from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.terminator import ApplicationTerminator


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

    async def refresh_one(self, application_id):
        assert application_id == "application_1_1"

    async def ended(self, application_id, timeout):
        assert application_id == "application_1_1"
        self.pauses.append(timeout)
        await asyncio.sleep(0)
        return self.is_ended

    def watch_closely(self, application_id, *, closely=True):
        return contextlib.nullcontext()


@pytest.fixture
def log():
    return logging.getLogger("test")


async def test_kill_as_user(log):
    """The hub kills an application as its user."""
    yarn = Yarn()
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    assert yarn.kills == [("application_1_1", "alice")]


async def test_kill_repeats(log):
    """The hub repeats the kill until the application has ended."""
    yarn = Yarn(failures=3)
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    assert len(yarn.kills) == 4


async def test_concurrent_kills(log):
    """Two concurrent requests to terminate an application make one kill."""
    yarn = Yarn()
    one = ApplicationTerminator(yarn, yarn, log=log)
    await asyncio.gather(one.terminate("application_1_1", "alice"), one.terminate("application_1_1", "alice"))
    assert len(yarn.kills) == 1


async def test_no_kill_after_end(log):
    """The hub does not kill an application that has ended."""
    yarn = Yarn()
    yarn.is_ended = True
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    assert yarn.kills == []


async def test_cancelled_wait(log):
    """The kills continue if the caller that waits for the end is cancelled."""
    yarn = Yarn(failures=5)
    waiting = ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    while not yarn.is_ended:
        await asyncio.sleep(0)


async def test_long_outage(log):
    """In a long outage the pauses between kills grow up to half a minute, and the kills never stop."""
    yarn = Yarn(failures=10)
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    assert len(yarn.kills) == 11
    low = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert all(pause >= least / 2 for pause, least in zip(yarn.pauses, low, strict=False)), yarn.pauses
    assert yarn.pauses[0] <= 1 and max(yarn.pauses) <= 60


@pytest.mark.parametrize(
    ("by", "killed", "told"),
    [("hub", True, "hub"), ("hub", False, "yarn"), ("stop", True, "stop"), ("stop", False, "stop")],
)
async def test_audit(log, caplog, by, killed, told):
    """The audit names the user and what ended the server, which is YARN if a failed start needed no kill."""
    yarn = Yarn()
    yarn.report = Report("application_1_1", user="alice", state="KILLED")
    yarn.is_ended = not killed
    one = ApplicationTerminator(yarn, yarn, log=log)
    with caplog.at_level(logging.INFO, "yarnspawner.audit"):
        await one.terminate("application_1_1", "alice", by=by, facts={"user": "Alice"})
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
        assert application_id == "application_1_1"
        if not self.is_ended:
            await asyncio.sleep(timeout)
        return self.is_ended


async def test_a_refused_kill_cools_down(log, caplog):
    """A refusal is logged once, and does not refresh the view quickly."""
    yarn = Refusing()
    close = []

    @contextlib.contextmanager
    def watch_closely(application_id, *, closely=True):
        close.append(closely)
        yield
        close.append(None)

    yarn.watch_closely = watch_closely
    one = ApplicationTerminator(yarn, yarn, log=log)
    done = one.terminate("application_1_1", "alice")
    await asyncio.sleep(0.2)
    assert len(yarn.kills) == 1
    assert close == [False, True, None]
    assert caplog.text.count("refuses") == 1
    yarn.refuses = False
    await asyncio.wait_for(one.terminate("application_1_1", "alice"), 1)
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
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    assert 500 < max(waits) <= 600
    assert waits[0] <= 2
    assert caplog.text.count("refuses") == 1


async def test_one_kill_after_outage(log):
    """After an outage one kill is enough, because YARN's report after the kill counts before its next list."""

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
    view = ApplicationReflector(cluster, fast=0.05, slow=60, log=log)
    ending = ApplicationTerminator(cluster, view, log=log).terminate("application_1_1", "alice")
    await asyncio.sleep(0.1)
    cluster.away = False
    await asyncio.wait_for(ending, 10)
    assert cluster.kills == 1
    await view.close()


class Outage(Yarn):
    """Refuses the first kill, does not answer the second, takes the third, and ends the application after the fourth."""

    async def kill(self, application_id, user):
        self.kills.append((application_id, user))
        if len(self.kills) < 3:
            raise [ClusterRefused("no"), ClusterUnavailable("no answer")][len(self.kills) - 1]
        self.is_ended = len(self.kills) > 3


async def test_pause_after_kill(log):
    """An earlier refusal delays no kill after an outage; YARN has five seconds to end what it has taken."""
    yarn = Outage()
    one = ApplicationTerminator(yarn, yarn, log=log)
    await one.terminate("application_1_1", "alice")
    assert len(yarn.kills) == 4
    refused, unavailable, taken, _ = yarn.pauses
    assert 1.8 <= refused <= 2
    assert 0.45 <= unavailable <= 0.5
    assert taken == 5


async def test_outage_log(log, caplog):
    """An outage and its end are one line each in the log, without a traceback."""
    caplog.set_level(logging.INFO)
    yarn = Yarn(failures=3)
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    said = [record for record in caplog.records if record.name == "test"]
    lines = [
        "Cannot end application_1_1 yet: no answer",
        "YARN takes the kill again",
        "application_1_1 of alice has ended",
    ]
    assert [record.getMessage().split(", after")[0] for record in said] == lines
    assert not any(record.exc_info for record in said)


async def test_nothing_is_left_of_an_ending(log):
    """The hub keeps neither a task nor a record of an application that has ended."""
    yarn = Refusing()
    one = ApplicationTerminator(yarn, yarn, log=log)
    done = one.terminate("application_1_1", "alice")
    await asyncio.sleep(0.05)
    assert one.pending == {"application_1_1"}
    yarn.refuses = False
    one.terminate("application_1_1", "alice")
    await done
    await asyncio.sleep(0)
    assert (one.pending, one._again) == (frozenset(), {})
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_view_during_kills(log):
    """The view refreshes quickly during a kill attempt, and keeps the application between attempts."""
    yarn = Yarn(failures=1)
    watched = []
    yarn.watch_closely = lambda name, *, closely=True: contextlib.nullcontext(watched.append((name, closely)))
    await ApplicationTerminator(yarn, yarn, log=log).terminate("application_1_1", "alice")
    assert watched == [("application_1_1", closely) for closely in (False, True, True, True)]


async def test_kill_when_found(log, caplog):
    """An application whose submission got no answer is killed as its user once it is found, and audited."""
    yarn = Yarn()
    yarn.report = Report("application_1_1", user="alice", state="KILLED")
    found = asyncio.get_running_loop().create_future()
    one = ApplicationTerminator(yarn, yarn, log=log)
    with caplog.at_level(logging.INFO, "yarnspawner.audit"):
        one.terminate_when_found(lambda: found, "alice", by="stop", facts={"user": "Alice"})
        await asyncio.sleep(0.01)
        assert yarn.kills == []
        found.set_result("application_1_1")
        while not yarn.is_ended:
            await asyncio.sleep(0)
        await one.terminate("application_1_1", "alice")
    assert yarn.kills == [("application_1_1", "alice")]
    (line,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "yarnspawner.audit"]
    assert (line["by"], line["user"], line["hadoop_user"]) == ("stop", "Alice", "alice")


async def test_kill_finds_nothing(log):
    """A search that finds nothing kills nothing and leaves nothing behind."""
    yarn = Yarn()
    one = ApplicationTerminator(yarn, yarn, log=log)

    async def find():
        return ""

    one.terminate_when_found(find, "alice")
    await asyncio.sleep(0.01)
    assert (yarn.kills, one.pending, one._searches) == ([], frozenset(), set())
