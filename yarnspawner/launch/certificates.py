"""JupyterHub's ``internal_ssl``: the certificate of a server whose node is not known yet, and its way there."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyterhub.utils import make_ssl_context

from yarnspawner.diagnosis.explain import own_cause
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.errors import StartFailed
from yarnspawner.skein_driver import ClusterError

# TLS libraries take certificates of up to 100 KiB; a name takes some 40 bytes.
_MANY_NODES = 500


class InternalSSL:
    """The certificate of a spawner's server, with ``internal_ssl``.

    - A certificate is good for the nodes of the cluster, as YARN lists them, and for nothing else.
    - If an admin sets ``ssl_alt_names``, these count instead.
    - Certificate and key are sent to the container as private files.

    Args:
        user: JupyterHub's user.
        context: what the spawner shares with its hub.

    Attributes:
        files: name in the container's folder to content (PEM); empty without ``internal_ssl``.
    """

    def __init__(self, user: Any, context: HubContext) -> None:
        self._user = user
        self._context = context
        self.files: dict[str, bytes] = {}

    async def node_names(self) -> list[str]:
        """Return the alternative names for a certificate that is good for all nodes.

        Raises:
            StartFailed: YARN does not list its nodes.
        """
        try:
            nodes = await self._context.access.cluster.nodes()
        except ClusterError as error:
            raise StartFailed(own_cause("nodes-unknown", str(error))) from None
        # Before JupyterHub 5.4.1 it must be a list.
        return alt_names(node.host for node in nodes)

    def take(self, paths: dict[str, str]) -> dict[str, str]:
        """Read the certificate's files, and return where the server finds them in its container.

        Args:
            paths: kind of file (``keyfile``, ``certfile``, ``cafile``) to local path.
        """
        # Read at once: the next start of the same user writes the same files.
        self.files = {f"{kind}.pem": Path(path).read_bytes() for kind, path in paths.items()}
        return {kind: f"{kind}.pem" for kind in paths}

    def client_ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context (client certificate and CA) for requests to the server; None without ``internal_ssl``."""
        settings = self._user.settings
        if not settings.get("internal_ssl"):
            return None
        context: ssl.SSLContext = make_ssl_context(
            settings["internal_ssl_key"], settings["internal_ssl_cert"], cafile=settings["internal_ssl_ca"]
        )
        return context


def alt_names(hosts: Iterable[str]) -> list[str]:
    """Return a certificate's names for hosts; for more than 500 hosts, their domains as wildcards."""
    names = sorted(set(hosts))
    if len(names) > _MANY_NODES:
        names = sorted({name if _is_address(name) or "." not in name else _of_domain(name) for name in names})
    return [f"IP:{name}" if _is_address(name) else f"DNS:{name}" for name in names]


def _of_domain(name: str) -> str:
    return f"*.{name.partition('.')[2]}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
