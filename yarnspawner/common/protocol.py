"""What a container and the hub tell each other through the key-value store of their application.

Both sides import this module, so it needs nothing but the standard library. The hub believes nothing that it reads:
the user owns the container, and so may have written anything. Whatever :meth:`from_bytes` returns has been checked.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

ADDRESS_KEY = "jupyter.server.address"
"""Where a server that listens says so: an :class:`Address`, written by the container."""

ERROR_KEY = "jupyter.server.error"
"""Why a server or kernel did not start: a :class:`Failure`, written by the container before it leaves."""

STATUS_KEY = "jupyter.server.status"
"""What a server that starts is waiting for: a :class:`Waiting`, written by the container while it does."""

STOP_KEY = "jupyter.server.stop"
"""That a server should end in order: a :class:`StopRequest`, written by the hub."""

KERNEL_KEY = "ipython.kernel.info"
"""How to connect to a kernel: the JSON of a Jupyter connection file. Its name is that of skein's own recipe."""

VERSION = 1
"""The version of every document. A reader refuses a version that it does not know."""


class ProtocolError(ValueError):
    """A document that must not be believed. Its message has no control characters, and so is fit for a log."""


# RFC 1123's letters, digits and hyphens, and the underscore that some sites' node names have. A last label of digits
# alone would be a broken IP address.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}")


@dataclass(frozen=True)
class _Document:
    """A JSON object with a version and exactly the fields of its class."""

    max_size: ClassVar[int] = 4 * 1024

    def to_bytes(self) -> bytes:
        """The document as UTF-8 JSON."""
        return json.dumps({"version": VERSION, **dataclasses.asdict(self)}, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read and check a document.

        Raises :class:`ProtocolError` if it is too large, not JSON, of another version, or if a field is missing,
        of the wrong type or out of range. Unknown fields are ignored.
        """
        if len(raw) > cls.max_size:
            raise ProtocolError(f"{cls.__name__}: {len(raw)} bytes, where at most {cls.max_size} are allowed")
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
class Address(_Document):
    """Where a server listens."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """A host name or IP address, as the container knows it. The hub asks YARN instead."""
    port: int

    @property
    def url(self) -> str:
        """``scheme://host:port``."""
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
class Failure(_Document):
    """Why a server did not start, or ended early."""

    message: str
    """One sentence for the user."""
    detail: str = ""
    """The last lines of its log, separated by newlines."""

    max_size: ClassVar[int] = 16 * 1024
    # A printable character takes four bytes at most, so that both fit.
    _max_message: ClassVar[int] = 500
    _max_detail: ClassVar[int] = 3000

    def to_bytes(self) -> bytes:
        """The document as UTF-8 JSON, cut to what a reader accepts: the message keeps its beginning, the detail its end."""
        message = _printable(self.message)[: self._max_message]
        detail = "\n".join(map(_printable, self.detail.splitlines()))[-self._max_detail :]
        return _Document.to_bytes(Failure(message, detail))

    def _check(self) -> None:
        self._expect(
            "message", isinstance(self.message, str) and _printable(self.message) == self.message, "plain text"
        )
        detail = isinstance(self.detail, str) and self.detail.split("\n")
        self._expect("detail", bool(detail) and all(_printable(line) == line for line in detail), "lines of plain text")


@dataclass(frozen=True)
class Waiting(_Document):
    """What a server waits for while it starts."""

    message: str
    """One sentence for the user."""

    _max_message: ClassVar[int] = 500

    def to_bytes(self) -> bytes:
        """The document as UTF-8 JSON, its message cut to what a reader accepts."""
        return _Document.to_bytes(Waiting(_printable(self.message)[: self._max_message]))

    def _check(self) -> None:
        text = isinstance(self.message, str) and _printable(self.message) == self.message
        self._expect("message", text and len(self.message) <= self._max_message, "one line of plain text")


@dataclass(frozen=True)
class StopRequest(_Document):
    """That a server should end its kernels and itself."""

    reason: str
    """One sentence for the server's log."""
    grace: float
    """Seconds until it is ended by force."""

    def _check(self) -> None:
        self._expect("reason", isinstance(self.reason, str) and _printable(self.reason) == self.reason, "plain text")
        self._expect("grace", _is_number(self.grace, (int, float)) and 0 <= self.grace <= 86400, "a time in seconds")


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    # True is an int in Python, but not a number in JSON.
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_host(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if _HOST_NAME.fullmatch(value):
        return True
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    # An IPv6 zone ("fe80::1%eth0") means something on its own node only.
    return "%" not in value


def _printable(text: str) -> str:
    """The text without what a terminal or a log would act on: control characters, line ends, bidirectional overrides."""
    return "".join(character if character.isprintable() else " " for character in text)
