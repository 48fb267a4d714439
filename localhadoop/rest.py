"""Ask the daemons' web services."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from localhadoop.errors import LocalHadoopError
from localhadoop.settings import Settings, operator


def get(
    url: str, timeout: float = 10, negotiate: Mapping[str, str] | None = None, settings: Settings | None = None
) -> Any:
    """The JSON document at ``url``.

    ``negotiate`` is the environment with the ticket for SPNEGO; curl speaks it, Python's library does not. ``settings`` are
    those of the cluster, for the CA and the names of a strict one.

    Raises :class:`LocalHadoopError` where there is no such answer within ``timeout`` seconds.
    """
    try:
        if negotiate is not None:
            text = fetch(url, timeout, ["--negotiate", "--user", ":", *options(settings)], negotiate)
        elif settings and settings.strict:
            # Where YARN has ACLs, a request without a name is a stranger's.
            text = fetch(f"{url}{'&' if '?' in url else '?'}user.name={operator()}", timeout, options(settings))
        else:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
            request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - http
            with opener.open(request, timeout=timeout) as response:
                text = response.read()
        return json.loads(text)
    except (urllib.error.URLError, ValueError, OSError) as error:
        raise LocalHadoopError(f"{url} does not answer: {getattr(error, 'reason', error)}") from error


def options(settings: Settings | None) -> list[str]:
    """Options of curl for a cluster: the CA of its certificates, and the addresses of its names."""
    if settings is None or not settings.strict:
        return []
    ports = [f"{daemon}-web" for daemon in ("namenode", *settings.resource_managers, *settings.node_managers)]
    names = [f"{settings.address(port)}:{settings.ip(port.partition('-')[0])}" for port in ports]
    return ["--cacert", str(settings.certificate_authority), *(word for name in names for word in ("--resolve", name))]


def fetch(url: str, timeout: float, more: list[str], environment: Mapping[str, str] | None = None) -> bytes:
    """What curl gets from ``url`` with more options; raises OSError with its message."""
    command = ["curl", "--silent", "--show-error", "--fail", "--location", "--noproxy", "*", "--max-time", str(timeout)]
    command += ["--header", "Accept: application/json", *more, url]
    answer = subprocess.run(
        command, capture_output=True, env={**os.environ, **(environment or {})}, timeout=timeout + 5, check=False
    )
    if answer.returncode:
        raise OSError(answer.stderr.decode(errors="replace").strip())
    return answer.stdout
