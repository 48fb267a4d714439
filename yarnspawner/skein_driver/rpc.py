"""gRPC calls to skein's servers: a TLS channel, a deadline for every call, and errors.

skein's own clients block the calling thread, and their public methods set no deadline. This module sends skein's messages
over gRPC's asyncio channel instead. A pending call needs no thread, so 200 dead application masters do not delay other
calls.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import grpc
import grpc.aio

from yarnspawner.common.metrics import timed_call
from yarnspawner.common.text import sanitize

MEBIBYTE = 1 << 20
LONGEST_MESSAGE = 4000
"""Characters of a driver's message or log line."""


class ClusterError(Exception):
    """A request to YARN failed."""


class ClusterUnavailable(ClusterError):
    """YARN or the driver did not answer, so the outcome is unknown. The message says what to do, if that is known."""


class DriverExited(ClusterUnavailable):
    """A driver JVM exited before it served a call; ``log`` has its last lines."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class AnswerTooLarge(ClusterUnavailable):
    """YARN's answer is larger than the limit of the gRPC channel."""


class ClusterRefused(ClusterError):
    """YARN refused the request. The message is YARN's reason, in one or a few lines."""


class ApplicationUnknown(ClusterRefused):
    """YARN does not know the application: it never existed, or finished long ago."""


class RpcError(Exception):
    """A call failed.

    Attributes:
        code: gRPC status.
        details: the server's message, without control characters and of limited length.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Request:
    """A request to skein's Driver service.

    Attributes:
        method: name of the method.
        message: serialized protobuf message.
        user: user that the hub impersonates, "" for none.
    """

    method: str
    message: bytes
    user: str = ""


class Channel:
    """A mutual TLS connection to one of skein's servers (driver or application master), like skein's ``secure_channel``.

    Both sides accept only this certificate, so it is also the CA. Its name is always ``skein-internal``. The channel
    connects with the first call. Use it on one event loop only.
    """

    def __init__(self, target: str, certificate: bytes, key: bytes, *, largest_response: int) -> None:
        """Create the channel without connecting.

        Args:
            target: address in gRPC's syntax, such as ``ipv4:127.0.0.1:4711``.
            certificate: PEM certificate of both sides.
            key: PEM key of the certificate.
            largest_response: limit of a response, in bytes.
        """
        self._target = target
        self._credentials = grpc.ssl_channel_credentials(certificate, key, certificate)
        self._options = [
            ("grpc.ssl_target_name_override", "skein-internal"),
            ("grpc.default_authority", "skein-internal"),
            # The hub's https_proxy is for the internet, not for the cluster's nodes.
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", largest_response),
            # Without this, a small compressed response could exceed the limit above after decompression.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # The caller decides about retries.
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            # By default, gRPC waits up to two minutes before it reconnects.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 3000),
            ("grpc.max_reconnect_backoff_ms", 3000),
        ]
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    async def call(self, method: str, message: bytes, timeout: float) -> bytes:
        """Send a serialized message and return the serialized response. Cancellation cancels the call.

        Args:
            method: full name of the method, such as ``/skein.Driver/ping``.
            message: serialized request.
            timeout: seconds.

        Raises:
            RpcError: the call failed or timed out, or the channel is closed.
        """
        if self._closed:
            raise RpcError(grpc.StatusCode.UNAVAILABLE, "the connection was closed")
        if self._channel is None:
            self._channel = grpc.aio.secure_channel(self._target, self._credentials, self._options)
        try:
            with timed_call(method):
                response: bytes = await self._channel.unary_unary(method)(message, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise RpcError(error.code(), sanitize(error.details() or "", LONGEST_MESSAGE, keep_stack=True)) from None
        except (asyncio.CancelledError, grpc.aio.UsageError):
            # Closing a channel cancels its calls. They must fail with an error, not with a CancelledError.
            if self._closed:
                raise RpcError(grpc.StatusCode.UNAVAILABLE, "the connection was closed") from None
            raise
        return response

    async def close(self) -> None:
        """Close the connection. Calls in progress fail. Idempotent."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()


_UNKNOWN_APPLICATION = "Unknown ApplicationId"
_PREAMBLE = re.compile(r"^Failed to [^\n]*, exception:\n")
# Prefixes that the clients of YARN and HDFS add to a reason.
_WRAPPINGS = re.compile(
    r"^(?:(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error): |Failed to submit application_\d+_\d+ to YARN ?: )+"
)
# Hadoop's messages if a host cannot be reached (NetUtils.wrapException), is a standby (StandbyException), or is a NameNode
# in safe mode.
_UNREACHABLE = re.compile(
    r"failed on (?:connection exception|socket timeout exception|local exception)|No Route to Host from|Invalid host name"
    r"|Connection refused|Connection reset|timed out|UnknownHostException|state standby|Client cannot authenticate"
    r"|GSS initiate failed|No valid credentials|RetriableException|safe ?mode",
    re.IGNORECASE,
)
_DOCUMENTATION_LINK = re.compile(r";? {0,4}For more details see:\s+\S+")
_NO_TICKET = re.compile(r"Client cannot authenticate|GSS initiate failed|No valid credentials", re.IGNORECASE)


def cluster_error_from(failure: RpcError) -> ClusterError:
    """Return the error that a driver's failure means. skein uses only two status codes, so the text decides."""
    if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return AnswerTooLarge(f"YARN's answer is too large: {failure.details}")
    if failure.code is grpc.StatusCode.INVALID_ARGUMENT:
        if failure.details.startswith(_UNKNOWN_APPLICATION):
            return ApplicationUnknown(failure.details)
        return ClusterRefused(failure.details)
    reason = yarn_reason(failure.details)
    if failure.code is not grpc.StatusCode.INTERNAL:
        return ClusterUnavailable(f"The YARN driver failed: {reason}")
    if _NO_TICKET.search(reason):
        return ClusterUnavailable(
            f"The hub has no valid Kerberos ticket; check its keytab, or run kinit again as its account: {reason}"
        )
    if _UNREACHABLE.search(reason):
        return ClusterUnavailable(reason)
    return ClusterRefused(reason)


def yarn_reason(details: str) -> str:
    """Extract YARN's own message from a driver's error, without preamble, class names and stack trace."""
    text = _DOCUMENTATION_LINK.sub("", _PREAMBLE.sub("", details))
    lines = []
    for line in text.splitlines():
        if line.lstrip().startswith(("at ", "... ", "Caused by: ")):
            break
        lines.append(_WRAPPINGS.sub("", line))
    reason = "\n".join(lines).strip()
    return "YARN gave no reason; see the ResourceManager's log" if reason in {"", "null"} else reason
