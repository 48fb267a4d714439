"""What the hub asks of an address before browsers are sent there. It comes from the user, and could be anybody's."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from yarnspawner.common.protocol import Address, ProtocolError
from yarnspawner.common.text import one_line

FIRST_USER_PORT = 1024
"""The least port that an account without privileges may listen on: below, there are only services of the node."""

NOBODY = "nobody answers the hub"
"""How that is said, which has other remedies than a wrong answer."""

# Bytes: {"version": "2.20.0"}, and room for what others add.
_LARGEST_ANSWER = 16 * 1024
# Seconds for one answer, and between two attempts.
_PATIENCE = 5.0
_INTERVAL = 0.25
# A server that is away for long is asked less and less often.
_LONGEST_INTERVAL = 5.0


@dataclass(frozen=True)
class ServerProbe:
    """How a server is told from whatever else listens on its node: the node's own services, other users' servers.

    - its port is one that users' servers may have
    - with ``internal_ssl`` it speaks TLS, and has the certificate that the hub has signed for it
    - it answers as a server of JupyterHub's does at this server's own path, which no other server has

    It is asked without a token or a cookie, so whoever listens there learns nothing.

    Attributes:
        base_url: the server's path: ``/user/alice/``.
        ports: the first and the last one that it may have; None for all that a user can listen on.
        certified: the hub's TLS context, where ``internal_ssl`` is on.
        timeout: seconds for the server to answer; ``math.inf`` for no limit.
    """

    base_url: str
    timeout: float
    log: logging.Logger
    ports: tuple[int, int] | None = None
    certified: ssl.SSLContext | None = None

    def admit(self, address: Address) -> None:
        """See that the hub may ask there at all.

        Raises:
            ProtocolError: never a server's address.
        """
        first, last = self.ports or (FIRST_USER_PORT, 65535)
        if not max(first, FIRST_USER_PORT) <= address.port <= last:
            raise ProtocolError(f"Address: port {address.port} is not one of {first} to {last}")
        if self.certified and address.scheme != "https":
            raise ProtocolError("Address: scheme is not https, which internal_ssl demands")

    async def meet(self, address: Address, ended: Callable[[], bool]) -> str:
        """Wait until the server answers.

        Args:
            address: with the host that YARN names.
            ended: whether there is nothing to wait for any more.

        Returns:
            "" if it did; else what was found there instead, as a clause that follows "At <address>, ".
        """
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_LARGEST_ANSWER)
        until = time.monotonic() + self.timeout
        pause = _INTERVAL
        try:
            while True:
                found, final = _judged(await self._ask(client, address))
                if final or ended() or time.monotonic() > until:
                    return found
                await asyncio.sleep(pause)
                pause = min(1.2 * pause, _LONGEST_INTERVAL)
        finally:
            client.close()

    async def _ask(self, client: SimpleAsyncHTTPClient, address: Address) -> HTTPResponse:
        request = HTTPRequest(
            f"{address.url}{self.base_url}api",
            connect_timeout=min(_PATIENCE, self.timeout),
            request_timeout=min(_PATIENCE, self.timeout),
            follow_redirects=False,
            ssl_options=self.certified,
        )
        try:
            return await client.fetch(request, raise_error=False)
        except Exception as error:  # noqa: BLE001 - its kinds are many: of sockets, TLS, HTTP and limits
            self.log.debug("No server answers at %s yet: %s", address.url, error)
            return HTTPResponse(request, 599, error=error)


def _judged(answer: HTTPResponse) -> tuple[str, bool]:
    """What is wrong with an answer, "" for nothing; and whether it is no use to ask again."""
    if isinstance(answer.error, ssl.SSLError):
        final = isinstance(answer.error, ssl.SSLCertVerificationError)
        return (
            f"the server has no certificate of this hub's for its node ({one_line(str(answer.error or ''), 200)})",
            final,
        )
    if answer.code == 599:
        return f"{NOBODY} ({one_line(str(answer.error or ''), 200)})", False
    if answer.code >= 500:
        return f"the server answers with status {answer.code}", False
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    known = "X-JupyterHub-Version" in answer.headers and isinstance(document, dict) and "version" in document
    return ("", True) if answer.code == 200 and known else ("there is something else than this server", True)
