"""One gRPC call on the event loop: a TLS channel of skein's kind, a deadline for every call, and what a failure means.

skein's own clients block the calling thread and, in their public methods, set no deadline. Here its messages travel over
gRPC's asyncio channel instead: a call that waits costs no thread, so two hundred dead application masters delay nobody.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import grpc
import grpc.aio

from yarnspawner.common.text import sanitize

MEBIBYTE = 1 << 20
LONGEST_MESSAGE = 4000
"""Characters of what a driver says."""


class ClusterError(Exception):
    """YARN, or what stands between the hub and YARN, did not do what was asked."""


class ClusterUnavailable(ClusterError):
    """No answer in time, or nobody there to answer: nothing is known. The message says what to do, where that is known."""


class DriverEnded(ClusterUnavailable):
    """A driver JVM ended by itself before it served a call; ``log`` has its last lines."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class AnswerTooLarge(ClusterUnavailable):
    """YARN answers, with more than gRPC's limit for one answer."""


class ClusterRefused(ClusterError):
    """YARN answered no. The message is its reason, in one or a few lines."""


class ApplicationUnknown(ClusterRefused):
    """YARN answered, and knows no such application: it never did, or has forgotten it long after its end."""


class RpcError(Exception):
    """A call ended with another gRPC status than OK.

    ``code`` is that status; ``details`` what the other side said, free of control characters and of limited length.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Request:
    """A method of skein's Driver service, its serialized message, and the user on whose behalf it is, if any."""

    method: str
    message: bytes
    user: str = ""


class Channel:
    """Mutual TLS to one of skein's servers (a driver or an application master), as skein's own ``secure_channel``.

    The certificate is the only one either side accepts, so it is also the authority; the name in it is always
    ``skein-internal``. Connects with the first call, and must be used on one event loop.
    """

    def __init__(self, target: str, certificate: bytes, key: bytes, *, largest_response: int) -> None:
        """Take an address as gRPC writes them (``ipv4:127.0.0.1:4711``) and the largest response to accept, in bytes."""
        self._target = target
        self._credentials = grpc.ssl_channel_credentials(certificate, key, certificate)
        self._options = [
            ("grpc.ssl_target_name_override", "skein-internal"),
            ("grpc.default_authority", "skein-internal"),
            # The hub's https_proxy is for the world outside, never for the cluster's nodes.
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", largest_response),
            # Without this a small compressed response could become a large one after the check above.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # One call is one attempt; who asks decides whether to ask again.
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            # gRPC waits up to two minutes before it connects again to what it could not reach once.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 3000),
            ("grpc.max_reconnect_backoff_ms", 3000),
        ]
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    async def call(self, method: str, message: bytes, timeout: float) -> bytes:
        """Send a serialized message to ``/skein.Driver/ping`` or the like; return the serialized response.

        Ends within ``timeout`` seconds. Cancelling it cancels the call. Raises RpcError.
        """
        if self._closed:
            raise RpcError(grpc.StatusCode.UNAVAILABLE, "the connection was closed")
        if self._channel is None:
            self._channel = grpc.aio.secure_channel(self._target, self._credentials, self._options)
        try:
            response: bytes = await self._channel.unary_unary(method)(message, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise RpcError(error.code(), sanitize(error.details() or "", LONGEST_MESSAGE, keep_stack=True)) from None
        except (asyncio.CancelledError, grpc.aio.UsageError):
            # Closing a channel cancels the calls on it, and they must not look like tasks that somebody cancelled.
            if self._closed:
                raise RpcError(grpc.StatusCode.UNAVAILABLE, "the connection was closed") from None
            raise
        return response

    async def close(self) -> None:
        """End the connection; calls in flight fail. Idempotent."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()


_UNKNOWN_APPLICATION = "Unknown ApplicationId"
_PREAMBLE = re.compile(r"^Failed to [^\n]*, exception:\n")
# How YARN and HDFS wrap a reason on its way through their clients.
_WRAPPINGS = re.compile(
    r"^(?:(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error): |Failed to submit application_\d+_\d+ to YARN ?: )+"
)
# Hadoop's words for a network or a peer that fails, from NetUtils.wrapException and the standby's StandbyException, and for
# a NameNode that does not take files yet.
_NOT_REACHED = re.compile(
    r"failed on (?:connection exception|socket timeout exception|local exception)|No Route to Host from|Invalid host name"
    r"|Connection refused|Connection reset|timed out|UnknownHostException|state standby|Client cannot authenticate"
    r"|GSS initiate failed|No valid credentials|RetriableException|safe ?mode",
    re.IGNORECASE,
)
_WHERE_TO_READ = re.compile(r";? {0,4}For more details see:\s+\S+")
_TICKET_GONE = re.compile(r"Client cannot authenticate|GSS initiate failed|No valid credentials", re.IGNORECASE)


def meaning(failure: RpcError) -> ClusterError:
    """Say what a driver's failure means. skein gives nearly all of them the same two codes, so their texts decide."""
    if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return AnswerTooLarge(f"YARN's answer is too large: {failure.details}")
    if failure.code is grpc.StatusCode.INVALID_ARGUMENT:
        if failure.details.startswith(_UNKNOWN_APPLICATION):
            return ApplicationUnknown(failure.details)
        return ClusterRefused(failure.details)
    reason = yarn_reason(failure.details)
    if failure.code is not grpc.StatusCode.INTERNAL:
        return ClusterUnavailable(f"The YARN driver failed: {reason}")
    if _TICKET_GONE.search(reason):
        return ClusterUnavailable(
            f"The hub has no valid Kerberos ticket; check its keytab, or run kinit again as its account: {reason}"
        )
    if _NOT_REACHED.search(reason):
        return ClusterUnavailable(reason)
    return ClusterRefused(reason)


def yarn_reason(details: str) -> str:
    """Return YARN's own words out of what a driver says: no preamble, no class names, no stack trace."""
    text = _WHERE_TO_READ.sub("", _PREAMBLE.sub("", details))
    lines = []
    for line in text.splitlines():
        if line.lstrip().startswith(("at ", "... ", "Caused by: ")):
            break
        lines.append(_WRAPPINGS.sub("", line))
    reason = "\n".join(lines).strip()
    return "no reason was given; the ResourceManager's log may have it" if reason in {"", "null"} else reason
