"""A restart of Jupyter, as the hub asks for it. The cluster is a stand-in with one application."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.one_application import ID, KILLED, RUNNING
from yarnspawner.common.protocol import RESTART_KEY, RESTARTED_KEY, Restarted, RestartRequest
from yarnspawner.launch import restarter
from yarnspawner.launch.restarter import Restarter, RestartFailed
from yarnspawner.skein_driver import ClusterError
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.last_exit import LastExit
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.status import Status


class Container:
    """A server's container, and the hub's access to it."""

    def __init__(self, answer: Callable[[RestartRequest], bytes | None]) -> None:
        self.answer = answer
        self.requests: list[RestartRequest] = []
        self.status_now = Status(RUNNING, known=True)
        self.audit_facts = {"user": "alice", "server": ""}
        self.access = SimpleNamespace(reflector=self)
        self.reads = 0

    async def status(self, application_id: str) -> Status:
        assert application_id == ID
        return self.status_now

    @asynccontextmanager
    async def channel(self, server: ServerState) -> Any:
        yield self

    async def put(self, report: Any, key: str, value: bytes) -> None:
        assert key == RESTART_KEY
        self.requests.append(RestartRequest.from_bytes(value))

    async def get(self, report: Any, key: str) -> bytes | None:
        assert key == RESTARTED_KEY
        self.reads += 1
        if self.reads == 1:
            raise ClusterError("busy")
        return self.answer(self.requests[-1]) if self.reads > 3 else Restarted("former", 7).to_bytes()


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> ServerRecord:
    monkeypatch.setattr(restarter, "_INTERVAL", 0.01)
    monkeypatch.setattr(restarter, "_LIMIT", 0.5)
    record = ServerRecord(SimpleNamespace, lambda _: None, LastExit())  # type: ignore[arg-type]
    record.server = ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(ID)
    record.server = record.server.with_url("http://worker:8888")
    return record


def right(request: RestartRequest) -> bytes:
    return Restarted(request.id, 2).to_bytes()


async def test_restart(record: ServerRecord, caplog: pytest.LogCaptureFixture) -> None:
    """The hub waits for the answer to its own request, and records the restart."""
    container = Container(right)
    with caplog.at_level(logging.INFO, "yarnspawner.audit"):
        assert (await Restarter(container, record).run()).kernels == 2  # type: ignore[arg-type]
    line = json.loads(caplog.messages[-1])
    assert line | {"time": ""} == {"time": "", "event": "restarted", "application": ID, "kernels": 2, "user": "alice"}
    assert not record.restarting


@pytest.mark.parametrize("answer", [None, b"{", Restarted("other", 1).to_bytes()])
async def test_no_answer(record: ServerRecord, answer: bytes | None) -> None:
    """Without a valid answer to its own request, a restart fails and the error says what to do."""
    container = Container(lambda _: answer)
    with pytest.raises(RestartFailed, match=r"not ready after .* stop it and start it again"):
        await Restarter(container, record).run()  # type: ignore[arg-type]
    assert not record.restarting


async def test_once_at_a_time(record: ServerRecord) -> None:
    """A second restart during the first one is refused and sends no request."""
    container = Container(right)
    first = asyncio.ensure_future(Restarter(container, record).run())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    with pytest.raises(RestartFailed, match="already restarting"):
        await Restarter(container, record).run()  # type: ignore[arg-type]
    await first
    assert len(container.requests) == 1


async def test_an_ended_server(record: ServerRecord) -> None:
    """A restart fails if the server has ended, YARN does not respond, or the hub stops the server."""
    container = Container(lambda _: None)
    container.status_now = Status(KILLED, known=True)
    with pytest.raises(RestartFailed, match="has stopped"):
        await Restarter(container, record).run()  # type: ignore[arg-type]
    container.status_now = Status(None, known=False)
    with pytest.raises(RestartFailed, match="YARN does not respond"):
        await Restarter(container, record).run()  # type: ignore[arg-type]
    record.stopping = True
    with pytest.raises(RestartFailed, match="does not run"):
        await Restarter(container, record).run()  # type: ignore[arg-type]
