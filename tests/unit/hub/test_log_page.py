"""The page of a user's last starts, in a real JupyterHub without a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.support.plain_hub import PlainHub, plain_hub
from yarnspawner.hub import log_page

FIRST = {
    "application_id": "application_1_0001",
    "hadoop_user": "alice",
    "container": "master",
    "began": "2026-11-27T12:00:00+00:00",
    "ended": "2026-11-27T12:01:00+00:00",
    "code": "memory-exceeded",
    "said": "The server used more memory than its <b>limit</b>.",
}
LAST = {"application_id": "application_1_0002", "hadoop_user": "alice", "began": "2026-11-27T13:00:00+00:00"}
BOBS = {"application_id": "application_1_0003", "hadoop_user": "bob", "began": "2026-11-27T14:00:00+00:00"}


class Site:
    """A hub's pages, and what it has read of the cluster."""

    def __init__(self, hub: PlainHub, asked: list[str]) -> None:
        self.asked = asked
        self._hub = hub

    async def get(self, user: str, path: str) -> HTTPResponse:
        return await self._hub.fetch(path, headers={"Cookie": self._hub.cookie(user)})

    async def page(self, user: str, path: str) -> str:
        answer = await self.get(user, path)
        assert answer.code == 200, answer.reason
        return answer.body.decode()


@pytest.fixture
async def site(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    async def start_log(access: Any, start: dict[str, str], **_: Any) -> str:
        asked.append(start["application_id"])
        return "line 1\n<script>alert(1)</script>"

    monkeypatch.setattr(log_page, "start_log", start_log)
    roles = [{"name": "helpdesk", "users": ["helper"], "scopes": ["admin:servers!user=alice"]}]
    async with plain_hub(
        lambda hub: log_page.add_log_page(hub, SimpleNamespace()), users=("alice", "bob", "helper", "new"), roles=roles
    ) as hub:
        hub.servers("alice", "", state={"starts": [FIRST, LAST]})
        hub.servers("bob", "", state={"starts": [BOBS]})
        yield Site(hub, asked)


async def test_pages(site: Site) -> None:
    """Users see their own servers, admins all, and a log is read once and escaped."""
    assert (await site.get("alice", "server-logs")).headers["Location"] == "/hub/server-logs/alice"
    page = await site.page("alice", "server-logs/alice")
    assert page.index("application_1_0002") < page.index("application_1_0001")
    assert "memory-exceeded" in page and "&lt;b&gt;limit" in page
    assert site.asked == []

    for _ in range(5):
        page = await site.page("alice", "server-logs/alice/application_1_0002")
    assert "line 1" in page and "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert site.asked == ["application_1_0002"]

    assert "YARN has not accepted a start" in await site.page("new", "server-logs/new")
    for path in ("bob", "bob/application_1_0003", "nobody", "alice/application_1_0003", "alice/application_1_x"):
        assert (await site.get("alice", f"server-logs/{path}")).code in (403, 404), path
    assert site.asked == ["application_1_0002"]

    for admin in ("root", "helper"):
        assert "of alice" in await site.page(admin, "server-logs/alice")
    assert (await site.get("helper", "server-logs/bob")).code == 404
    assert (await site.get("root", "server-logs/nobody")).code == 404


async def test_slow_log(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a log is read, the page loads itself again."""

    async def get(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(log_page.LogCache, "get", get)
    answer = await site.get("alice", "server-logs/alice/application_1_0002")
    assert answer.headers["Refresh"] == "3" and "is reading a log" in answer.body.decode()
