"""Gets documents from the web services of Hadoop's daemons, as the hub: simple authentication, or SPNEGO with curl."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from yarnspawner.common.text import one_line
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.processes import CommandTimeout, run

# A scheduler with hundreds of queues answers with some MB.
_SIZE_LIMIT = 32 << 20


class WebError(Exception):
    """No usable answer; the message says from where and why, without control characters."""


class WebRefused(WebError):
    """The service does not let the hub in (401, 403, or no Kerberos ticket)."""


class WebInsecure(WebRefused):
    """The service wants a Kerberos login over plain HTTP from another host, which is not allowed."""


@dataclass(frozen=True)
class Answer:
    """What a service answered.

    Attributes:
        url: what was asked.
        status: HTTP's status.
        headers: of the answer.
        body: at most 32 MiB.
    """

    url: str
    status: int
    headers: HTTPHeaders = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The document.

        Raises:
            WebError: it is no JSON object.
        """
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise WebError(f"{self.url} answered something else than a JSON document (status {self.status})")
        return document


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    body: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept": "application/json", **({"Content-Type": "application/json"} if self.body else {})}


class HadoopWeb:
    """A client for the web services of one cluster.

    - a service that wants SPNEGO gets it through ``curl --negotiate``, once: the cookie that it hands out
      (``hadoop.auth``, good for ten hours by default) serves until it is refused
    - redirects are never followed, so a ticket or cookie goes to no other host than the one asked
    - no login over plain HTTP with another host, unless that is allowed: whoever reads the cookie there can use it, and act
      as the hub and all its users
    - every wait and every size has a limit, and nothing blocks the event loop

    Args:
        user: Hadoop's name of the hub, where authentication is simple.
        tickets: where the hub's ticket is; None for the one that kinit left behind.
        ca_file: PEM file of the authorities that signed the services' certificates; default the system's.
        timeout: seconds for an answer.
        plain_login: whether the hub logs in with Kerberos over plain HTTP at other hosts.
    """

    def __init__(
        self,
        user: str,
        *,
        tickets: TicketCache | None = None,
        ca_file: str = "",
        timeout: float = 10,
        plain_login: bool = False,
    ) -> None:
        self._plain_login = plain_login
        self._user = user
        self._tickets = tickets
        self._ca_file = ca_file
        self._timeout = timeout
        self._client: SimpleAsyncHTTPClient | None = None
        self._cookies: dict[str, str] = {}
        self._negotiating: dict[str, asyncio.Lock] = {}

    async def get(self, url: str) -> Answer:
        """Get a document. See :meth:`request`."""
        return await self.request(_Request("GET", url))

    async def put(self, url: str, document: dict[str, Any]) -> Answer:
        """Put a document. See :meth:`request`."""
        return await self.request(_Request("PUT", url, json.dumps(document)))

    async def delete(self, url: str) -> Answer:
        """Delete something. See :meth:`request`."""
        return await self.request(_Request("DELETE", url))

    async def request(self, request: _Request) -> Answer:
        """Ask for something.

        Returns:
            The service's answer, whatever its status, unless it lets nobody in.

        Raises:
            WebError: no answer in time, or one that is too long.
            WebRefused: the service does not know the hub.
            WebInsecure: it would, but only over plain HTTP.
        """
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
        cookie = self._cookies.get(origin)
        answer = await self._plain(request, cookie)
        if answer.status == 401 and "negotiate" in ",".join(answer.headers.get_list("WWW-Authenticate")).lower():
            if not self._plain_login and not _confidential(origin):
                raise WebInsecure(
                    f"{origin} wants a Kerberos login over plain HTTP, which others could read and use"
                    " (c.YarnSpawner.spnego_over_http allows it; better, let Hadoop serve HTTPS)"
                )
            async with self._negotiating.setdefault(origin, asyncio.Lock()):
                if self._cookies.get(origin) == cookie:
                    answer = await self._negotiate(request, origin)
                else:
                    answer = await self._plain(request, self._cookies[origin])
        if answer.status == 401:
            raise WebRefused(f"{request.url} wants to know who asks, and did not take the hub's word (status 401)")
        return answer

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _plain(self, asked: _Request, cookie: str | None) -> Answer:
        url = asked.url
        if self._client is None:
            self._client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_SIZE_LIMIT)
        request = HTTPRequest(
            url if cookie else f"{url}{'&' if '?' in url else '?'}{urlencode({'user.name': self._user})}",
            method=asked.method,
            body=asked.body,
            headers={**asked.headers, **({"Cookie": cookie} if cookie else {})},
            connect_timeout=self._timeout,
            request_timeout=self._timeout,
            follow_redirects=False,
            ca_certs=self._ca_file or None,
        )
        try:
            response: HTTPResponse = await self._client.fetch(request, raise_error=False)
        except Exception as error:  # noqa: BLE001 - its kinds are many: of sockets, TLS, HTTP and limits
            raise WebError(f"{url} does not answer: {_words(error)}") from None
        if response.code == 599:
            raise WebError(f"{url} does not answer: {_words(response.error)}")
        return Answer(url, response.code, response.headers, response.body or b"")

    async def _negotiate(self, asked: _Request, origin: str) -> Answer:
        url = asked.url
        # The user's .curlrc and proxies are not meant for the cluster's own services: --disable, --noproxy.
        command = ["curl", "--disable", "--silent", "--show-error", "--include", "--negotiate", "--user", ":"]
        command += ["--noproxy", "*", "--proto", "=http,https", "--max-time", f"{self._timeout:g}"]
        command += ["--request", asked.method, *(["--data", asked.body] if asked.body else [])]
        command += [word for name, value in asked.headers.items() for word in ("--header", f"{name}: {value}")]
        command += [*(["--cacert", self._ca_file] if self._ca_file else []), url]
        try:
            ticket = await self._tickets.environment() if self._tickets else {}
            ended = await run(
                *command, env={**client_environment(), **ticket}, timeout=self._timeout + 5, limit=_SIZE_LIMIT
            )
        except KerberosError as error:
            raise WebRefused(f"{url} wants a Kerberos ticket, and there is none: {error}") from None
        except (CommandTimeout, OSError) as error:
            raise WebError(f"{url} does not answer: {_words(error)}") from None
        if ended.cut or ended.status != 0:
            reason = "the answer is too long" if ended.cut else ended.errors.strip() or f"curl's error {ended.status}"
            raise WebError(f"{url} does not answer: {_words(reason)}")
        answer = _parse(url, ended.output)
        for value in answer.headers.get_list("Set-Cookie"):
            if value.startswith("hadoop.auth=") and answer.status != 401:
                self._cookies[origin] = value.partition(";")[0]
        return answer


def _confidential(origin: str) -> bool:
    """Whether nobody on the network reads what goes there: HTTPS, or this machine."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in ("localhost", socket.gethostname().lower()):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(url: str, output: bytes) -> Answer:
    """The last answer of those that curl printed: the first one may be the server's demand for a ticket."""
    status, headers, body = 0, HTTPHeaders(), output
    while body.startswith(b"HTTP/"):
        head, _, body = body.partition(b"\r\n\r\n")
        first, _, rest = head.decode("latin-1").partition("\r\n")
        status, headers = int(first.split()[1]), HTTPHeaders.parse(rest)
    return Answer(url, status, headers, body)


def _words(error: object) -> str:
    """An error in one line, without control characters."""
    return one_line(str(error) or type(error).__name__, 500)
