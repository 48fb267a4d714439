"""How the hub asks Hadoop's web services. A small server stands for them; tests/cluster asks real ones."""

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

from yarnspawner.hadoop import http_client as hadoop_web
from yarnspawner.hadoop.http_client import HadoopWeb, WebError, WebInsecure, WebRefused, _confidential

Serve = Callable[[Callable[[RequestHandler], object]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves every request with a function of the handler, and returns the address."""
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
    """A curl that writes down its arguments and environment and prints the file ``answer``: it needs no KDC."""
    script = tmp_path / "curl"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nenv > {tmp_path}/env\ncat {tmp_path}/answer\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def wants_ticket(handler: RequestHandler) -> None:
    """Behave as a service with SPNEGO that has given out one cookie."""
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


async def test_simple_authentication_says_who_asks(serve: Serve) -> None:
    seen: list[HTTPServerRequest] = []
    url = serve(lambda handler: (seen.append(handler.request), handler.write({"a": 1})))
    web = HadoopWeb("jupyterhub")
    assert (await web.get(f"{url}/ws?x=1")).json() == {"a": 1}
    assert seen[0].uri == "/ws?x=1&user.name=jupyterhub"
    web.close()


async def test_a_ticket_is_needed_once_then_its_cookie_serves(serve: Serve, curl: Path) -> None:
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web = HadoopWeb("hub")
    assert (await web.get(f"{url}/ws")).json() == {"got": "ticket"}
    assert (await web.get(f"{url}/ws")).json() == {"got": "cookie"}
    assert len((curl / "calls").read_text().splitlines()) == 1
    web.close()


async def test_many_at_once_need_one_ticket(serve: Serve, curl: Path) -> None:
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web = HadoopWeb("hub")
    answers = await asyncio.gather(*(web.get(f"{url}/ws") for _ in range(20)))
    assert all(answer.status == 200 for answer in answers)
    assert len((curl / "calls").read_text().splitlines()) == 1
    web.close()


async def test_a_cookie_that_is_over_is_replaced(serve: Serve, curl: Path) -> None:
    url = serve(wants_ticket)
    web = HadoopWeb("hub")
    (curl / "answer").write_text(NEGOTIATED.replace("signature", "old"))
    await web.get(f"{url}/ws")
    (curl / "answer").write_text(NEGOTIATED)
    assert (await web.get(f"{url}/ws")).json() == {"got": "ticket"}
    assert (await web.get(f"{url}/ws")).json() == {"got": "cookie"}
    web.close()


async def test_curl_gets_nothing_secret_and_goes_nowhere_else(
    serve: Serve, curl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("http_proxy", "http://proxy.example.com")
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web = HadoopWeb("hub")
    await web.get(f"{url}/ws")
    arguments = (curl / "calls").read_text()
    assert "--negotiate --user : --noproxy * --proto =http,https" in arguments
    assert "--location" not in arguments
    assert not {"secret", "proxy.example.com"} & set((curl / "env").read_text().replace("=", "\n").splitlines())
    web.close()


async def test_a_ticket_that_is_not_taken_is_a_clear_error(serve: Serve, curl: Path) -> None:
    (curl / "answer").write_text("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n\r\n")
    url = serve(wants_ticket)
    web = HadoopWeb("hub")
    with pytest.raises(WebRefused, match="did not take the hub's word"):
        await web.get(f"{url}/ws")
    web.close()


async def test_redirects_are_answers_and_not_followed(serve: Serve) -> None:
    asked: list[str] = []
    target = serve(lambda handler: asked.append(handler.request.uri))
    url = serve(lambda handler: handler.redirect(f"{target}/", status=307))
    web = HadoopWeb("hub")
    answer = await web.get(f"{url}/ws")
    assert (answer.status, answer.headers["Location"]) == (307, f"{target}/")
    assert not asked
    web.close()


async def test_a_service_that_is_down_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        web = HadoopWeb("hub")
        with pytest.raises(WebError, match="does not answer"):
            await web.get(f"http://127.0.0.1:{unused.getsockname()[1]}/ws")
        web.close()


async def test_a_service_that_hangs_is_an_error_in_time(serve: Serve) -> None:
    url = serve(lambda handler: asyncio.sleep(5))
    web = HadoopWeb("hub", timeout=0.3)
    started = asyncio.get_running_loop().time()
    with pytest.raises(WebError, match="does not answer"):
        await web.get(f"{url}/ws")
    assert asyncio.get_running_loop().time() - started < 2
    web.close()


async def test_an_answer_without_end_is_an_error(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hadoop_web, "_SIZE_LIMIT", 1000)
    url = serve(lambda handler: handler.write("x" * 2000))
    web = HadoopWeb("hub")
    with pytest.raises(WebError, match="does not answer"):
        await web.get(f"{url}/ws")
    web.close()


async def test_a_page_instead_of_a_document_is_an_error(serve: Serve) -> None:
    url = serve(lambda handler: handler.write("<html>"))
    web = HadoopWeb("hub")
    answer = await web.get(f"{url}/ws")
    with pytest.raises(WebError, match="something else than a JSON document"):
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
def test_what_is_read_by_nobody_else(origin: str, safe: bool) -> None:
    """HTTPS and this machine are confidential, and nothing else is."""
    assert _confidential(origin) is safe


async def test_no_login_over_plain_http(serve: Serve, curl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host over plain HTTP gets no ticket and no cookie, unless that is allowed."""
    monkeypatch.setattr("yarnspawner.hadoop.http_client._confidential", lambda origin: False)
    (curl / "answer").write_text(NEGOTIATED)
    url = serve(wants_ticket)
    web, allowed = HadoopWeb("hub"), HadoopWeb("hub", plain_login=True)
    with pytest.raises(WebInsecure, match="spnego_over_http"):
        await web.get(f"{url}/ws")
    assert not (curl / "calls").exists()
    assert (await allowed.get(f"{url}/ws")).json() == {"got": "ticket"}
    web.close()
    allowed.close()
