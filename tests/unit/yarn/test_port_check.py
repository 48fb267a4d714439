"""A hub that restarts: what counts as running before YARN has said anything. YARN's first list is handed in when a test wants it."""

import asyncio
import socket
from contextlib import contextmanager

import pytest

from tests.support.one_application import ID, KILLED, OneApplication
from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.port_check import PortChecker


class Cluster(OneApplication):
    """A cluster that has not answered yet."""

    def __init__(self):
        super().__init__()
        self.answers = asyncio.Event()
        self.away = ""

    async def active(self):
        await self.answers.wait()
        if self.away:
            raise ClusterUnavailable(self.away)
        return await super().active()


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def adopted(spawner_on):
    """A spawner whose server an earlier run of the hub has started, and its cluster."""

    def make(url, **changes):
        cluster = Cluster()
        spawner = spawner_on(cluster)
        server = ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(ID).with_url(url)
        if changes.get("stopping"):
            server = server.with_stop_requested()
        spawner.load_state(server.to_dict(spawner.hub_context.seal))
        spawner._check_pending = True
        return spawner, cluster

    return make


async def heard(spawner):
    """Until the spawner has done with YARN's first answer."""
    await spawner.hub_context.access.reflector.status(ID)
    if spawner._notifying is not None:
        await asyncio.wait_for(spawner._notifying, 5)


def callbacks(spawner):
    """JupyterHub wants to hear of an end from now on."""
    told = []
    spawner.add_poll_callback(told.append, "ended")
    spawner._check_pending = False
    return told


async def test_open_port_counts_as_running(adopted):
    """A server whose port is open counts as running before YARN's first report."""
    with listening() as url:
        spawner, cluster = adopted(url)
        assert await asyncio.wait_for(spawner.poll(), 2) is None
        told = callbacks(spawner)
        cluster.answers.set()
        await heard(spawner)
        assert not told
        assert await spawner.poll() is None


async def test_closed_port_waits_for_yarn(adopted):
    """If the port is closed, the poll waits for YARN's first report."""
    with listening() as url:
        pass
    spawner, cluster = adopted(url)
    polling = asyncio.ensure_future(spawner.poll())
    done, _ = await asyncio.wait({polling}, timeout=0.3)
    assert not done
    cluster.answers.set()
    assert await asyncio.wait_for(polling, 5) is None


async def test_port_of_another_process(adopted):
    """YARN's first report shows that a server has ended, although another process listens on its port."""
    with listening() as url:
        spawner, cluster = adopted(url)
        cluster.now = KILLED
        assert await asyncio.wait_for(spawner.poll(), 2) is None
        told = callbacks(spawner)
        cluster.answers.set()
        await heard(spawner)
        assert told == ["ended"]
        assert await spawner.poll() is not None


async def test_end_after_jupyterhubs_check(adopted):
    """An end found during JupyterHub's own check is reported after that check."""
    with listening() as url:
        spawner, cluster = adopted(url)
        cluster.now = KILLED
        await spawner.poll()
        cluster.answers.set()
        await spawner.hub_context.access.reflector.status(ID)
        await asyncio.sleep(0.3)
        told = callbacks(spawner)
        await heard(spawner)
        assert told == ["ended"]


async def test_second_poll_waits_for_yarn(adopted):
    """A second poll waits for YARN's first report."""
    with listening() as url:
        spawner, cluster = adopted(url)
        await spawner.poll()
        polling = asyncio.ensure_future(spawner.poll())
        done, _ = await asyncio.wait({polling}, timeout=0.3)
        assert not done
        cluster.now = KILLED
        cluster.answers.set()
        assert await asyncio.wait_for(polling, 5) is not None


async def test_open_port_of_stopping_server(adopted):
    """An open port does not make a server that is being stopped count as running."""
    with listening() as url:
        spawner, cluster = adopted(url, stopping=True)
        cluster.now = KILLED
        cluster.answers.set()
        assert await asyncio.wait_for(spawner.poll(), 5) is not None


async def test_runs_while_yarn_is_down(adopted):
    """A server whose port is open counts as running while YARN does not respond."""
    with listening() as url:
        spawner, cluster = adopted(url)
        cluster.away = "YARN is away"
        await spawner.poll()
        told = callbacks(spawner)
        cluster.answers.set()
        await heard(spawner)
        assert not told
        assert await spawner.poll() is None


@pytest.mark.parametrize("url", ["http://127.0.0.1", "http://127.0.0.1:99999", "http://no.such.host.invalid:80", ""])
async def test_invalid_address(url):
    """An invalid address counts as a closed port."""
    assert not await PortChecker().is_listening(url)
