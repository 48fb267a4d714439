"""JupyterHub's ``internal_ssl``: the certificate of a server whose node is not known yet, and its way there."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyterhub.utils import make_ssl_context
from traitlets import default

from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.hub.context import BelongingSpawner
from yarnspawner.launch.errors import StartFailed
from yarnspawner.skein_driver import ClusterError

# TLS libraries take certificates of up to 100 KiB; a name takes some 40 bytes.
_MANY_NODES = 500


class CertifiedSpawner(BelongingSpawner):
    """The part of a spawner that has to do with ``internal_ssl``.

    - a server's certificate is good for the cluster's nodes, as YARN lists them, and for nothing else: neither the hub's
      own names nor localhost, which JupyterHub adds by default
    - ``ssl_alt_names``, if an admin sets them, count instead
    - certificate and key travel as private files
    """

    # JupyterHub's Spawner has this.
    ssl_alt_names: Any

    def __init__(self, **kwargs: Any) -> None:
        self._certificates: dict[str, bytes] = {}
        super().__init__(**kwargs)

    @default("ssl_alt_names")
    def _default_ssl_alt_names(self) -> list[str]:
        return []

    @default("ssl_alt_names_include_local")
    def _default_ssl_alt_names_include_local(self) -> bool:
        return False

    async def create_certs(self) -> dict[str, str]:
        """Make the server's certificate.

        Raises:
            StartFailed: YARN does not say which nodes there are.
        """
        wanted = self.ssl_alt_names
        if not wanted:
            try:
                nodes = await self.access.cluster.nodes()
            except ClusterError as error:
                cause = "YARN does not say which nodes there are, and so the server can have no certificate."
                raise StartFailed(Diagnosis(cause, "Please try again later.", str(error))) from None
            # Before JupyterHub 5.4.1 it must be a list.
            self.ssl_alt_names = alt_names(node.host for node in nodes)
        try:
            paths: dict[str, str] = await super().create_certs()  # type: ignore[misc]
        finally:
            self.ssl_alt_names = wanted
        return paths

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Take the certificates along as private files, found in the container's folder."""
        # Read at once: the next start of the same user writes the same files.
        self._certificates = {f"{kind}.pem": Path(path).read_bytes() for kind, path in paths.items()}
        return {kind: f"{kind}.pem" for kind in paths}

    def client_ssl_context(self) -> ssl.SSLContext | None:
        """As whom the hub speaks to servers, and which it believes; None without ``internal_ssl``."""
        settings = self.user.settings
        if not settings.get("internal_ssl"):
            return None
        context: ssl.SSLContext = make_ssl_context(
            settings["internal_ssl_key"], settings["internal_ssl_cert"], cafile=settings["internal_ssl_ca"]
        )
        return context


def alt_names(hosts: Iterable[str]) -> list[str]:
    """A certificate's names for the nodes of a cluster; of a large one, their domains'."""
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
