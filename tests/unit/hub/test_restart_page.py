"""The page that restarts Jupyter, in a real JupyterHub without a cluster."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.support.plain_hub import PlainHub, plain_hub
from yarnspawner import TEMPLATE_PATHS
from yarnspawner.common.protocol import Restarted
from yarnspawner.hub import restart_page
from yarnspawner.launch.restarter import RestartFailed


class Site:
    """A hub's pages, and the servers that it has restarted."""

    def __init__(self, hub: PlainHub) -> None:
        self.restarts: list[str] = []
        self.failure = ""
        self._hub = hub

    async def ask(self, user: str, path: str, method: str = "GET", cookies: str = "", **form: str) -> HTTPResponse:
        headers = {"Cookie": f"{self._hub.cookie(user)}; {cookies}", "Sec-Fetch-Mode": "navigate"}
        body = urlencode(form) if method == "POST" else None
        return await self._hub.fetch(path, headers=headers, method=method, body=body)

    async def press(self, user: str, path: str) -> HTTPResponse:
        """Open the page and press its button."""
        page = await self.ask(user, path)
        assert page.code == 200, page.reason
        token = re.search(r'name="_xsrf" value="([^"]+)"', page.body.decode())
        action = re.search(r'action="/hub/([^"]+)"', page.body.decode())
        assert token and action
        given = [SimpleCookie(one) for one in page.headers.get_list("Set-Cookie")]
        cookies = "; ".join(f"{name}={one.coded_value}" for each in given for name, one in each.items())
        return await self.ask(user, action[1], "POST", cookies, _xsrf=token[1])


@pytest.fixture
async def site(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.chdir(tmp_path)

    class Restarter:
        def __init__(self, context: Any, record: Any) -> None:
            self._spawner = record

        async def run(self) -> Restarted:
            if site.failure:
                raise RestartFailed(site.failure)
            site.restarts.append(self._spawner.name)
            return Restarted("a1", 1)

    monkeypatch.setattr(restart_page, "Restarter", Restarter)
    roles = [{"name": "reading", "users": ["reader"], "scopes": ["access:servers!user=alice"]}]
    pages = {"template_paths": TEMPLATE_PATHS, "allow_named_servers": True}
    async with plain_hub(restart_page.add_restart_page, users=("alice", "bob", "reader"), roles=roles, **pages) as hub:
        site = Site(hub)
        for spawner in hub.servers("alice", "", "gpu"):
            spawner.offers_restart, spawner.hub_context, spawner.record = True, None, spawner
        yield site


async def test_restart(site: Site) -> None:
    """Users restart Jupyter in their own servers, and admins in all."""
    home = (await site.ask("alice", "home")).body.decode()
    assert 'href="/hub/restart-jupyter/alice"' in home
    assert 'href="/hub/restart-jupyter/alice/gpu"' in home
    assert "restart-jupyter" not in (await site.ask("bob", "home")).body.decode()

    answer = await site.press("alice", "restart-jupyter/alice")
    assert answer.code == 200
    assert "1 kernel in a container keeps running" in answer.body.decode()
    await site.press("alice", "restart-jupyter/alice/gpu")
    answer = await site.press("root", "restart-jupyter/alice")
    assert "of alice" in answer.body.decode()
    assert site.restarts == ["", "gpu", ""]


async def test_refusals(site: Site) -> None:
    """Other users, requests without a valid XSRF token, and servers that do not run are refused."""
    for user in ("bob", "reader"):
        for method in ("GET", "POST"):
            assert (await site.ask(user, "restart-jupyter/alice", method)).code in (403, 404)
    assert (await site.ask("alice", "restart-jupyter/alice", "POST")).code == 403
    assert (await site.ask("alice", "restart-jupyter/alice", "POST", _xsrf="guessed")).code == 403
    page = (await site.ask("alice", "restart-jupyter/alice/absent")).body.decode()
    assert "does not run" in page and "<form" not in page
    assert (await site.ask("root", "restart-jupyter/nobody")).code == 404
    assert site.restarts == []


async def test_failure(site: Site) -> None:
    """The page shows the message of a failed restart, escaped, with HTTP status 503."""
    site.failure = "Jupyter is <b>not</b> ready."
    answer = await site.press("alice", "restart-jupyter/alice")
    assert answer.code == 503
    assert "Jupyter is &lt;b&gt;not&lt;/b&gt; ready." in answer.body.decode()
