"""HTTP client for the web services of Hadoop's daemons: simple authentication, or SPNEGO with curl."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from yarnspawner.common.text import one_line
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.processes import CommandTimeout, run

# In bytes. The response of a scheduler with hundreds of queues has some MB.
_SIZE_LIMIT = 32 << 20


class WebError(Exception):
    """There was no valid response. The message has the URL and the reason, without control characters."""


class WebRefused(WebError):
    """The service refused the hub (HTTP 401 or 403), or the hub has no Kerberos ticket."""


class WebInsecure(WebRefused):
    """The service requires a Kerberos login over plain HTTP on another host, which the settings do not allow."""


@dataclass(frozen=True)
class Response:
    """An HTTP response.

    Attributes:
        url: URL of the request.
        status: HTTP status.
        headers: HTTP headers.
        body: content, at most 32 MiB.
    """

    url: str
    status: int
    headers: HTTPHeaders = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """Parse the body.

        Raises:
            WebError: it is no JSON object.
        """
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise WebError(f"{self.url} did not return a JSON object (HTTP {self.status})")
        return document


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    body: str | None = None
    accept: str = "application/json"

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept": self.accept, **({"Content-Type": "application/json"} if self.body else {})}


class HadoopHttpClient:
    """HTTP client for the web services of one cluster.

    - For SPNEGO, it runs ``curl --negotiate`` once. It then uses the cookie (``hadoop.auth``, valid for ten hours by
      default) until the service refuses it.
    - It never follows redirects, so tickets and cookies go to no other host.
    - It does not log in over plain HTTP on another host unless that is allowed. Anyone who reads the cookie on the network
      can act as the hub and as all its users.
    - Every request has a timeout and a size limit, and does not block the event loop.

    Args:
        user: the hub's Hadoop user, for simple authentication.
        tickets: the hub's ticket cache; None for the default cache of its account.
        ca_file: PEM file of the CAs of the services' certificates; default is the system's.
        timeout: seconds for a response.
        plain_login: True to allow a Kerberos login over plain HTTP on other hosts.
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

    async def get(self, url: str, *, accept: str = "application/json") -> Response:
        """Send a GET request. See :meth:`request`."""
        return await self.request(_Request("GET", url, accept=accept))

    async def put(self, url: str, document: dict[str, Any]) -> Response:
        """Send a PUT request with a JSON body. See :meth:`request`."""
        return await self.request(_Request("PUT", url, json.dumps(document)))

    async def delete(self, url: str) -> Response:
        """Send a DELETE request. See :meth:`request`."""
        return await self.request(_Request("DELETE", url))

    async def request(self, request: _Request) -> Response:
        """Send a request. Log in if the service requires it.

        Returns:
            The response, with any status but 401.

        Raises:
            WebError: there was no response in time, or it is too large.
            WebRefused: the login failed, or the service rejected the hub's credentials.
            WebInsecure: the service requires a login over plain HTTP.
        """
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
        cookie = self._cookies.get(origin)
        response = await self._fetch(request, cookie)
        if response.status == 401 and "negotiate" in ",".join(response.headers.get_list("WWW-Authenticate")).lower():
            if not self._plain_login and not _is_confidential(origin):
                raise WebInsecure(
                    f"{origin} requires a Kerberos login over plain HTTP, which others could read and use"
                    " (enable HTTPS in Hadoop, or set c.YarnSpawner.spnego_over_http to allow it)"
                )
            async with self._negotiating.setdefault(origin, asyncio.Lock()):
                if self._cookies.get(origin) == cookie:
                    response = await self._negotiate(request, origin)
                else:
                    response = await self._fetch(request, self._cookies[origin])
        if response.status == 401:
            raise WebRefused(f"{request.url} requires authentication and rejected the hub's credentials (HTTP 401)")
        return response

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _fetch(self, request: _Request, cookie: str | None) -> Response:
        url = request.url
        if self._client is None:
            self._client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_SIZE_LIMIT)
        tornado_request = HTTPRequest(
            url if cookie else f"{url}{'&' if '?' in url else '?'}{urlencode({'user.name': self._user})}",
            method=request.method,
            body=request.body,
            headers={**request.headers, **({"Cookie": cookie} if cookie else {})},
            connect_timeout=self._timeout,
            request_timeout=self._timeout,
            follow_redirects=False,
            ca_certs=self._ca_file or None,
        )
        try:
            response: HTTPResponse = await self._client.fetch(tornado_request, raise_error=False)
        except FileNotFoundError:
            raise WebError(f"hadoop_ca_file: there is no file {self._ca_file}") from None
        except (IsADirectoryError, PermissionError, ssl.SSLError) as error:
            # OpenSSL's part that reads files is X509 or PEM; that of connections is SSL.
            if isinstance(error, ssl.SSLError) and error.library == "SSL":
                raise WebError(f"{url} does not answer: {_error_text(error)}") from None
            raise WebError(f"hadoop_ca_file: {self._ca_file} is not a readable PEM file with certificates") from None
        except Exception as error:  # noqa: BLE001 - errors of sockets, TLS, HTTP and limits
            raise WebError(f"{url} does not answer: {_error_text(error)}") from None
        if response.code == 599:
            raise WebError(f"{url} does not answer: {_error_text(response.error)}")
        return Response(url, response.code, response.headers, response.body or b"")

    async def _negotiate(self, request: _Request, origin: str) -> Response:
        url = request.url
        # --disable and --noproxy: .curlrc and proxies are not meant for the cluster's services.
        command = ["curl", "--disable", "--silent", "--show-error", "--include", "--negotiate", "--user", ":"]
        command += ["--noproxy", "*", "--proto", "=http,https", "--max-time", f"{self._timeout:g}"]
        command += ["--request", request.method, *(["--data", request.body] if request.body else [])]
        command += [word for name, value in request.headers.items() for word in ("--header", f"{name}: {value}")]
        command += [*(["--cacert", self._ca_file] if self._ca_file else []), url]
        try:
            ticket = await self._tickets.environment() if self._tickets else {}
            completed = await run(
                *command, env={**client_environment(), **ticket}, timeout=self._timeout + 5, limit=_SIZE_LIMIT
            )
        except KerberosError as error:
            raise WebRefused(f"{url} requires a Kerberos ticket, but the hub has none: {error}") from None
        except (CommandTimeout, OSError) as error:
            raise WebError(f"{url} does not answer: {_error_text(error)}") from None
        if completed.truncated or completed.status != 0:
            reason = (
                "the response is too large"
                if completed.truncated
                else completed.errors.strip() or f"curl error {completed.status}"
            )
            raise WebError(f"{url} does not answer: {_error_text(reason)}")
        response = _parse(url, completed.output)
        for value in response.headers.get_list("Set-Cookie"):
            if value.startswith("hadoop.auth=") and response.status != 401:
                self._cookies[origin] = value.partition(";")[0]
        return response


def _is_confidential(origin: str) -> bool:
    """Return True if the connection cannot be read on the network: HTTPS, or this machine."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in ("localhost", socket.gethostname().lower()):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(url: str, output: bytes) -> Response:
    """Parse the last response that curl printed. An earlier one may be the server's 401."""
    status, headers, body = 0, HTTPHeaders(), output
    while body.startswith(b"HTTP/"):
        head, _, body = body.partition(b"\r\n\r\n")
        first, _, rest = head.decode("latin-1").partition("\r\n")
        status, headers = int(first.split()[1]), HTTPHeaders.parse(rest)
    return Response(url, status, headers, body)


def _error_text(error: object) -> str:
    """Return an error in one line, without control characters."""
    return one_line(str(error) or type(error).__name__, 500)
