"""A server asks its hub why a kernel waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from yarnspawner.kernels.wait_reasons import HubQuestion, WaitReasons


class Hub(web.RequestHandler):
    answer = '{"reason": "because the queue is full"}'
    status = 200
    asked: list[tuple[str, str]]

    def get(self, name: str) -> None:
        self.asked.append((self.request.uri or "", self.request.headers["Authorization"]))
        self.set_status(self.status)
        self.finish(self.answer)


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(Hub, "asked", [], raising=False)
    socket, port = bind_unused_port()
    server = HTTPServer(web.Application([("/hub/api/yarnspawner/kernel-waits/(.*)", Hub)]))
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}/hub/api"
    server.stop()


def question(hub: str, name: str = "alice", server: str = "") -> HubQuestion:
    return HubQuestion(
        {
            "JUPYTERHUB_API_URL": hub,
            "JUPYTERHUB_API_TOKEN": "secret",
            "JUPYTERHUB_USER": name,
            "JUPYTERHUB_SERVER_NAME": server,
        }
    )


async def clause(reasons: WaitReasons, waited: float = 3) -> str:
    for _ in range(20):
        reasons.clause("large", waited)
        await asyncio.sleep(0.01)
    return reasons.clause("large", waited)


async def test_question(hub: str) -> None:
    """The hub learns which server asks, by its own token, and the size."""
    assert await question(hub).ask("large") == "because the queue is full"
    assert await question(hub, "a/b c", "gpu").ask("large") == "because the queue is full"
    path = "/hub/api/yarnspawner/kernel-waits"
    assert Hub.asked == [
        (f"{path}/alice?size=large", "token secret"),
        (f"{path}/a%2Fb%20c/gpu?size=large", "token secret"),
    ]


async def test_without_a_hub() -> None:
    """Outside of a hub, there is no request and no reason."""
    assert await HubQuestion({}).ask("large") == ""


async def test_clause(hub: str) -> None:
    """A kernel that has hardly waited causes no request, and others do not cause one all the time."""
    reasons = WaitReasons(question(hub).ask)
    assert await clause(reasons, waited=1) == ""
    assert Hub.asked == []
    assert await clause(reasons) == ", because the queue is full"
    assert len(Hub.asked) == 1


@pytest.mark.parametrize("answer", ["[]", "{}", '{"reason": 7}', "<html>", '{"reason": "', "x" * 20_000])
async def test_strange_answers(hub: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no answer adds nothing, and the hub is not asked again soon."""
    monkeypatch.setattr(Hub, "answer", answer)
    assert await clause(WaitReasons(question(hub).ask)) == ""
    assert len(Hub.asked) == 1


@pytest.mark.parametrize("status", [302, 403, 404, 500])
async def test_older_hub(hub: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older hub does not know the question."""
    monkeypatch.setattr(Hub, "status", status)
    assert await clause(WaitReasons(question(hub).ask)) == ""
    assert len(Hub.asked) == 1


async def test_long_text(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text stays one short line."""
    monkeypatch.setattr(Hub, "answer", '{"reason": "because\\nof ' + 2000 * "x" + '"}')
    found = await clause(WaitReasons(question(hub).ask))
    assert found.startswith(", because of x")
    assert len(found) < 500


async def test_hub_is_away() -> None:
    """A hub that is out of reach adds nothing to the text."""
    socket, port = bind_unused_port()
    socket.close()
    assert await clause(WaitReasons(question(f"http://127.0.0.1:{port}/hub/api").ask)) == ""
