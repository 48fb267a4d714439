"""What JupyterHub is told of a server of the hub's last run: nothing before it answers, or YARN says that it has ended."""

import asyncio
import socket

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from tests.support.one_application import KILLED


class Answers(RequestHandler):
    def get(self):
        self.set_header("X-JupyterHub-Version", "6.1.1")
        self.finish({"version": "2.20.0"})


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


async def still(waiting, seconds):
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    return not done


async def test_wait_for_a_lost_node(adopted, port):
    """The hub waits for a server on a lost node until the server answers."""
    spawner, _ = adopted(f"http://127.0.0.1:{port}")
    asking = asyncio.ensure_future(spawner.get_url())
    assert await still(asking, 1.5)  # longer than http_timeout, after which JupyterHub would end it
    server = HTTPServer(Application([(".*", Answers)]))
    server.listen(port, "127.0.0.1")
    assert await asyncio.wait_for(asking, 10) == f"http://127.0.0.1:{port}/user/alice/"
    server.stop()


async def test_wait_has_a_limit(adopted, port, monkeypatch):
    """The wait for a silent server has a limit, because JupyterHub cannot stop a server during its check."""
    monkeypatch.setattr("yarnspawner.launch.recovery._LONGEST_WAIT", 0.5)
    spawner, _ = adopted(f"http://127.0.0.1:{port}")
    assert await asyncio.wait_for(spawner.get_url(), 15) == f"http://127.0.0.1:{port}/user/alice/"


async def test_no_wait_for_ended_server(adopted, port):
    """The wait stops when YARN reports that the server has ended."""
    spawner, cluster = adopted(f"http://127.0.0.1:{port}")
    asking = asyncio.ensure_future(spawner.get_url())
    assert await still(asking, 0.5)
    cluster.now = KILLED
    await asyncio.wait_for(asking, 15)
    assert await spawner.poll() is not None
    assert "killed" in spawner.get_state()["last_end"]["said"]
