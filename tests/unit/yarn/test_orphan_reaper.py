"""The sweep, on a YARN that is a stand-in; tests/cluster sweeps real ones."""

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from yarnspawner.hadoop.skein_staging import StagingUnavailable
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report
from yarnspawner.yarn.orphan_reaper import OrphanReaper, ReaperLoop
from yarnspawner.yarn.orphans import OwnedServers, ServerKey
from yarnspawner.yarn.tags import server_tags

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
TAGS = server_tags("h", "alice", "", "s")


def application(number, **facts):
    defaults = {"user": "alice", "state": "RUNNING", "tags": TAGS, "started": LONG_AGO}
    return Report(f"application_1_{number:04}", **{**defaults, **facts})


class Yarn:
    """Cluster, view and ending in one; an access to it."""

    def __init__(self, *reports):
        self.reports = {report.id: report for report in reports}
        self.kills = []
        self.refuses = self.down = False
        self.pending = frozenset()
        self.hub_user = "jupyterhub"
        self.allowed_system_accounts = frozenset()
        self.cluster = self.reflector = self.terminator = self
        self.homes = Homes(set())

    async def tagged(self, tag):
        if self.down:
            raise ClusterUnavailable("no answer")
        return [report for report in self.reports.values() if not report.ended and tag in report.tags]

    async def finished(self):
        return [report for report in self.reports.values() if report.ended]

    async def kill(self, application_id, user):
        self.kills.append((application_id, user))
        if self.refuses:
            raise ClusterRefused("may not impersonate")
        ended = {"state": "KILLED", "final_status": "KILLED", "finished": LONG_AGO}
        self.reports[application_id] = replace(self.reports[application_id], **ended)

    async def refresh_one(self, application_id):
        pass

    async def ended(self, application_id, timeout):
        return self.reports[application_id].ended

    async def status(self, application_id):
        return SimpleNamespace(report=self.reports[application_id])

    def watch_closely(self, application_id):
        return contextlib.nullcontext()


class Homes:
    def __init__(self, folders):
        self.folders, self.asked, self.broken = folders, 0, False

    async def applications(self, user):
        self.asked += 1
        if self.broken:
            raise StagingUnavailable("no NameNode")
        return set(self.folders)

    async def remove(self, application_id, user):
        self.folders.discard(application_id)
        return True


@pytest.fixture
def log():
    return logging.getLogger("test")


EXIT_KERNEL_KEPT = [f"application_1_{number}" for number in range(9000, 9010)]


def sweep_of(yarn, log, owned=None, kept=EXIT_KERNEL_KEPT, **settings):
    """A sweep of a hub that has other servers as well."""
    yarn.reports.update({name: replace(application(0, user="carol"), id=name) for name in kept})

    async def read():
        found = owned or OwnedServers()
        found.applications.update(dict.fromkeys(kept, ServerKey("carol")))
        return found

    yarn.staging = yarn.homes
    return OrphanReaper(yarn, "h", grace=60, owned=read, log=log, **settings)


async def test_only_orphans_are_killed(log):
    """Orphans are killed as their users, and owned applications are not killed."""
    yarn = Yarn(application(1), application(2), application(3, user="bob"))
    owned = OwnedServers(applications={"application_1_0002": ServerKey("alice")})
    assert (await sweep_of(yarn, log, owned).run())[:2] == (2, 0)
    assert yarn.kills == [("application_1_0001", "alice"), ("application_1_0003", "bob")]


async def test_pending_kill_is_skipped(log):
    """The sweep does not kill an application whose kill is already pending."""
    yarn = Yarn(application(1))
    yarn.pending = frozenset({"application_1_0001"})
    assert (await sweep_of(yarn, log).run())[:2] == (0, 0)
    assert not yarn.kills


async def test_refusal_is_logged_once(log, caplog):
    """A refused kill is logged once."""
    yarn = Yarn(application(1))
    yarn.refuses = True
    sweep = sweep_of(yarn, log)
    await sweep.run()
    await sweep.run()
    assert caplog.text.count("cannot be killed as alice") == 1


async def test_folders_are_removed(log):
    """Folders of the hub's finished applications are removed, and each home is listed once."""
    ended = {"state": "FAILED", "finished": LONG_AGO}
    yarn = Yarn(application(1, **ended), application(2, **ended), application(3, **ended, tags=frozenset()))
    yarn.homes = Homes({"application_1_0001", "application_1_0003", "application_9_0001"})
    sweep = sweep_of(yarn, log)
    assert (await sweep.run())[:2] == (0, 1)
    assert yarn.homes.folders == {"application_1_0003", "application_9_0001"}
    assert (await sweep.run())[:2] == (0, 0)
    assert yarn.homes.asked == 1


async def test_unlisted_home_is_retried(log, caplog):
    """A home that cannot be listed is logged once and listed again in a later sweep."""
    yarn = Yarn(application(1, state="KILLED", finished=LONG_AGO))
    yarn.homes = Homes({"application_1_0001"})
    yarn.homes.broken = True
    sweep = sweep_of(yarn, log)
    await sweep.run()
    await sweep.run()
    assert caplog.text.count("no NameNode") == 1
    yarn.homes.broken = False
    assert (await sweep.run())[:2] == (0, 1)


async def test_loop_retries(log, monkeypatch):
    """The loop sweeps again soon while YARN does not answer, and stops when it is asked to."""
    monkeypatch.setattr(ReaperLoop, "_RETRY", 0.01)
    yarn = Yarn(application(1))
    yarn.down = True
    loop = ReaperLoop(sweep_of(yarn, log), grace=0, interval=3600, log=log)
    loop.start()
    await asyncio.sleep(0.1)
    assert not yarn.kills
    yarn.down = False
    for _ in range(1000):
        if not yarn.kills:
            await asyncio.sleep(0.01)
    await loop.stop()
    assert yarn.kills == [("application_1_0001", "alice")]


def mallorys(count):
    """Applications with copied tags, as a user whom the hub may not impersonate."""
    return [application(number, user="mallory") for number in range(count)]


async def test_refused_kills_do_not_block(log, caplog):
    """Hundreds of refused kills of one account do not delay other orphans, and the next sweep does not repeat them."""
    yarn = Yarn(*mallorys(600), application(900))
    allowed = yarn.kill

    async def kill(application_id, user):
        yarn.refuses = user == "mallory"
        await allowed(application_id, user)

    yarn.kill = kill
    sweep = sweep_of(yarn, log)
    assert (await sweep.run()).killed == 1
    assert yarn.reports["application_1_0900"].ended
    asked = len(yarn.kills)
    await sweep.run()
    assert {name for name, _ in yarn.kills[:asked]}.isdisjoint(name for name, _ in yarn.kills[asked:])
    assert caplog.text.count("cannot be killed as mallory") == 1


async def test_refused_kill_is_retried(log, monkeypatch):
    """A refused kill is retried after a delay that grows up to a limit."""
    now = [0.0]
    monkeypatch.setattr("yarnspawner.yarn.orphan_reaper.time.monotonic", lambda: now[0])
    yarn = Yarn(application(1))
    yarn.refuses = True
    sweep = sweep_of(yarn, log)
    hours = []
    for hour in range(200):
        now[0] = hour * 3600.0
        before = len(yarn.kills)
        await sweep.run()
        hours += [hour] * (len(yarn.kills) - before)
    assert hours == [0, 1, 3, 7, 15, 31, 63, 95, 127, 159, 191]


async def test_new_database_kills_nothing(log, caplog):
    """With a new database all applications look orphaned, and the sweep kills none until an admin confirms."""
    yarn = Yarn(application(1), application(2, user="bob"))
    sweep = sweep_of(yarn, log, kept=[])
    for _ in range(2):
        swept = await sweep.run()
        assert (swept.killed, yarn.kills) == (0, []) and swept.held
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert "--yes" in caplog.text
    assert (await sweep.run(confirmed=True))[:1] == (2,)


@pytest.mark.parametrize(("lost", "kept", "ends"), [(5, 5, 5), (6, 5, 0), (1, 1, 1), (2, 1, 0), (0, 3, 0)])
async def test_at_most_half_is_killed(log, lost, kept, ends):
    """The sweep kills nothing if the database knows less than half of the running applications."""
    yarn = Yarn(*(application(number, user=f"user{number}") for number in range(lost)))
    assert (await sweep_of(yarn, log, kept=EXIT_KERNEL_KEPT[:kept]).run()).killed == ends


async def test_shared_account(log):
    """All applications of a shared account count towards the limit; those of one user's account count once."""
    reports = [application(number, user="teaching") for number in range(20)]
    assert (await sweep_of(Yarn(*reports), log).run()).killed == 20
    assert (await sweep_of(Yarn(*reports), log, shared={"teaching"}).run()).held


async def test_foreign_hub_id_kills_nothing(log, caplog):
    """A hub whose id belongs to another database neither kills applications nor removes folders."""
    yarn = Yarn(application(1), application(2, state="FAILED", finished=LONG_AGO))
    yarn.homes = Homes({"application_1_0002"})
    sweep = sweep_of(yarn, log, refusal=lambda: "it belongs to another database")
    assert (await sweep.run(confirmed=True)).killed == 0
    assert (yarn.kills, yarn.homes.folders) == ([], {"application_1_0002"})
    assert "belongs to another database" in caplog.text
