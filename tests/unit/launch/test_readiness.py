"""The wait for a server. YARN's reports and the container's words are handed in; no cluster is asked."""

import logging
from types import SimpleNamespace

import pytest

from yarnspawner.common.protocol import (
    ADDRESS_KEY,
    ERROR_KEY,
    NOTEBOOKS_KEY,
    STATUS_KEY,
    Address,
    Failure,
    Notebooks,
    Waiting,
)
from yarnspawner.hadoop.resourcemanager import Node, ResourceManagerUnavailable
from yarnspawner.launch import readiness
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.readiness import ReadinessWaiter
from yarnspawner.launch.server_probe import NO_ANSWER, ServerProbe
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn import server_log
from yarnspawner.yarn.status import Status

ID = "application_1_0001"
SERVER = ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(ID)


def status(state, **facts):
    return Status(Report(ID, queue="root.default", state=state, **facts), known=True)


class ApplicationReflector:
    """Shows one status after the other, and stays with the last."""

    def __init__(self, statuses):
        self._statuses = list(statuses)

    async def status(self, application_id):
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    async def wait_change(self, application_id, previous, timeout):
        return await self.status(application_id)


class ServerChannel:
    """What the container says; the first questions may go unanswered."""

    def __init__(self, said=(), silent=0):
        self._said = dict(said)
        self._silent = silent

    async def node(self, report):
        return Node("worker1")

    async def server_node(self, said):
        return Node("worker2")

    async def get_prefix(self, report, prefix):
        self._silent -= 1
        if self._silent >= 0:
            raise ClusterUnavailable("no answer")
        return {key: value for key, value in self._said.items() if key.startswith(prefix)}


class Found(ServerProbe):
    """Finds what it is told to, instead of asking."""

    found = ""

    async def wait_until_ready(self, address, ended):
        return self.found


async def unreachable(application_id):
    raise ResourceManagerUnavailable("no answer")


def arrival(statuses, conversation, server=SERVER, found=""):
    access = SimpleNamespace(
        reflector=ApplicationReflector(statuses),
        resource_manager=SimpleNamespace(master_node=unreachable),
        link_to=lambda application_id: f"http://rm/{application_id}",
    )
    progress = Progress()
    log = logging.getLogger("test")
    welcome = type("Probe", (Found,), {"found": found})("/user/alice/", 1.0, log, ports=(4000, 5000))
    return ReadinessWaiter(server, conversation, access, welcome, progress, log), progress


async def messages(progress):
    progress.end()
    return [event["message"] async for event in progress.follow()]


def listening(host):
    return {ADDRESS_KEY: Address("http", host, 4711).to_bytes()}


async def test_progress_messages():
    """The user gets a message for each step of a start until the server listens."""
    wait, progress = arrival(
        [Status(None, known=True), status("ACCEPTED"), status("RUNNING")], ServerChannel(listening("worker1"))
    )
    assert await wait.wait() == Address("http", "worker1", 4711)
    submitted, waiting, starting, listens = await messages(progress)
    assert ID in submitted
    assert "queue root.default" in waiting
    assert "worker1" in starting
    assert "4711" in listens


@pytest.mark.parametrize(
    ("storage", "told"), [("shared", ""), ("node", "a disk of worker1 only"), ("container", "YARN deletes them")]
)
async def test_notebook_storage(storage, told):
    """The last message of a start says that notebooks can be lost."""
    said = listening("worker1") | {NOTEBOOKS_KEY: Notebooks(storage).to_bytes()}
    wait, progress = arrival([status("RUNNING")], ServerChannel(said))
    await wait.wait()
    assert wait.notebook_storage == storage
    assert (told or "listens on") in (await messages(progress))[-1]


async def test_server_names_another_host():
    """If a server reports another host, the hub uses the node where the server runs."""
    wait, _ = arrival([status("RUNNING")], ServerChannel(listening("169.254.169.254")))
    assert (await wait.wait()).host == "worker1"


async def test_service_container_host():
    """The host of a server in a service container is that container's node."""
    wait, _ = arrival(
        [status("RUNNING")],
        ServerChannel(listening("worker2")),
        ServerState.new("alice", "q", Credentials(b"", b""), container="service").with_application_id(ID),
    )
    assert (await wait.wait()).host == "worker2"


async def test_silent_application_master():
    """The hub asks an application master that does not answer yet until it answers."""
    wait, _ = arrival([status("RUNNING")], ServerChannel(listening("worker1"), silent=3))
    assert (await wait.wait()).port == 4711


async def test_failure_from_the_recipe():
    """The failure that the recipe publishes is the reason of the failed start."""
    failure = Failure("JupyterLab is not installed in this environment.", "Traceback")
    wait, _ = arrival([status("RUNNING")], ServerChannel({ERROR_KEY: failure.to_bytes()}))
    with pytest.raises(StartFailed, match=r"(?i)jupyter"):
        await wait.wait()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[" * 10_000,
        b'{"version": 1, "scheme": "file", "host": "x", "port": 4711}',
        Address("http", "worker1", 22).to_bytes(),
        Address("http", "worker1", 8042).to_bytes(),
    ],
)
async def test_invalid_address(said):
    """A published address that is invalid makes the start fail."""
    wait, _ = arrival([status("RUNNING")], ServerChannel({ADDRESS_KEY: said}))
    with pytest.raises(StartFailed, match="does not accept"):
        await wait.wait()


async def test_application_ends_first():
    """A start fails if the application ends first, and its message links to the application."""
    ended = status("FAILED", final_status="FAILED", diagnostics="Application was killed by user admin at 10.0.0.1")
    wait, _ = arrival([status("ACCEPTED"), ended], ServerChannel())
    with pytest.raises(StartFailed) as failed:
        await wait.wait()
    assert "http://rm/" in failed.value.jupyterhub_html_message


async def test_silent_yarn():
    """A start continues while YARN does not answer, and the user gets a message."""
    silent = Status(None, known=False, unknown_since=1.0)
    wait, progress = arrival([silent, silent, status("RUNNING")], ServerChannel(listening("worker1")))
    await wait.wait()
    assert "YARN does not answer. The start continues when it does." in await messages(progress)


async def test_oversized_store():
    """A key-value store that sends too much makes the start fail."""
    conversation = ServerChannel()

    async def get_prefix(report, prefix):
        raise ClusterRefused("The store of application_1_0001 sent more than 64 KiB")

    conversation.get_prefix = get_prefix
    wait, _ = arrival([status("RUNNING")], conversation)
    with pytest.raises(StartFailed, match="does not accept"):
        await wait.wait()


@pytest.mark.parametrize(("found", "told"), [("there is something else", "something else"), (NO_ANSWER, "firewall")])
async def test_address_without_the_server(found, told):
    """A start fails with a reason if another program or no program answers at the address."""
    wait, _ = arrival([status("RUNNING")], ServerChannel(listening("worker1")), found=found)
    with pytest.raises(StartFailed, match=told):
        await wait.wait()


async def test_server_dies_before_it_answers():
    """If the application fails before the server answers, its end is the reason and not a firewall."""
    ended = status("FAILED", final_status="FAILED", diagnostics="Application was killed by user admin at 10.0.0.1")
    wait, _ = arrival([status("RUNNING"), ended], ServerChannel(listening("worker1")), found=NO_ANSWER)
    with pytest.raises(StartFailed) as failed:
        await wait.wait()
    assert "firewall" not in str(failed.value)


async def test_command_that_never_listened(monkeypatch):
    """A command that exits with status 0 before it listens makes the start fail, and its log is shown."""

    async def tail(*_, **__):
        return "all done"

    monkeypatch.setattr(readiness, "tail", tail)
    wait, _ = arrival([status("FINISHED", final_status="SUCCEEDED", user="alice")], ServerChannel())
    wait._access.principal = wait._access.keytab = ""
    with pytest.raises(StartFailed, match="exit status 0 before it listened") as failed:
        await wait.wait()
    assert "all done" in failed.value.jupyterhub_html_message


async def test_no_log_without_container(monkeypatch):
    """The log is not read if no container ran."""
    monkeypatch.setattr(readiness, "tail", None)  # it would fail
    said = "AM Container for appattempt_1_0001_000001 exited with  exitCode: -1000\n/filecache/10_tmp/env.tar.gz"
    ended = status("FAILED", final_status="FAILED", user="alice", diagnostics=said)
    wait, progress = arrival([ended], ServerChannel())
    with pytest.raises(StartFailed, match=r"The archive env\.tar\.gz"):
        await wait.wait()
    assert await messages(progress) == []


async def test_timeout_shows_log(monkeypatch):
    """A timeout shows the node's log of a silent command, but none if the server reported what it waits for."""

    async def running_tail(node, file, web, lines):
        return f"asleep on {node.host} in {file}"

    async def master_node(application_id):
        return Node("worker1")

    monkeypatch.setattr(server_log, "running_tail", running_tail)
    for said, told in (
        ({}, "asleep on worker1 in application.driver.log"),
        ({STATUS_KEY: Waiting("x").to_bytes()}, ""),
    ):
        wait, _ = arrival([status("RUNNING")], ServerChannel(said))
        wait._access.resource_manager.master_node = master_node
        wait._access.node_manager_client = None
        assert await wait._read_address(status("RUNNING").report) is None
        assert await wait.running_log() == told
    assert "asleep" in wait.timed_out(60, "asleep").jupyterhub_html_message


async def test_log_of_ended_server(monkeypatch):
    """The log of an ended server comes from its node; slow `yarn logs` runs only if the node has none."""

    async def running_tail(node, file, web, lines):
        return logs.pop(0)

    async def tail(*_, **__):
        return "collected"

    async def master_node(application_id):
        return Node("worker1")

    monkeypatch.setattr(server_log, "running_tail", running_tail)
    monkeypatch.setattr(readiness, "tail", tail)
    cases = [
        ("from the node", False, "FAILED"),
        ("", False, "FAILED"),
        ("collected", True, "FAILED"),
        ("", True, "SUCCEEDED"),
    ]
    logs = ["from the node", "", "", ""]
    for told, in_service, final in cases:
        wait, _ = arrival([status("FAILED")], ServerChannel())
        wait._in_service = in_service
        wait._access.resource_manager.master_node = wait._access.resource_manager.server_node = master_node
        wait._access.node_manager_client = wait._access.principal = wait._access.keytab = None
        assert await wait._log_tail(status("FAILED", user="alice", final_status=final).report) == told


async def test_short_wait_has_no_reason():
    """A short wait for resources shows the queue without a reason."""
    said = "Application is Activated, waiting for resources to be assigned for AM."
    accepted = [status("ACCEPTED", diagnostics=said), status("RUNNING")]
    wait, progress = arrival(accepted, ServerChannel(listening("worker1")))
    await wait.wait()
    assert "Waiting in queue root.default." in await messages(progress)


async def test_long_wait_counts_others(monkeypatch):
    """A long wait shows how many applications have waited longer; a short wait sends no request to YARN."""
    asked = []

    def before(queue, application_id):
        asked.append((queue, application_id))
        return len(asked)

    for counted, told in (
        (1000, ""),
        (0, " 1 application has waited longer."),
        (0, " 2 applications have waited longer."),
    ):
        monkeypatch.setattr(readiness, "_COUNTED", counted)
        wait, progress = arrival([status("ACCEPTED")], ServerChannel())
        wait._access.pending_applications = SimpleNamespace(before=before)
        wait._tell(status("ACCEPTED"))
        assert progress.last == f"Waiting in queue root.default.{told}"
    assert asked == [("root.default", ID)] * 2

    launched = "AM container is launched, waiting for AM container to Register with RM"
    wait._tell(status("ACCEPTED", diagnostics=launched))
    assert progress.last == "The container is starting."
    assert len(asked) == 2


@pytest.mark.parametrize(("seconds", "told"), [(59, ""), (60, " (1 min so far)"), (179, " (2 min so far)")])
def test_a_long_wait_says_how_long(seconds, told):
    """A wait of one minute or more shows its full minutes."""
    assert readiness._so_far(seconds) == told
