"""The health check of a server's address. The address comes from the user, so it could be anybody's."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from yarnspawner.common.protocol import Address, ProtocolError
from yarnspawner.common.text import one_line
from yarnspawner.yarn.status import Status

if TYPE_CHECKING:
    from yarnspawner.yarn.reflector import ApplicationReflector

FIRST_USER_PORT = 1024
"""The lowest port that an account without privileges may listen on. Ports below belong to services of the node."""

NO_ANSWER = "no server answers the hub"
"""The beginning of the clause if nothing answers, which has other remedies than a wrong answer."""

# Bytes: {"version": "2.20.0"}, and room for what others add.
_LARGEST_ANSWER = 16 * 1024
# Seconds for one answer, and between two attempts.
_PATIENCE = 5.0
_INTERVAL = 0.25
# A server that is away for long is asked less and less often.
_LONGEST_INTERVAL = 5.0
# Seconds after which the wait checks again without news from YARN.
_IDLE_INTERVAL = 5.0


@dataclass(frozen=True)
class ServerProbe:
    """Tells a server from other programs that listen on its node, such as the node's services or other users' servers.

    - Its port must be one that users' servers may have.
    - With ``internal_ssl`` it must speak TLS, with the certificate that the hub signed for it.
    - It must answer as a server of JupyterHub at this server's own path, which no other server has.

    Requests carry no token and no cookie, so another program that listens there learns nothing.

    Attributes:
        base_url: the server's path: ``/user/alice/``.
        timeout: seconds for the server to answer; ``math.inf`` for no limit.
        ports: the first and the last port that it may have; None for all that a user can listen on.
        certified: the hub's TLS context with ``internal_ssl``, else None.
    """

    base_url: str
    timeout: float
    log: logging.Logger
    ports: tuple[int, int] | None = None
    certified: ssl.SSLContext | None = None

    def check_address(self, address: Address) -> None:
        """Check that the hub may send a request there at all.

        Raises:
            ProtocolError: this cannot be a server's address.
        """
        first, last = self.ports or (FIRST_USER_PORT, 65535)
        if not max(first, FIRST_USER_PORT) <= address.port <= last:
            raise ProtocolError(f"Address: port {address.port} is not one of {first} to {last}")
        if self.certified and address.scheme != "https":
            raise ProtocolError("Address: scheme is not https, which internal_ssl demands")

    async def wait_until_ready(self, address: Address, ended: Callable[[], bool]) -> str:
        """Wait until the server answers.

        Args:
            address: with the host that YARN names.
            ended: returns True if the application has ended.

        Returns:
            "" if the server answered. Otherwise what was found there, as a clause that follows "At <address>, ".
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
    """Return what is wrong with an answer, "" for nothing; and True if another request would not help."""
    if isinstance(answer.error, ssl.SSLError):
        final = isinstance(answer.error, ssl.SSLCertVerificationError)
        return (
            f"the server has no certificate of this hub's for its node ({one_line(str(answer.error or ''), 200)})",
            final,
        )
    if answer.code == 599:
        return f"{NO_ANSWER} ({one_line(str(answer.error or ''), 200)})", False
    if answer.code >= 500:
        return f"the server answers with status {answer.code}", False
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    known = "X-JupyterHub-Version" in answer.headers and isinstance(document, dict) and "version" in document
    return ("", True) if answer.code == 200 and known else ("there is something else than this server", True)


async def wait_until_ready(
    probe: ServerProbe, address: Address, application_id: str, reflector: ApplicationReflector
) -> tuple[str, Status]:
    """Wait until a server answers, its application ends, or the probe's timeout is over.

    Returns:
        "" if the server answered, else what was found there, as :meth:`ServerProbe.wait_until_ready` returns it; and the
        last status of the application.
    """
    status = Status(report=None, known=False)

    async def follow() -> None:
        nonlocal status
        # After a restart of the hub, YARN may not have been asked yet. The server is asked at the same time.
        status = await reflector.status(application_id)
        while not status.ended:
            status = await reflector.wait_change(application_id, status, timeout=_IDLE_INTERVAL)

    following = asyncio.ensure_future(follow())
    try:
        found = await probe.wait_until_ready(address, lambda: status.ended)
        if found and not status.ended:
            status = await reflector.status(application_id)
        return found, status
    finally:
        following.cancel()
