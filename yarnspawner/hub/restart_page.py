"""The hub's page that restarts Jupyter in a user's server, below the kernels in containers.

The page is at ``/hub/restart-jupyter``. ``hub/startup.py`` adds it to each hub that uses the spawner.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.scopes import needs_scope
from tornado import web

from yarnspawner.hub.page_handler import PageHandler
from yarnspawner.launch.restarter import Restarter, RestartFailed


def add_restart_page(hub: Any) -> None:
    """Add the page to a hub, once.

    Args:
        hub: JupyterHub's application, before it serves requests.
    """
    prefix = f"{hub.hub_prefix}restart-jupyter"
    hub.tornado_application.add_handlers(
        ".*", [(rf"{prefix}/([^/]+)/?", RestartHandler), (rf"{prefix}/([^/]+)/([^/]+)/?", RestartHandler)]
    )


class RestartHandler(PageHandler):
    """Say what a restart does, and restart Jupyter.

    Users may do so with their own servers, and others with the scope `servers` for that server. JupyterHub checks the
    form's token.
    """

    own_template = "restart_jupyter.html"

    @web.authenticated
    @needs_scope("servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        """Show the page. Called by tornado."""
        await self._show(user_name, server_name)

    @web.authenticated
    @needs_scope("servers")
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Restart Jupyter and show the result. Called by tornado."""
        spawner = self._spawner(user_name, server_name)
        if spawner is None:
            await self._show(user_name, server_name)
            return
        try:
            restarted = await Restarter(spawner.hub_context, spawner.record).run()
        except RestartFailed as error:
            self.set_status(503)
            await self._show(user_name, server_name, failure=str(error))
        else:
            await self._show(user_name, server_name, kernels=restarted.kernels)

    def _spawner(self, user_name: str, server_name: str) -> Any:
        """Return the spawner of a server that can restart; None if there is none."""
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404)
        spawner = user.spawners.get(server_name)
        return spawner if getattr(spawner, "offers_restart", False) else None

    async def _show(self, user_name: str, server_name: str, **result: Any) -> None:
        spawner = self._spawner(user_name, server_name)
        self.set_header("Cache-Control", "no-store")
        page = self.render_template(
            self.own_template,
            for_user=self.find_user(user_name),
            server_name=server_name,
            offered=spawner is not None,
            no_spawner_check=True,
            **result,
        )
        self.finish(await page)
