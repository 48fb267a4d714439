"""A stand-in for the hub while it does not run: a server waits for the hub before it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from yarnspawner.check.result import Unknown
from yarnspawner.check.trial_user import hub_of

_TIMEOUT = 5.0


class _Hub(RequestHandler):
    """Answers as a hub does to a server that starts."""

    def get(self) -> None:
        """Tell the version."""
        import jupyterhub

        self.set_header("X-JupyterHub-Version", jupyterhub.__version__)
        self.finish({"version": jupyterhub.__version__})

    def post(self) -> None:
        """Take a report of the server's activity."""
        self.get()


@asynccontextmanager
async def hub_or_stand_in(hub: Any) -> AsyncIterator[str]:
    """Listen at the hub's address, unless the hub itself does. Yields which of them it is.

    Raises:
        Unknown: another program uses the hub's port, or a stand-in cannot replace this hub.
    """
    own = hub_of(hub)
    if hub.internal_ssl:
        raise Unknown("With internal_ssl, only the hub itself can make a server's certificate.")
    address = urlsplit(own.bind_url)
    if await _answers(f"{own.bind_url.replace('//*', '//127.0.0.1').rstrip('/')}/api/", address.hostname):
        yield "the hub, which runs"
        return
    server = HTTPServer(Application([(".*", _Hub)]))
    host = "" if address.hostname in (None, "*", "0.0.0.0", "::") else str(address.hostname)  # noqa: S104
    try:
        server.listen(address.port or 8081, host)
    except OSError as error:
        raise Unknown(
            f"The hub does not answer, and its address {address.netloc} cannot be used: {error.strerror}."
        ) from None
    try:
        yield "a stand-in at the hub's address, since the hub does not run"
    finally:
        server.stop()
        await server.close_all_connections()


async def _answers(url: str, host: str | None) -> bool:
    if host in ("0.0.0.0", "::", None, ""):  # noqa: S104
        url = url.replace(f"//{host or ''}:", "//127.0.0.1:", 1)
    try:
        response = await AsyncHTTPClient().fetch(url, request_timeout=_TIMEOUT, raise_error=False)
    except Exception:  # noqa: BLE001 - errors of sockets and of HTTP
        return False
    return bool(response.code < 500 and response.headers.get("X-JupyterHub-Version"))
