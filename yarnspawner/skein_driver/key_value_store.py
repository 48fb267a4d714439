"""The key-value store of an application, through which hub and container exchange documents."""

from __future__ import annotations

import re

import grpc
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from skein import kv
from skein.proto import skein_pb2 as messages

from yarnspawner.skein_driver.rpc import Channel, ClusterRefused, ClusterUnavailable, RpcError

# In bytes. A document of common/protocol.py has at most 16 KiB.
LARGEST_VALUE = 64 * 1024
_TIMEOUT = 3.0
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]{2,45}")


class Store:
    """The key-value store of one application.

    The application master runs as the user, who can replace it. Therefore its answers are limited in time (3 seconds by
    default) and in size (64 KiB), and callers must validate every value.
    """

    def __init__(self, application_id: str, host: str, port: int, certificate: bytes, key: bytes) -> None:
        """Create the store's client. It connects with the first call.

        Args:
            application_id: the application, for messages.
            host: host name or IP address of the application master.
            port: port of the application master.
            certificate: PEM certificate of the application.
            key: PEM key of the certificate.

        Raises:
            ClusterRefused: host or port is invalid. gRPC would take ``unix:...`` for a socket in the file system.
        """
        if not _HOST.fullmatch(host) or not 0 < port < 65536:
            raise ClusterRefused(f"{application_id} reports an invalid address: {host[:80]!r}, {port}")
        self._application_id = application_id
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._channel = Channel(f"dns:///{address}", certificate, key, largest_response=LARGEST_VALUE + 1024)

    async def get(self, key: str, timeout: float = _TIMEOUT) -> bytes | None:
        """Return the value of a key, or None if it is not set.

        Args:
            key: the key.
            timeout: seconds.

        Raises:
            ClusterRefused: the answer is too large or invalid.
            ClusterUnavailable: the application master does not answer.
        """
        return (await self._read(kv.get(key), timeout)).get(key)

    async def get_prefix(self, prefix: str, timeout: float = _TIMEOUT) -> dict[str, bytes]:
        """Return all keys that begin with a prefix, and their values. Together, they have at most 64 KiB.

        Args:
            prefix: the keys' beginning, not "".
            timeout: seconds.

        Raises:
            ClusterRefused: the answer is too large or invalid.
            ClusterUnavailable: the application master does not answer.
        """
        return await self._read(kv.get_prefix(prefix), timeout)

    async def put(self, key: str, value: bytes, timeout: float = _TIMEOUT) -> None:
        """Set a key within ``timeout`` seconds.

        Raises:
            ClusterUnavailable: the application master does not answer.
        """
        request = kv.put(key, value=value)._build_operation().SerializeToString()  # noqa: SLF001
        await self._call("PutKey", request, timeout)

    async def end_application(self, timeout: float = _TIMEOUT) -> None:
        """Request the end of the application, as succeeded.

        Raises:
            ClusterUnavailable: the application master does not answer.
        """
        await self._call("shutdown", messages.ShutdownRequest(final_status="SUCCEEDED").SerializeToString(), timeout)

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        await self._channel.close()

    async def _read(self, operation: kv.Operation, timeout: float) -> dict[str, bytes]:
        request = operation._build_operation().SerializeToString()  # noqa: SLF001
        answer = await self._call("GetRange", request, timeout)
        # The answer comes from the user's container, so it is parsed here and not by skein's client.
        try:
            found = messages.GetRangeResponse.FromString(answer).result
        except DecodeError as error:
            raise ClusterRefused(f"The store of {self._application_id} sent an invalid answer") from error
        return {item.key: bytes(item.value) for item in found}

    async def _call(self, method: str, request: bytes, timeout: float) -> bytes:
        try:
            return await self._channel.call(f"/skein.AppMaster/{method}", request, timeout)
        except RpcError as failure:
            if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise ClusterRefused(
                    f"The store of {self._application_id} sent more than {LARGEST_VALUE // 1024} KiB"
                ) from failure
            raise ClusterUnavailable(
                f"The application master of {self._application_id} does not answer: {failure.details or failure.code.name}"
            ) from failure
