"""The HTTP client for Hadoop's web services. A small server stands in for them; tests/cluster uses real ones."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from yarnspawner.hadoop import http_client
from yarnspawner.hadoop.http_client import HadoopHttpClient, WebError, WebInsecure, WebRefused, _is_confidential

Serve = Callable[[Callable[[RequestHandler], object]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server with a request handler and returns its address."""
    servers = []

    def start(answer: Callable[[RequestHandler], object]) -> str:
        class Handler(RequestHandler):
            async def get(self) -> None:
                result = answer(self)
                if asyncio.iscoroutine(result):
                    await result

        listener, port = bind_unused_port()
        server = HTTPServer(Application([(".*", Handler)]))
        server.add_socket(listener)
        servers.append(server)
        return f"http://127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def curl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A curl that records arguments and environment and prints the file ``answer``, so no KDC is needed."""
    script = tmp_path / "curl"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nenv > {tmp_path}/env\ncat {tmp_path}/answer\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def wants_ticket(handler: RequestHandler) -> None:
    """Handle a request like a service with SPNEGO that has issued one cookie."""
    if handler.request.headers.get("Cookie") == 'hadoop.auth="u=hub&s=signature"':
        handler.write({"got": "cookie"})
        return
    handler.set_status(401)
    handler.set_header("WWW-Authenticate", "Negotiate")


NEGOTIATED = (
    "HTTP/1.1 401 Authentication required\r\nWWW-Authenticate: Negotiate\r\n\r\n"
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    'Set-Cookie: hadoop.auth="u=hub&s=signature"; Path=/; HttpOnly\r\n\r\n'
    '{"got": "ticket"}'
)


async def test_simple_authentication(serve: Serve) -> None:
    """The request contains the hub's Hadoop user."""
    seen: list[HTTPServerRequest] = []
    url = serve(lambda handler: (seen.append(handler.request), handler.write({"a": 1})))
    web = HadoopHttpClient("jupyterhub")
    assert (await web.get(f"{url}/ws?x=1")).json() == {"a": 1}
    assert seen[0].uri == "/ws?x=1&user.name=jupyterhub"
    web.close()


async def test_cookie_is_reused(serve: Serve, curl: Path) -> None:
    """After one SPNEGO login, the cookie is used."""
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web = HadoopHttpClient("hub")
    assert (await web.get(f"{url}/ws")).json() == {"got": "ticket"}
    assert (await web.get(f"{url}/ws")).json() == {"got": "cookie"}
    assert len((curl / "calls").read_text().splitlines()) == 1
    web.close()


async def test_concurrent_login(serve: Serve, curl: Path) -> None:
    """Concurrent requests share one SPNEGO login."""
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web = HadoopHttpClient("hub")
    answers = await asyncio.gather(*(web.get(f"{url}/ws") for _ in range(20)))
    assert all(answer.status == 200 for answer in answers)
    assert len((curl / "calls").read_text().splitlines()) == 1
    web.close()


async def test_expired_cookie(serve: Serve, curl: Path) -> None:
    """An expired cookie causes another login."""
    url = serve(wants_ticket)
    web = HadoopHttpClient("hub")
    (curl / "answer").write_text(NEGOTIATED.replace("signature", "old"))
    await web.get(f"{url}/ws")
    (curl / "answer").write_text(NEGOTIATED)
    assert (await web.get(f"{url}/ws")).json() == {"got": "ticket"}
    assert (await web.get(f"{url}/ws")).json() == {"got": "cookie"}
    web.close()


async def test_curl_gets_no_secrets(serve: Serve, curl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """curl gets no secrets, no proxy, and follows no redirects."""
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("http_proxy", "http://proxy.example.com")
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web = HadoopHttpClient("hub")
    await web.get(f"{url}/ws")
    arguments = (curl / "calls").read_text()
    assert "--negotiate --user : --noproxy * --proto =http,https" in arguments
    assert "--location" not in arguments
    assert not {"secret", "proxy.example.com"} & set((curl / "env").read_text().replace("=", "\n").splitlines())
    web.close()


async def test_rejected_ticket(serve: Serve, curl: Path) -> None:
    """A rejected ticket raises WebRefused."""
    (curl / "answer").write_text("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n\r\n")
    url = serve(wants_ticket)
    web = HadoopHttpClient("hub")
    with pytest.raises(WebRefused, match="rejected the hub's credentials"):
        await web.get(f"{url}/ws")
    web.close()


async def test_redirects_are_not_followed(serve: Serve) -> None:
    """A redirect is returned as a response."""
    asked: list[str] = []
    target = serve(lambda handler: asked.append(handler.request.uri))
    url = serve(lambda handler: handler.redirect(f"{target}/", status=307))
    web = HadoopHttpClient("hub")
    answer = await web.get(f"{url}/ws")
    assert (answer.status, answer.headers["Location"]) == (307, f"{target}/")
    assert not asked
    web.close()


async def test_service_down() -> None:
    """A service that is down raises WebError."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        web = HadoopHttpClient("hub")
        with pytest.raises(WebError, match="does not answer"):
            await web.get(f"http://127.0.0.1:{unused.getsockname()[1]}/ws")
        web.close()


async def test_service_hangs(serve: Serve) -> None:
    """A service that hangs raises WebError after the timeout."""
    url = serve(lambda handler: asyncio.sleep(5))
    web = HadoopHttpClient("hub", timeout=0.3)
    started = asyncio.get_running_loop().time()
    with pytest.raises(WebError, match="does not answer"):
        await web.get(f"{url}/ws")
    assert asyncio.get_running_loop().time() - started < 2
    web.close()


async def test_size_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that is too large raises WebError."""
    monkeypatch.setattr(http_client, "_SIZE_LIMIT", 1000)
    url = serve(lambda handler: handler.write("x" * 2000))
    web = HadoopHttpClient("hub")
    with pytest.raises(WebError, match="does not answer"):
        await web.get(f"{url}/ws")
    web.close()


async def test_html_page(serve: Serve) -> None:
    """A response that is no JSON object raises WebError."""
    url = serve(lambda handler: handler.write("<html>"))
    web = HadoopHttpClient("hub")
    answer = await web.get(f"{url}/ws")
    with pytest.raises(WebError, match="did not return a JSON object"):
        answer.json()
    web.close()


@pytest.mark.parametrize(
    ("origin", "safe"),
    [
        ("https://nn.example.com:9871", True),
        ("http://127.0.0.1:9870", True),
        ("http://[::1]:9870", True),
        ("http://localhost:9870", True),
        (f"http://{socket.gethostname()}:9870", True),
        ("http://nn.example.com:9870", False),
        ("http://10.0.0.1:9870", False),
        ("http://localhost.example.com:9870", False),
        ("http://127.0.0.1.example.com:9870", False),
    ],
)
def test_is_confidential(origin: str, safe: bool) -> None:
    """Only HTTPS and this machine are confidential."""
    assert _is_confidential(origin) is safe


async def test_no_login_over_plain_http(serve: Serve, curl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without permission, there is no login over plain HTTP on another host."""
    monkeypatch.setattr("yarnspawner.hadoop.http_client._is_confidential", lambda origin: False)
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web, allowed = HadoopHttpClient("hub"), HadoopHttpClient("hub", plain_login=True)
    with pytest.raises(WebInsecure, match="spnego_over_http"):
        await web.get(f"{url}/ws")
    assert not (curl / "calls").exists()
    assert (await allowed.get(f"{url}/ws")).json() == {"got": "ticket"}
    web.close()
    allowed.close()
