"""The hub's page of a user's last starts, with their causes and logs.

The page is at ``/hub/server-logs``. ``hub/startup.py`` adds it to each hub that uses the spawner.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import url_path_join
from tornado import web

from yarnspawner.hub.page_handler import PageHandler
from yarnspawner.state.start_history import read_starts
from yarnspawner.yarn.access import ClusterAccess
from yarnspawner.yarn.log_cache import LogCache
from yarnspawner.yarn.server_log import start_log

_LINES = 300
# Seconds for `yarn logs`, and seconds until the browser asks again for a log that is not read yet.
_TIMEOUT = 30.0
_AGAIN = 3


def add_log_page(hub: Any, access: ClusterAccess) -> None:
    """Add the page to a hub, once. JupyterHub deprecates its own setting for this, `extra_handlers`.

    Args:
        hub: JupyterHub's application, before it serves requests.
        access: the hub's access to the cluster.
    """
    prefix = f"{hub.hub_prefix}server-logs"
    shared = {"access": access, "cache": LogCache()}
    hub.tornado_application.add_handlers(
        ".*",
        [
            (rf"{prefix}/?", OwnLogsHandler),
            (rf"{prefix}/([^/]+)/?", ServerLogsHandler, shared),
            (rf"{prefix}/([^/]+)/(application_[0-9]+_[0-9]+)", ServerLogsHandler, shared),
        ],
    )


class OwnLogsHandler(BaseHandler):
    """Redirect to the page of the user who asks."""

    @web.authenticated
    def get(self) -> None:
        """Redirect. Called by tornado."""
        name = getattr(self.current_user, "escaped_name", "")
        if not name:
            raise web.HTTPError(404)  # a service
        self.redirect(url_path_join(self.hub.base_url, "server-logs", name))


class ServerLogsHandler(PageHandler):
    """Show the last starts of a user's servers, and the log of one of them.

    Users see their own servers. Admins with `admin:servers` or `access:servers` for a user see that user's.
    """

    own_template = "server_logs.html"

    def initialize(self, access: ClusterAccess, cache: LogCache) -> None:
        """Take what all requests share. Called by tornado."""
        super().initialize()
        self._access = access
        self._cache = cache

    @web.authenticated
    @needs_scope("access:servers", "admin:servers")
    async def get(self, user_name: str, application_id: str = "") -> None:
        """Show the page. Called by tornado."""
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404)
        servers = {name: read_starts(spawner.state) for name, spawner in sorted(user.orm_user.orm_spawners.items())}
        starts = {start["application_id"]: start for kept in servers.values() for start in kept}
        # An application that is not one of these is another user's, or none.
        if application_id and application_id not in starts:
            raise web.HTTPError(404, "This is not one of the last starts.")
        reading = await self._read(starts[application_id]) if application_id else None
        if application_id and reading is None:
            self.set_header("Refresh", str(_AGAIN))
        self.set_header("Cache-Control", "no-store")
        page = self.render_template(
            self.own_template,
            for_user=user,
            servers={name: kept[::-1] for name, kept in servers.items() if kept},
            chosen=starts.get(application_id),
            reading=reading,
            no_spawner_check=True,
        )
        self.finish(await page)

    async def _read(self, start: dict[str, str]) -> Any:
        read = partial(start_log, self._access, start, lines=_LINES, timeout=_TIMEOUT)
        return await self._cache.get(start["application_id"], self.current_user.name, read, ended="ended" in start)
