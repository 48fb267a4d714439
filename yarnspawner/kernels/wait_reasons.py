"""Why a kernel waits for its container, as the hub or the ResourceManager says."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import quote

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from yarnspawner.common.refreshed_value import RefreshedValue
from yarnspawner.common.text import one_line
from yarnspawner.singleuser.hub_wait import context_of

_log = logging.getLogger(__name__)

# Most kernels wait for less than this many seconds.
_WORTH_ASKING = 2.0
# Seconds for the hub's answer, and its largest size in bytes.
_TIMEOUT = 10.0
_LARGEST_ANSWER = 10_000
_LONGEST_REASON = 300


class WaitReasons:
    """Keep the reasons why kernels wait. Calls never wait: each returns the last known reason.

    Args:
        ask: returns the reason for a size of kernels by its slug, such as "because the queue is full", or "".
    """

    def __init__(self, ask: Callable[[str], Awaitable[str]]) -> None:
        self._ask = ask
        self._known: dict[str, RefreshedValue[str]] = {}

    def clause(self, slug: str, waited: float) -> str:
        """Return ", " and why a kernel waits; "" if this is not known, or if it has hardly waited.

        Args:
            slug: of its size.
            waited: for how many seconds it has waited.
        """
        if waited < _WORTH_ASKING:
            self._known.pop(slug, None)
            return ""
        if slug not in self._known:
            # An older hub has no answer.
            self._known[slug] = RefreshedValue(
                partial(self._read, slug),
                "",
                expected=(HTTPClientError, OSError, ValueError),
                what=f"why kernels of size {slug} wait",
                log=_log,
            )
        reason = self._known[slug].last()
        return f", {reason}" if reason else ""

    async def _read(self, slug: str) -> str:
        return one_line(await self._ask(slug), _LONGEST_REASON)


class HubQuestion:
    """Asks the hub of this server why a kernel waits.

    Args:
        environ: the server's environment, which names the hub and has the server's token.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        server = (environ.get("JUPYTERHUB_USER", ""), environ.get("JUPYTERHUB_SERVER_NAME", ""))
        name = "/".join(quote(part, safe="") for part in server if part)
        self._url = f"{environ.get('JUPYTERHUB_API_URL', '').rstrip('/')}/yarnspawner/kernel-waits/{name}"
        self._token = environ.get("JUPYTERHUB_API_TOKEN", "")
        self._certificate = [environ.get(f"JUPYTERHUB_SSL_{part}", "") for part in ("KEYFILE", "CERTFILE", "CLIENT_CA")]

    async def ask(self, slug: str) -> str:
        """Return the hub's answer; "" if there is no hub.

        Raises:
            HTTPClientError, OSError, ValueError: it has no answer.
        """
        if not self._token:
            return ""
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_LARGEST_ANSWER)
        try:
            request = HTTPRequest(
                f"{self._url}?size={quote(slug, safe='')}",
                headers={"Authorization": f"token {self._token}"},
                ssl_options=context_of(*self._certificate),
                follow_redirects=False,
                request_timeout=_TIMEOUT,
            )
            answer = json.loads((await client.fetch(request)).body)
        finally:
            client.close()
        reason = answer.get("reason") if isinstance(answer, dict) else None
        if isinstance(reason, str):
            return reason
        raise ValueError("the hub's answer has no reason")
