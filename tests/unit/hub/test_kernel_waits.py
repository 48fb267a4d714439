"""The hub's answer to a server whose kernel waits, in a real JupyterHub without a cluster."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.support.plain_hub import PlainHub, plain_hub
from yarnspawner.hadoop.scheduler import Resources
from yarnspawner.hub.kernel_waits import add_kernel_waits

PROFILES = [
    {"slug": "small", "memory": "1 G"},
    {"slug": "gpu", "memory": "4 G", "vcores": 2, "gpus": 1, "node_label": "gpu"},
]


class Site:
    """A hub with servers of alice, "" and "second", whose tokens are known, and what it has asked the cluster."""

    def __init__(self, hub: PlainHub) -> None:
        self.asked: list[Any] = []
        self.spawners = hub.servers("alice", "", "second")
        self._hub = hub

    def token(self, user: str, server: str = "") -> str:
        """Return a token as JupyterHub makes it for a server."""
        scopes = [f"access:servers!server={user}/{server}", f"users:activity!user={user}"]
        token: str = self._hub.row(user).new_api_token(scopes=scopes)
        return token

    async def ask(self, token: str, path: str) -> HTTPResponse:
        return await self._hub.fetch(
            f"api/yarnspawner/kernel-waits/{path}", headers={"Authorization": f"token {token}"}
        )

    async def reason(self, *asked: Any, user: str, label: str) -> str:
        self.asked.append((*asked, user, label))
        return "because the queue is full"


@pytest.fixture
async def site(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.chdir(tmp_path)
    async with plain_hub(add_kernel_waits, users=("alice", "bob")) as hub:
        site = Site(hub)
        access = SimpleNamespace(container_waits=site)
        for spawner in site.spawners:
            state = SimpleNamespace(application_id="application_1_0001", queue="root.users", hadoop_user="alice-h")
            spawner.record, spawner.hub_context = SimpleNamespace(server=state), SimpleNamespace(access=access)
            spawner.kernel_profiles, spawner.node_label = PROFILES, "cpu"
            spawner.hadoop_user = "{username}"
        yield site


async def test_reason(site: Site) -> None:
    """A server asks with its own token. Size, queue and user are those that the hub knows."""
    answer = await site.ask(site.token("alice"), "alice?size=small")
    assert answer.code == 200, answer.body
    assert json.loads(answer.body) == {"reason": "because the queue is full"}
    answer = await site.ask(site.token("alice", "second"), "alice/second?size=gpu")
    assert answer.code == 200, answer.body
    assert site.asked == [
        (Resources(1024, 1, 0), "root.users", "alice-h", "cpu"),
        (Resources(4096, 2, 1), "root.users", "alice-h", "gpu"),
    ]


async def test_others(site: Site) -> None:
    """Nobody learns anything with a token of another user or server, or without one."""
    for token in (site.token("bob"), site.token("alice", "second"), "guessed"):
        assert (await site.ask(token, "alice?size=small")).code in (403, 404)
    assert (await site.ask(site.token("bob"), "nobody?size=small")).code in (403, 404)
    assert site.asked == []


async def test_unknown(site: Site) -> None:
    """A size that is not offered, no size, and a server that does not run."""
    token = site.token("alice")
    assert (await site.ask(token, "alice?size=huge")).code == 404
    assert (await site.ask(token, "alice")).code == 400
    site.spawners[0].record.server = None
    assert (await site.ask(token, "alice?size=small")).code == 404
    assert site.asked == []
