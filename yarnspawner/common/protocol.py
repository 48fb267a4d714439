"""The documents that hub and container exchange through the key-value store of their application.

Both sides import this module, so it uses only the standard library. The hub trusts none of these documents: users own
their containers and can write anything. :meth:`from_bytes` returns validated documents only.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from yarnspawner.common.notebook_storage import STORAGES
from yarnspawner.common.text import printable

if TYPE_CHECKING:
    from typing_extensions import Self

SERVER_KEYS = "jupyter.server."
"""The prefix of the keys that concern a server, but not its kernels. With it, one request reads them all."""

ADDRESS_KEY = "jupyter.server.address"
"""The address that a server listens on: an :class:`Address`, written by the container."""

ERROR_KEY = "jupyter.server.error"
"""Why a server or kernel did not start: a :class:`Failure`, written by the container before it exits."""

STATUS_KEY = "jupyter.server.status"
"""What a starting server waits for: a :class:`Waiting`, written by the container."""

NOTEBOOKS_KEY = "jupyter.server.notebooks"
"""Where a server's notebooks are: a :class:`Notebooks`, written by the container before the address."""

STOP_KEY = "jupyter.server.stop"
"""A request to shut down: a :class:`StopRequest`, written by the hub."""

RESTART_KEY = "jupyter.server.restart"
"""A request to replace the server's process: a :class:`RestartRequest`, written by the hub."""

RESTARTED_KEY = "jupyter.server.restarted"
"""The last restart that is complete: a :class:`Restarted`, written by the container after the address."""

KERNEL_KEY = "ipython.kernel.info"
"""How to connect to a kernel: the JSON of a Jupyter connection file. skein's own kernel recipe uses this key as well."""

VERSION = 1
"""The version of every document. Readers refuse any other version."""


class ProtocolError(ValueError):
    """A document is invalid. The message has no control characters, so it can be logged."""


# Letters, digits and hyphens as in RFC 1123, and the underscore that some sites use in node names. A last label of only
# digits would be an invalid IP address.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}")


@dataclass(frozen=True)
class Document:
    """A JSON object with a version and the fields of its class."""

    max_size: ClassVar[int] = 4 * 1024

    def to_bytes(self) -> bytes:
        """Return the document as UTF-8 JSON."""
        return json.dumps({"version": VERSION, **dataclasses.asdict(self)}, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read and validate a document. Unknown fields are ignored.

        Raises:
            ProtocolError: the document is too large, not JSON or of another version, or a field is missing, of the
                wrong type or out of range.
        """
        if len(raw) > cls.max_size:
            raise ProtocolError(f"{cls.__name__}: {len(raw)} bytes, but at most {cls.max_size} are allowed")
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError):
            raise ProtocolError(f"{cls.__name__}: not JSON") from None
        if not isinstance(content, dict):
            raise ProtocolError(f"{cls.__name__}: not a JSON object")
        if content.get("version") != VERSION or isinstance(content["version"], bool):
            raise ProtocolError(f"{cls.__name__}: not of version {VERSION}")
        try:
            document = cls(**{field.name: content[field.name] for field in dataclasses.fields(cls)})
        except KeyError as error:
            raise ProtocolError(f"{cls.__name__}: no field {error}") from None
        document._check()
        return document

    def _check(self) -> None:
        raise NotImplementedError

    def _expect(self, field: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ProtocolError(f"{type(self).__name__}: {field} is not {expected}")


@dataclass(frozen=True)
class Address(Document):
    """The address that a server listens on."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """A host name or IP address, as the container knows it. The hub uses the host that YARN reports instead."""
    port: int

    @property
    def url(self) -> str:
        """Return ``scheme://host:port``."""
        return (
            f"{self.scheme}://[{self.host}]:{self.port}"
            if ":" in self.host
            else f"{self.scheme}://{self.host}:{self.port}"
        )

    def _check(self) -> None:
        self._expect("scheme", self.scheme in ("http", "https"), "http or https")
        self._expect("host", _is_host(self.host), "a host name or an IP address")
        self._expect("port", _is_number(self.port, int) and 1 <= self.port <= 65535, "a port number")


@dataclass(frozen=True)
class Failure(Document):
    """Why a server or kernel did not start, or exited early."""

    message: str
    """One sentence for the user."""
    detail: str = ""
    """The last lines of its log, separated by newlines."""

    max_size: ClassVar[int] = 16 * 1024
    # In characters of at most four bytes each, so both texts fit into max_size.
    _max_message: ClassVar[int] = 500
    _max_detail: ClassVar[int] = 3000

    def to_bytes(self) -> bytes:
        """Return the document as UTF-8 JSON, truncated to the size limit.

        The message keeps its beginning, the detail its end.
        """
        message = printable(self.message)[: self._max_message]
        detail = "\n".join(map(printable, self.detail.splitlines()))[-self._max_detail :]
        return Document.to_bytes(Failure(message, detail))

    def _check(self) -> None:
        self._expect("message", isinstance(self.message, str) and self.message.isprintable(), "plain text")
        detail = isinstance(self.detail, str) and self.detail.split("\n")
        self._expect("detail", bool(detail) and all(line.isprintable() for line in detail), "lines of plain text")


@dataclass(frozen=True)
class Waiting(Document):
    """What a starting server waits for."""

    message: str
    """One sentence for the user."""

    _max_message: ClassVar[int] = 500

    def to_bytes(self) -> bytes:
        """Return the document as UTF-8 JSON, with the message truncated to the size limit."""
        return Document.to_bytes(Waiting(printable(self.message)[: self._max_message]))

    def _check(self) -> None:
        text = isinstance(self.message, str) and self.message.isprintable()
        self._expect("message", text and len(self.message) <= self._max_message, "one line of plain text")


@dataclass(frozen=True)
class Notebooks(Document):
    """Where the notebooks of a server are stored."""

    storage: str
    """One of :data:`yarnspawner.common.notebook_storage.STORAGES`."""

    def _check(self) -> None:
        self._expect("storage", self.storage in STORAGES, " or ".join(STORAGES))


@dataclass(frozen=True)
class StopRequest(Document):
    """A request to shut down the kernels and the server."""

    reason: str
    """One sentence for the server's log."""
    grace: float
    """Seconds until the hub kills the application."""

    def _check(self) -> None:
        self._expect("reason", isinstance(self.reason, str) and self.reason.isprintable(), "plain text")
        self._expect("grace", _is_number(self.grace, (int, float)) and 0 <= self.grace <= 86400, "a time in seconds")


@dataclass(frozen=True)
class RestartRequest(Document):
    """A request to replace the server's process. Kernels in other containers keep running."""

    id: str
    """Identifier of the request. A server obeys each request once."""
    grace: float
    """Seconds for the server to shut down before its process is replaced anyway."""

    def _check(self) -> None:
        self._expect("id", _is_identifier(self.id), "an identifier")
        self._expect("grace", _is_number(self.grace, (int, float)) and 0 <= self.grace <= 3600, "a time in seconds")


@dataclass(frozen=True)
class Restarted(Document):
    """A new process has replaced the server's former one, and listens."""

    id: str
    """Identifier of the request."""
    kernels: int
    """How many kernels in other containers it has found again."""

    def _check(self) -> None:
        self._expect("id", _is_identifier(self.id), "an identifier")
        self._expect("kernels", _is_number(self.kernels, int) and 0 <= self.kernels <= 10000, "a number of kernels")


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isalnum()


def _is_number(value: Any, types: type | tuple[type, ...]) -> bool:
    # True is an int in Python, but not a number in JSON.
    return isinstance(value, types) and not isinstance(value, bool)


def _is_host(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if _HOST_NAME.fullmatch(value):
        return True
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    # An IPv6 zone ("fe80::1%eth0") is only valid on its own node.
    return "%" not in value
