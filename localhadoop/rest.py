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


def get(url: str, timeout: float = 10, negotiate: Mapping[str, str] | None = None) -> Any:
    """The JSON document at ``url``.

    ``negotiate`` is the environment with the ticket for SPNEGO; curl speaks it, Python's library does not.

    Raises :class:`LocalHadoopError` where there is no such answer within ``timeout`` seconds.
    """
    try:
        if negotiate is not None:
            text = fetch_with_ticket(url, timeout, negotiate)
        else:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
            request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - http
            with opener.open(request, timeout=timeout) as response:
                text = response.read()
        return json.loads(text)
    except (urllib.error.URLError, ValueError, OSError) as error:
        raise LocalHadoopError(f"{url} does not answer: {getattr(error, 'reason', error)}") from error


def fetch_with_ticket(url: str, timeout: float, environment: Mapping[str, str]) -> bytes:
    options = ["--silent", "--show-error", "--fail", "--location", "--noproxy", "*", "--max-time", str(timeout)]
    command = ["curl", *options, "--header", "Accept: application/json", "--negotiate", "--user", ":", url]
    answer = subprocess.run(
        command, capture_output=True, env={**os.environ, **environment}, timeout=timeout + 5, check=False
    )
    if answer.returncode:
        raise OSError(answer.stderr.decode(errors="replace").strip())
    return answer.stdout
