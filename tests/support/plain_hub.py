"""A real JupyterHub in the test's process, without a cluster, a proxy or servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import create_signed_value


class PlainHub:
    """A hub that answers requests."""

    def __init__(self, hub: Any, address: str) -> None:
        self.hub = hub
        self._address = address

    def row(self, user: str) -> Any:
        """Return a user's row in the hub's database."""
        return orm.User.find(self.hub.db, user)

    def servers(self, user: str, *names: str, state: Any = None) -> list[Any]:
        """Give a user servers, and return their spawners."""
        row = self.row(user)
        self.hub.db.add_all([orm.Spawner(user=row, name=name, state=state) for name in names])
        self.hub.db.commit()
        return [self.hub.users[row].spawners[name] for name in names]

    def cookie(self, user: str) -> str:
        """Return the cookie of a user who has logged in."""
        name = self.hub.hub.cookie_name
        return f"{name}={create_signed_value(self.hub.cookie_secret, name, self.row(user).cookie_id).decode()}"

    async def fetch(self, path: str, *, headers: dict[str, str], method: str = "GET", body: Any = None) -> HTTPResponse:
        """Return the answer to a request for a path below ``/hub/``, whatever its status."""
        return await AsyncHTTPClient().fetch(
            f"{self._address}/hub/{path}",
            method=method,
            body=body,
            headers=headers,
            follow_redirects=False,
            raise_error=False,
        )


@asynccontextmanager
async def plain_hub(
    prepare: Callable[[Any], None], *, users: Iterable[str], roles: Iterable[dict[str, Any]] = (), **settings: Any
) -> AsyncIterator[PlainHub]:
    """Run a hub with the admin ``root`` and these users. Its files are in the current folder.

    Args:
        prepare: changes the hub before it answers requests.
        users: their names.
        roles: of JupyterHub, in addition to its own.
        settings: of the hub.
    """
    hub = JupyterHub(db_url="sqlite:///:memory:", authenticator_class="dummy", spawner_class="simple", log_level=50)
    for name, value in settings.items():
        setattr(hub, name, value)
    hub.config.Authenticator.allow_all = True
    hub.config.Authenticator.admin_users = {"root"}
    hub.config.Authenticator.allowed_users = set(users)
    hub.load_roles = [*roles]
    await hub.initialize([])
    prepare(hub)
    socket, port = bind_unused_port()
    server = HTTPServer(hub.tornado_application)
    server.add_socket(socket)
    try:
        yield PlainHub(hub, f"http://127.0.0.1:{port}")
    finally:
        server.stop()
        hub.db.close()
