"""Servers' lives on a real cluster: started, cancelled, stopped, and found again by a hub that was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import END, START, HubUser, applications, unfinished, until
from tests.support.hubs import running
from tests.support.processes import with_command_line


@pytest.fixture(scope="module")
def hub(simple_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(simple_cluster_of_session, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def cluster(simple_cluster: LocalHadoop) -> Iterator[LocalHadoop]:
    """The hub's cluster; every test must leave it without applications."""
    yield simple_cluster
    until(lambda: not unfinished(simple_cluster), END, "without applications")


@pytest.fixture
def alice(hub: Hub, cluster: LocalHadoop) -> Iterator[HubUser]:
    alice = HubUser(hub.address, "alice", hub.password)
    yield alice
    for name in alice.servers():
        alice.ask_to_stop(name)
    alice.wait_gone(*alice.servers())


@pytest.fixture
def other_hub(
    simple_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Hub]]:
    """Starts a hub with other settings."""
    with ExitStack() as stack:

        def start(**settings: str) -> Hub:
            folder = tmp_path_factory.mktemp("hub")
            return stack.enter_context(running(simple_cluster_of_session, folder, settings=settings))

        yield start


def test_cancelled_start(alice: HubUser, cluster: LocalHadoop) -> None:
    """A start that is cancelled after its submission leaves no running application."""
    before = len(applications(cluster))
    alice.ask_to_start()
    until(lambda: len(applications(cluster)) > before, START, "submitted")
    alice.ask_to_stop()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")


def test_start_cancelled_at_once(alice: HubUser, cluster: LocalHadoop) -> None:
    """A start that is cancelled at once leaves no running application."""
    alice.ask_to_start()
    alice.ask_to_stop()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")


def test_two_named_servers(alice: HubUser, cluster: LocalHadoop) -> None:
    """Two named servers start at the same time, and one stops while the other stays ready."""
    alice.ask_to_start("one")
    alice.ask_to_start("two")
    alice.wait_ready("one", "two")
    assert len(unfinished(cluster, "alice")) == 2
    alice.ask_to_stop("one")
    alice.wait_gone("one")
    assert alice.servers()["two"]["ready"]
    assert len(unfinished(cluster, "alice")) == 1
    alice.ask_to_stop("two")
    alice.wait_gone("two")


@pytest.mark.full  # tests/browser has the same on the other kind
def test_kernel_survives_hub_kill(alice: HubUser, hub: Hub, cluster: LocalHadoop) -> None:
    """A kernel keeps its state when the hub is killed, and the restarted hub finds its server and can stop it."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    hub.kill()
    hub.start()
    again = HubUser(hub.address, "alice", hub.password)
    again.wait_ready(timeout=END)
    again.take_kernel_of(alice)
    assert again.run("print(answer)") == "42\n"
    assert len(unfinished(cluster, "alice")) == 1
    # And it still talks to the server: asked to, it ends in order.
    again.ask_to_stop()
    again.wait_gone()
    (application,) = [app for app in cluster.applications() if app["id"] == max(applications(cluster, "alice"))]
    assert (application["state"], application["finalStatus"]) == ("FINISHED", "SUCCEEDED")


def test_start_survives_hub_kill(alice: HubUser, hub: Hub, cluster: LocalHadoop) -> None:
    """A start that is pending when the hub is killed completes after the hub's restart."""
    alice.ask_to_start()
    until(lambda: unfinished(cluster, "alice"), START, "submitted")
    hub.kill()
    hub.start()
    again = HubUser(hub.address, "alice", hub.password)
    again.wait_ready()
    assert again.run("print(6 * 7)") == "42\n"
    assert len(unfinished(cluster, "alice")) == 1


def test_server_killed_without_hub(alice: HubUser, hub: Hub, cluster: LocalHadoop) -> None:
    """A server whose application is killed while the hub is down is gone after the hub's restart."""
    alice.ask_to_start()
    alice.wait_ready()
    (application,) = unfinished(cluster, "alice")
    hub.kill()
    cluster.run(["yarn", "application", "-kill", application], user="alice")
    hub.start()
    HubUser(hub.address, "alice", hub.password).wait_gone()


def test_killed_server_is_gone(alice: HubUser, cluster: LocalHadoop) -> None:
    """The hub soon removes a server whose application is killed in YARN."""
    alice.ask_to_start()
    alice.wait_ready()
    cluster.run(["yarn", "application", "-kill", *unfinished(cluster, "alice")], user="alice")
    alice.wait_gone()


def test_resourcemanager_outage(alice: HubUser, cluster: LocalHadoop) -> None:
    """A server and its kernel survive a ResourceManager that does not answer and then restarts."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    cluster.daemons["resourcemanager"].kill()
    assert alice.run("print(answer)") == "42\n"
    cluster.daemons["resourcemanager"].start()
    cluster.wait_ready(60)
    assert alice.servers()[""]["ready"]
    assert alice.run("print(answer)") == "42\n"


def test_impersonation_refused(hub: Hub, cluster: LocalHadoop) -> None:
    """If the hub may not impersonate a user, the start fails with this reason and the user's name."""
    told = HubUser(hub.address, "carl", hub.password).failure()
    assert "impersonate" in told or "on behalf of" in told, told
    assert "carl" in told


def test_a_stopped_queue_is_named(other_hub: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """The message of a failed start names the queue that is stopped."""
    hub = other_hub(YARNSPAWNER_QUEUE="stopped")
    told = HubUser(hub.address, "alice", hub.password).failure()
    assert "stopped" in told, told


def test_an_unknown_queue_is_named(other_hub: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """The message of a failed start names the queue that does not exist."""
    hub = other_hub(YARNSPAWNER_QUEUE="nowhere")
    told = HubUser(hub.address, "alice", hub.password).failure()
    assert "nowhere" in told, told


def test_environment_without_python(other_hub: Callable[..., Hub], cluster: LocalHadoop, tmp_path: Path) -> None:
    """A start in an environment without Python fails with a message that names Python."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text("export PATH=/usr/bin:/bin")
    hub = other_hub(YARNSPAWNER_ENVIRONMENT=str(tmp_path))
    told = HubUser(hub.address, "alice", hub.password).failure()
    assert "python" in told.lower(), told


# Processes in sessions of their own, which a signal to the container's process group does not reach.
LEAVE_BEHIND = """
import json, pathlib, subprocess
from jupyter_core.paths import jupyter_data_dir
kernel = pathlib.Path(jupyter_data_dir(), "kernels", "sleeper")
kernel.mkdir(parents=True)
kernel.joinpath("kernel.json").write_text(json.dumps({"argv": ["sleep", "98765"], "display_name": "S", "language": "s"}))
subprocess.run(["bash", "-c", "nohup sleep 98764 >/dev/null 2>&1 &"], start_new_session=True)
subprocess.run(["bash", "-c", "setsid -f sleep 98763"])
"""


@pytest.mark.parametrize("end", ["stop", pytest.param("kill", marks=pytest.mark.full)])
def test_no_process_outlives_a_server(end: str, alice: HubUser, cluster: LocalHadoop) -> None:
    """Whether a user stops a server or YARN kills it: no process that was started in it lives on."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run(LEAVE_BEHIND)
    alice._call("POST", "/user/alice/api/kernels", {"name": "sleeper"})
    until(lambda: len(sleepers()) == 3, END, "started")
    if end == "stop":
        alice.ask_to_stop()
    else:
        (application,) = unfinished(cluster, "alice")
        cluster.run(["yarn", "application", "-kill", application])
    alice.wait_gone()
    until(lambda: not sleepers(), END, "without processes")


def sleepers() -> list[int]:
    """The processes that are to end with the server."""
    return with_command_line([["98763"], ["98764"], ["98765"]])
