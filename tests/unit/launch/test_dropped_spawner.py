"""What is still under way for a spawner that JupyterHub has dropped touches nothing of the user's next server."""

import asyncio
from types import SimpleNamespace

import pytest
from jupyterhub.objects import Server
from jupyterhub.orm import Server as ServerRow

from tests.support.one_application import ID, KILLED, RUNNING, OneApplication
from yarnspawner.hadoop.scheduler import Queue
from yarnspawner.launch.recovery import Phase
from yarnspawner.launch.submitter import Submitter
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.tags import start_tag

NEW = "application_1_0002"


class Cluster:
    """Runs the applications that a test puts into it, unless the ResourceManager is away."""

    def __init__(self):
        self.applications = {}
        self.away = False
        self.killed = []

    def warm(self):
        pass

    async def close(self):
        pass

    def _check(self):
        if self.away:
            raise ClusterUnavailable("the ResourceManager is away")

    async def active(self):
        self._check()
        return [report for report in self.applications.values() if not report.ended]

    async def report(self, application_id):
        self._check()
        return self.applications[application_id]

    async def kill(self, application_id, user):
        self._check()
        self.killed.append(application_id)
        self.applications[application_id] = Report(application_id, user=user, state="KILLED", final_status="KILLED")


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
async def user(spawner_on, cluster):
    """JupyterHub's user, whose spawners are on the cluster."""
    return spawner_on(cluster).user


@pytest.fixture
def stopped():
    """The servers that JupyterHub's callback was told to have ended."""
    return []


@pytest.fixture
def running(user, cluster, stopped):
    """Returns the user's spawner with a server that runs, as a start leaves it."""

    async def user_stopped(user, name):
        # As JupyterHub's handlers and its application do it.
        stopped.append(user.spawners[name].record.server)
        await user.stop(name)

    def make(application_id):
        spawner = user.spawners[""]
        row = ServerRow(base_url="/user/alice/")
        user.db.add(row)
        user.db.commit()
        spawner.server = Server(orm_server=row)
        cluster.applications[application_id] = Report(application_id, user="alice", state="RUNNING")
        started = ServerState.new("alice", "default", Credentials.new()).with_application_id(application_id)
        spawner.record.update(started.with_url("http://127.0.0.1:9"))
        spawner.add_poll_callback(user_stopped, user, "")
        return spawner

    return make


async def test_late_stop(user, running, cluster, stopped, monkeypatch):
    """A stop that YARN confirms when the user has a new server already leaves that one alone."""
    monkeypatch.setattr("yarnspawner.launch.stopper._END_TIMEOUT", 0.1)
    first = running(ID)
    assert await first.poll() is None
    cluster.away = True
    await user.stop("")
    assert user.spawners[""] is not first
    cluster.away = False
    second = running(NEW)
    while not cluster.applications[ID].ended or first.hub_context.access.terminator.pending:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert cluster.killed == [ID]
    assert stopped == []
    assert await second.poll() is None


async def test_late_end(user, running, cluster, stopped):
    """JupyterHub hears at once that the server has ended that the user still has."""
    spawner = running(ID)
    assert await spawner.poll() is None
    cluster.applications[ID] = KILLED
    with spawner.hub_context.access.reflector.watch_closely(ID):
        while "" in user.spawners:
            await asyncio.sleep(0.05)
    assert [server.application_id for server in stopped] == [ID]


async def test_late_callback(user, running, stopped):
    """A poll that begins before the stop, and finds the end after it, stops nothing."""
    first = running(ID)
    asking = asyncio.Event()
    answer = asyncio.Event()

    async def status(application_id):
        asking.set()
        await answer.wait()
        return SimpleNamespace(ended=True, report=KILLED)

    first.hub_context.access.__dict__["reflector"] = SimpleNamespace(
        status=status, has_report=lambda _: True, unwatch=lambda _: None, watch=lambda *_, **__: None
    )
    polling = asyncio.ensure_future(first.poll_and_notify())
    await asking.wait()
    user.spawners.pop("")
    first.clear_state()
    second = running(NEW)
    answer.set()
    assert await polling == 0
    assert stopped == []
    assert second.record.server.application_id == NEW


async def test_late_answer(user, cluster, monkeypatch):
    """A poll takes up no application if the start to which it belongs was stopped during the poll."""
    first = user.spawners[""]
    lost = ServerState.new("alice", "default", Credentials.new())
    first.record.update(lost)
    found = asyncio.Event()

    async def find(*_):
        await found.wait()
        return ID

    monkeypatch.setattr("yarnspawner.launch.recovery.find_application", find)
    polling = asyncio.ensure_future(first.poll())
    await asyncio.sleep(0)
    first.clear_state()
    first.record.update(ServerState.new("alice", "default", Credentials.new()).with_application_id(NEW))
    cluster.applications[NEW] = Report(NEW, user="alice", state="RUNNING")
    found.set()
    assert await polling is None
    assert first.orm_spawner.state["application_id"] == NEW


async def test_late_lost(user, monkeypatch):
    """A poll that finds an application by its tags after the stop does not take it up."""
    first = user.spawners[""]
    first.recovery.phase = Phase.UNREADABLE
    found = asyncio.Event()

    async def find(tag, user):
        await found.wait()
        return RUNNING

    monkeypatch.setattr(first.hub_context.access.reflector, "find", find)
    polling = asyncio.ensure_future(first.poll())
    await asyncio.sleep(0.05)
    first.clear_state()
    found.set()
    assert await polling == 0
    assert first.record.server is None


async def test_forgotten_callback(spawner_on):
    """The view of applications makes no callback for one that was forgotten while it was closely watched."""
    cluster = OneApplication()
    applications = spawner_on(cluster).hub_context.access.reflector
    told = []
    applications.watch(ID, on_end=lambda: told.append(ID))
    with applications.watch_closely(ID):
        await applications.status(ID)
        applications.unwatch(ID)
        cluster.now = KILLED
        assert await applications.ended(ID, 5)
    assert told == []


# -- Late answers of submissions


class SlowToAnswer(OneApplication):
    """Answers a submission while the hub asks whether it was done."""

    def __init__(self, application_id=ID):
        super().__init__()
        self.application_id = application_id
        self.late = None
        self.killed = []

    async def submit(self, spec, on_late):
        self.late = on_late
        raise ClusterUnavailable("YARN did not accept the application within 120 s")

    async def active(self):
        if self.late:
            self.late(self.application_id)
        return []

    async def kill(self, application_id, user):
        self.killed.append(application_id)
        self.now = KILLED


async def submitted_to(spawner, monkeypatch):
    """Submit to a cluster that answers late."""
    monkeypatch.setattr("yarnspawner.launch.submitter.PAUSE", 0.01)
    server = ServerState.new("alice", "default", Credentials.new())
    submitter = Submitter(spawner.hub_context, spawner.progress_events, spawner.log)
    return await submitter.submit(server, None, lambda: None)


class KnowsQueuesByName(OneApplication):
    """Refuses a queue's path, as Hadoop does before 3.4."""

    def __init__(self):
        super().__init__()
        self.queues = []

    async def submit(self, spec, on_late):
        self.queues.append(spec.queue)
        if "." in spec.queue:
            raise ClusterRefused(f"Application {ID} submitted by user alice to unknown queue: {spec.queue}")
        return ID


@pytest.mark.parametrize(("queue", "known"), [("root.users.small", True), ("root.other.small", False)])
async def test_path_of_a_queue(spawner_on, monkeypatch, queue, known):
    """A queue that YARN knows by its name only is used, and no other queue with that name."""
    cluster = KnowsQueuesByName()
    spawner = spawner_on(cluster)

    async def find(self, name):
        path = "root.users.small"
        return Queue("small", path, "RUNNING", 1, 1, 0, 0, 0) if name in (path, "root.other.small") else None

    monkeypatch.setattr("yarnspawner.hadoop.resourcemanager.ResourceManager.queue", find)
    server = ServerState.new("alice", queue, Credentials.new())
    submitter = Submitter(spawner.hub_context, spawner.progress_events, spawner.log)
    submitted = submitter.submit(server, SimpleNamespace(queue=queue), lambda: None)
    if known:
        assert await submitted == ID
        assert cluster.queues == [queue, "small"]
    else:
        with pytest.raises(ClusterRefused, match=r"unknown queue: root\.other\.small"):
            await submitted


async def test_late_submission(spawner_on, monkeypatch):
    """A start continues with the application of a late answer, which the hub does not kill."""
    cluster = SlowToAnswer()
    spawner = spawner_on(cluster)
    assert await submitted_to(spawner, monkeypatch) == ID
    cluster.late(ID)
    assert not spawner.hub_context.access.terminator.pending
    cluster.late(NEW)
    assert spawner.hub_context.access.terminator.pending == {NEW}


async def test_late_answer_after_cancel(spawner_on, monkeypatch):
    """The hub kills an application that YARN accepts for a cancelled start, even if the answer comes late."""
    cluster = SlowToAnswer()
    spawner = spawner_on(cluster)

    async def never():
        cluster.asked.set()
        await asyncio.Event().wait()

    cluster.asked = asyncio.Event()
    cluster.active = never
    start = asyncio.ensure_future(submitted_to(spawner, monkeypatch))
    await cluster.asked.wait()
    start.cancel()
    await asyncio.wait([start])
    cluster.late(ID)
    assert spawner.hub_context.access.terminator.pending == {ID}


# -- Ends


async def test_stop_without_an_answer(spawner_on, monkeypatch):
    """An application submitted without an answer is killed when YARN is back, even without a sweep."""
    monkeypatch.setattr("yarnspawner.launch.submitter.PAUSE", 0.01)
    cluster = Cluster()
    spawner = spawner_on(cluster)
    server = ServerState.new("alice", "default", Credentials.new())
    spawner.record.update(server)
    cluster.away = True
    await spawner.stop()
    spawner.clear_state()
    tags = frozenset({start_tag(server.start_id)})
    cluster.applications[ID] = Report(ID, user="alice", state="ACCEPTED", tags=tags)
    await asyncio.sleep(0.05)
    assert cluster.killed == []
    cluster.away = False
    while not cluster.killed:
        await asyncio.sleep(0.01)
    assert cluster.killed == [ID]


@pytest.mark.parametrize(
    ("final_status", "stopped", "status"),
    [("KILLED", False, 1), ("KILLED", True, 0), ("FAILED", False, 1), ("SUCCEEDED", False, 0)],
)
async def test_status_of_an_end(spawner_on, final_status, stopped, status):
    """A server that YARN has killed did not end in order, unless the hub has stopped it."""
    cluster = OneApplication()
    spawner = spawner_on(cluster)
    server = ServerState.new("alice", "default", Credentials.new()).with_application_id(ID)
    spawner.record.update(server.with_stop_requested() if stopped else server)
    spawner.record.stopping = stopped
    cluster.now = Report(ID, user="alice", state="FINISHED", final_status=final_status)
    assert await spawner.hub_context.access.reflector.ended(ID, 5)
    assert await spawner.poll() == status
