"""The hub's answer to a server that asks why a kernel waits for its container.

A server has no login to the ResourceManager. The answer is at ``/hub/api/yarnspawner/kernel-waits/NAME`` and
``.../NAME/SERVER``. ``hub/startup.py`` adds it to each hub that uses the spawner.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from yarnspawner.hadoop.scheduler import Resources
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.request import resolve_setting
from yarnspawner.options.kernel_profiles import read_kernel_profiles


def add_kernel_waits(hub: Any) -> None:
    """Add the answer to a hub, once.

    Args:
        hub: JupyterHub's application, before it serves requests.
    """
    prefix = f"{hub.hub_prefix}api/yarnspawner/kernel-waits"
    pattern = [(rf"{prefix}/([^/]+)/?", KernelWaitHandler), (rf"{prefix}/([^/]+)/([^/]+)/?", KernelWaitHandler)]
    hub.tornado_application.add_handlers(".*", pattern)


class KernelWaitHandler(APIHandler):
    """Says why YARN gives no container of a size to a running server: ``{"reason": "because the queue is full"}``.

    Each server's own token has the scope. Size, queue and user are those that the hub knows, so no user can ask about others.
    """

    @needs_scope("access:servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        """Answer with the reason, or "" if it is not known. Called by tornado."""
        slug = self.get_query_argument("size")
        user = self.find_user(user_name)
        spawner: Any = user.spawners.get(server_name) if user is not None else None
        server = spawner.record.server if hasattr(spawner, "record") else None
        if server is None or not server.application_id:
            raise web.HTTPError(404, "This server does not run.")
        profiles = [one for one in read_kernel_profiles(spawner.kernel_profiles) if one.size.slug == slug]
        if not profiles:
            raise web.HTTPError(404, "There is no such kernel size.")
        size = profiles[0].size
        try:
            label = profiles[0].node_label or await resolve_setting(spawner, "node_label")
        except StartFailed:
            label = ""  # its text is in the hub's log
        reason = await spawner.hub_context.access.container_waits.reason(
            Resources(size.memory, size.vcores, size.gpus), server.queue, user=server.hadoop_user, label=label
        )
        self.finish(json.dumps({"reason": reason}))
