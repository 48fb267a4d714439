"""What JupyterHub is told of a server of the hub's last run: nothing before it answers, or YARN says that it has ended."""

import asyncio
import logging
import socket
from datetime import datetime, timedelta, timezone

import pytest
from jupyterhub import orm
from jupyterhub.objects import Server
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from tests.support.one_application import ID, KILLED, OneApplication
from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.launcher import Launcher
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState


class Answers(RequestHandler):
    def get(self):
        self.set_header("X-JupyterHub-Version", "6.1.1")
        self.finish({"version": "2.20.0"})


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def adopted(spawner_on):
    def make(url):
        cluster = OneApplication()
        spawner = spawner_on(cluster)
        row = orm.Server(base_url="/user/alice/")
        spawner.user.db.add(row)
        spawner.user.db.commit()
        spawner.server = Server(orm_server=row)
        server = ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(ID).with_url(url)
        spawner.load_state(server.to_dict(spawner.hub_context.seal))
        spawner._check_pending = True
        spawner.http_timeout = 1
        return spawner, cluster

    return make


async def still(waiting, seconds):
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    return not done


async def test_a_server_whose_node_is_away_is_waited_for_until_it_answers(adopted, port):
    spawner, _ = adopted(f"http://127.0.0.1:{port}")
    asking = asyncio.ensure_future(spawner.get_url())
    assert await still(asking, 1.5)  # longer than http_timeout, after which JupyterHub would end it
    server = HTTPServer(Application([(".*", Answers)]))
    server.listen(port, "127.0.0.1")
    assert await asyncio.wait_for(asking, 10) == f"http://127.0.0.1:{port}/user/alice/"
    server.stop()


async def test_a_server_that_never_answers_is_given_up_in_the_end(adopted, port, monkeypatch):
    """JupyterHub takes no stop of a server that is being checked."""
    monkeypatch.setattr("yarnspawner.launch.recovery._LONGEST_WAIT", 0.5)
    spawner, _ = adopted(f"http://127.0.0.1:{port}")
    assert await asyncio.wait_for(spawner.get_url(), 15) == f"http://127.0.0.1:{port}/user/alice/"


async def test_a_server_that_yarn_says_has_ended_is_not_waited_for(adopted, port):
    spawner, cluster = adopted(f"http://127.0.0.1:{port}")
    asking = asyncio.ensure_future(spawner.get_url())
    assert await still(asking, 0.5)
    cluster.now = KILLED
    await asyncio.wait_for(asking, 15)
    assert await spawner.poll() is not None
    assert "killed" in spawner.get_state()["last_end"]["said"]


async def test_a_pending_start_that_fails_is_ended_and_its_user_is_told(adopted, monkeypatch):
    spawner, _ = adopted("")
    killed = []

    async def fail(*_):
        raise StartFailed(Diagnosis("The queue is closed.", "Choose another."))

    monkeypatch.setattr(Launcher, "wait_until_ready", fail)
    monkeypatch.setattr(spawner.hub_context, "terminate", killed.append)
    await asyncio.wait_for(spawner.get_url(), 5)
    assert [server.application_id for server in killed] == [ID]
    assert spawner.get_state()["last_end"]["said"] == "The queue is closed. Choose another."


async def test_what_goes_wrong_while_it_is_looked_for_does_not_keep_the_hub_from_its_other_servers(
    adopted, monkeypatch, caplog
):
    spawner, _ = adopted("")

    async def break_down(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(Launcher, "wait_until_ready", break_down)
    with caplog.at_level(logging.ERROR):
        assert await spawner.get_url()


@pytest.mark.parametrize(("ago", "left"), [(0, 300), (100, 200), (1000, 60)])
async def test_the_time_of_a_start_counts_over_a_restart(adopted, ago, left):
    spawner, _ = adopted("")
    spawner.start_timeout = 300
    spawner.orm_spawner.started = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(seconds=ago)
    assert spawner.recovery._time_left() == pytest.approx(left, abs=5)
