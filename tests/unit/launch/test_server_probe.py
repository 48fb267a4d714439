"""What the hub asks of an address before it sends browsers there: real sockets that answer rightly, wrongly, or not."""

import asyncio
import logging
import math
import ssl
import time
from types import SimpleNamespace

import pytest
from certipy import Certipy
from tornado.httpserver import HTTPServer
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from yarnspawner.common.protocol import Address, ProtocolError
from yarnspawner.launch.server_probe import NO_ANSWER, ServerProbe

PATH = "/user/alice/"


def welcome(timeout=5.0, **more):
    return ServerProbe(PATH, timeout, logging.getLogger("test"), **more)


class Server(RequestHandler):
    """As JupyterHub's single-user server answers at /api without a token."""

    asked = []

    def get(self):
        self.asked.append(self.request)
        self.set_header("X-JupyterHub-Version", "6.1.1")
        self.finish({"version": "2.20.0"})


class Silent(Server):
    def get(self):
        self.finish({"version": "2.20.0"})


class Huge(Server):
    def get(self):
        self.set_header("X-JupyterHub-Version", "6.1.1")
        self.finish({"version": "2" * 1_000_000})


class Other(Server):
    """Answers with a version of JupyterHub, but otherwise not as a server."""

    status = 200
    answer = "{}"

    def get(self):
        self.asked.append(self.request)
        self.set_status(self.status)
        self.set_header("X-JupyterHub-Version", "6.1.1")
        self.finish(self.answer)


class Slow(Server):
    begun = time.monotonic()
    requests = 0

    def get(self):
        type(self).requests += 1
        if time.monotonic() < type(self).begun + 1:
            self.send_error(503)
        else:
            super().get()


@pytest.fixture
async def listening():
    servers = []

    def listen(handler, path=f"{PATH}api", **options):
        server = HTTPServer(Application([(path, handler)]), **options)
        socket, port = bind_unused_port()
        server.add_socket(socket)
        servers.append(server)
        return Address("https" if options else "http", "127.0.0.1", port)

    yield listen
    for server in servers:
        server.stop()


async def test_ready_server_gets_no_secret(listening):
    """A server that answers at its own path is ready, and gets no secret."""
    Server.asked.clear()
    assert await welcome().wait_until_ready(listening(Server), lambda: False) == ""
    (request,) = Server.asked
    assert not {"Authorization", "Cookie"} & set(request.headers)


async def test_attack_other_service(listening):
    """Another service of the node is not taken for the server."""
    assert "something else" in await asyncio.wait_for(
        welcome(timeout=20.0).wait_until_ready(listening(Silent), lambda: False), 10
    )


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, "{}"),
        (200, '["version"]'),
        (200, "no JSON"),
        (200, "[" * 5000),
        (404, '{"version": "2.20.0"}'),
        (201, '{"version": "2.20.0"}'),
        (499, '{"version": "2.20.0"}'),
    ],
)
async def test_attack_wrong_answer(listening, monkeypatch, status, answer):
    """An answer of another form is final: something else listens there, so the hub asks once only."""
    monkeypatch.setattr(Other, "status", status)
    monkeypatch.setattr(Other, "answer", answer)
    Other.asked.clear()
    assert "something else" in await welcome().wait_until_ready(listening(Other), lambda: False)
    assert len(Other.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 598])
async def test_failing_server(listening, monkeypatch, status):
    """The hub asks a failing server again and shows its status; a server or a proxy may fail at first."""
    monkeypatch.setattr(Other, "status", status)
    Other.asked.clear()
    answered = f"the server answers with status {status}"
    assert await welcome().wait_until_ready(listening(Other), lambda: len(Other.asked) == 2) == answered
    assert len(Other.asked) == 2


async def test_silent_server(listening):
    """A server that accepts connections and says nothing does not hold a start longer than its timeout."""

    class Mute(Server):
        async def get(self):
            await asyncio.sleep(5)

    began = time.monotonic()
    assert NO_ANSWER in await welcome(timeout=0.2).wait_until_ready(listening(Mute), lambda: False)
    assert time.monotonic() - began < 3


async def test_pauses_grow(monkeypatch):
    """The pauses between requests to a missing server grow from a quarter of a second to five seconds."""
    pauses, sleep = [], asyncio.sleep

    async def record(seconds):
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr("yarnspawner.launch.server_probe.asyncio.sleep", record)
    assert NO_ANSWER in await welcome(timeout=60.0).wait_until_ready(
        Address("http", "127.0.0.1", 1), lambda: len(pauses) == 20
    )
    assert pauses[:3] == pytest.approx([0.25, 0.3, 0.36])
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5


async def test_attack_other_users_server(listening):
    """Another user's server on the node is not taken for the server."""
    address = listening(Server, path="/user/bob/api")
    assert "something else" in await welcome().wait_until_ready(address, lambda: False)


async def test_attack_redirect(listening):
    """The hub follows no redirect; it asks the node that YARN names, and no service that the user chooses."""
    target = listening(Server)

    class Moved(Server):
        def get(self):
            self.redirect(f"{target.url}{PATH}api")

    Server.asked.clear()
    assert "something else" in await welcome().wait_until_ready(listening(Moved), lambda: False)
    assert Server.asked == []


@pytest.mark.parametrize(("size", "met"), [(16384, True), (16385, False)])
async def test_answer_limit(listening, monkeypatch, size, met):
    """The hub reads at most 16 KiB of an answer."""
    monkeypatch.setattr(Other, "answer", '{"version": "2.20.0"}'.ljust(size))
    assert (await welcome(timeout=0.1).wait_until_ready(listening(Other), lambda: False) == "") is met


@pytest.mark.parametrize(("timeout", "patience"), [(0.5, 0.5), (60.0, 5), (math.inf, 5)])
async def test_request_timeout(monkeypatch, timeout, patience):
    """A request times out after five seconds, or the start's timeout if shorter; the error has one line."""
    requests = []

    async def fetch(_client, request, **_options):
        requests.append(request)
        raise TimeoutError("slow\n" * 100)

    monkeypatch.setattr(SimpleAsyncHTTPClient, "fetch", fetch)
    found = await welcome(timeout=timeout).wait_until_ready(Address("http", "x", 40000), lambda: True)
    assert found.startswith(f"{NO_ANSWER} (slow slow ") and len(found) < 250 and "\n" not in found
    (request,) = requests
    assert (request.connect_timeout, request.request_timeout) == (patience, patience)


async def test_attack_endless_answer(listening):
    """The hub stops reading an answer that is too long."""
    assert NO_ANSWER in await welcome(timeout=0.1).wait_until_ready(listening(Huge), lambda: False)


async def test_unready_server(listening):
    """The hub asks a server that is not ready again until it is."""
    Slow.begun = time.monotonic()
    assert await welcome().wait_until_ready(listening(Slow), lambda: False) == ""


async def test_wait_ends():
    """The wait ends after its timeout, or after one request if the application has ended."""
    socket, port = bind_unused_port()
    socket.close()
    found = await welcome(timeout=0.1).wait_until_ready(Address("http", "127.0.0.1", port), lambda: False)
    assert NO_ANSWER in found and "Connection refused" in found
    assert NO_ANSWER in await welcome(timeout=600.0).wait_until_ready(Address("http", "127.0.0.1", port), lambda: True)


async def test_clients_are_not_shared(listening):
    """Two starts at once do not share a client; the first to end closes its own connections only."""
    Slow.begun = time.monotonic()
    slow = asyncio.create_task(welcome().wait_until_ready(listening(Slow), lambda: False))
    await asyncio.sleep(0.1)
    assert await welcome().wait_until_ready(listening(Server), lambda: False) == ""
    assert await slow == ""


async def test_client_is_closed(listening, monkeypatch):
    """The hub waits between its requests to a server, and then closes the client and its sockets."""
    closed = []
    monkeypatch.setattr(SimpleAsyncHTTPClient, "close", lambda client: closed.append(client))  # noqa: PLW0108 - a method
    Slow.begun, Slow.requests = time.monotonic(), 0
    assert await welcome().wait_until_ready(listening(Slow), lambda: False) == ""
    assert Slow.requests <= 8
    assert len(closed) == 1


@pytest.mark.parametrize("port", [1, 22, 80, 1023])
def test_attack_system_ports(port):
    """The ports of the node's own services are refused, even if the range has them."""
    with pytest.raises(ProtocolError):
        welcome().check_address(Address("http", "x", port))
    with pytest.raises(ProtocolError):
        welcome(ports=(1, 65535)).check_address(Address("http", "x", port))


def test_default_ports():
    """Without a range, users have all ports from 1024, on which accounts without privileges can listen."""
    for port in (1024, 65535):
        welcome().check_address(Address("http", "x", port))
    with pytest.raises(ProtocolError):
        welcome().check_address(Address("http", "x", 65536))


def test_attack_ports_outside_range():
    """Ports outside of the range are refused."""
    inside = welcome(ports=(40000, 40100))
    for port in (40000, 40100):
        inside.check_address(Address("http", "x", port))
    for port in (39999, 40101, 8042, 65535):
        with pytest.raises(ProtocolError):
            inside.check_address(Address("http", "x", port))


def test_attack_plain_http():
    """With internal SSL, a server with plain HTTP is refused."""
    with pytest.raises(ProtocolError, match="https"):
        welcome(certified=ssl.create_default_context()).check_address(Address("http", "x", 40000))


def test_https_address():
    """A server may use HTTPS with and without internal SSL."""
    welcome(certified=ssl.create_default_context()).check_address(Address("https", "x", 40000))
    welcome().check_address(Address("https", "x", 40000))


async def test_broken_handshake():
    """With internal SSL, the hub repeats a broken handshake; only a wrong certificate is final."""

    def plain(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    tries = []
    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        address = Address("https", "127.0.0.1", server.sockets[0].getsockname()[1])
        found = await welcome(certified=ssl.create_default_context()).wait_until_ready(
            address, lambda: tries.append("") or len(tries) == 2
        )
    assert "has no certificate of this hub's" in found
    assert len(tries) == 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Makes certificates as JupyterHub does: of the hub's authority, and of one that it does not know."""
    certipy = Certipy(store_dir=str(tmp_path_factory.mktemp("certificates")))
    certipy.create_ca("ours")
    certipy.create_ca("theirs")

    def files(name, ca, names):
        made = certipy.create_signed_pair(name, ca, alt_names=names)
        return made["files"]

    ours = certipy.store.get_record("ours")["files"]["cert"]
    return SimpleNamespace(files=files, ours=ours)


def context(files, ca, purpose):
    made = ssl.create_default_context(purpose, cafile=ca)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(files["cert"], files["key"])
    return made


@pytest.mark.parametrize(
    ("signed_by", "name", "met"),
    [("ours", "IP:127.0.0.1", True), ("ours", "DNS:worker7", False), ("theirs", "IP:127.0.0.1", False)],
)
async def test_attack_wrong_certificate(listening, authority, signed_by, name, met):
    """With internal SSL, the hub accepts only a certificate of its own authority for the node."""
    files = authority.files(f"server-{signed_by}-{name[-1]}", signed_by, [name])
    hub = context(
        authority.files(f"hub-{signed_by}-{name[-1]}", "ours", ["IP:127.0.0.1"]),
        authority.ours,
        ssl.Purpose.SERVER_AUTH,
    )
    address = listening(Server, ssl_options=context(files, authority.ours, ssl.Purpose.CLIENT_AUTH))
    began = time.monotonic()
    found = await welcome(certified=hub, timeout=20.0).wait_until_ready(address, lambda: False)
    assert (found == "") is met, found
    assert met or ("has no certificate of this hub's" in found and "certificate verify failed" in found)
    assert time.monotonic() - began < 10
