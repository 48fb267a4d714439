"""What is kept of a server, so that a hub that restarts finds it again and still talks to it."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import Any

from cryptography import x509
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

VERSION = 1

# What else but text some of the state's texts are: the hub asks YARN and sends browsers by them.
_VALID = {
    "application_id": r"|application_\d{1,19}_\d{1,10}",
    "url": r"|https?://[A-Za-z0-9.:_\[\]-]+:\d{1,5}",
    "container": "master|service",
}

# In seconds since 1970; dates have four digits.
_END_OF_TIME = 253402300799
# A server may live as long as skein's own credentials.
_VALIDITY = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)


class StateError(ValueError):
    """A stored state that cannot be used, with the reason."""


class Seal:
    """Seals the secrets of a state.

    JupyterHub's database keeps the state in the clear and its REST API shows it to whoever has ``admin:server_state``.

    Args:
        secret: the hub's cookie secret, or another that only the hub knows and keeps.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._fernet = Fernet(base64.urlsafe_b64encode(self._derive(b"yarnspawner state", 32)))

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, secret: bytes) -> Seal:
        """The seal of a secret, made once: thousands of servers share it."""
        return cls(secret)

    @cached_property
    def hub_id(self) -> str:
        """A name of this hub that is as lasting as its secret and tells nothing of it: 32 hexadecimal digits."""
        return self._derive(b"yarnspawner hub id", 16).hex()

    def close(self, document: dict[str, Any]) -> str:
        """Seal a document."""
        return self._fernet.encrypt(json.dumps(document).encode()).decode()

    def open(self, sealed: str) -> dict[str, Any]:
        """The document that was sealed.

        Raises:
            StateError: sealed with another secret, or changed since.
        """
        try:
            document: dict[str, Any] = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise StateError("it was sealed with another secret (was the hub's cookie secret replaced?)") from None
        return document

    def _derive(self, purpose: bytes, length: int) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(self._secret)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The TLS certificate and key that a single application's parties share (PEM)."""

    certificate: bytes
    key: bytes

    @classmethod
    def new(cls) -> Credentials:
        """A pair as ``skein.Security.new_credentials`` makes it, but on an elliptic curve.

        The RSA key of skein's takes 50 to 100 ms of a core, which fifty users who start at once would wait for; this one
        takes less than one.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        # The name that both of skein's sides expect of each other.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skein-internal")])
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # A node's clock may be late.
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _VALIDITY)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return cls(certificate.public_bytes(pem), private)


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server, from just before its submission to its end.

    Attributes:
        start_id: names this one start; its tag finds the application of a hub that died before it learned the id.
        hadoop_user: as whom the application runs.
        queue: where it was submitted.
        application_id: "" until the submission is answered.
        url: the server's address, "" until it is known.
        credentials: of the application's key-value store; None if they could not be unsealed.
        container: which of its containers the server runs in: "master" or "service".
        ends: when its time is over, in seconds since 1970; 0 for no end.
        stopping: a stop has begun, which a hub that restarts goes on with.
        hub: the id of the hub that has started it, "" where that was not written down.
        settings: of the spawner, that were chosen for this start; sealed, since an environment may have secrets in it.
    """

    start_id: str
    hadoop_user: str
    queue: str
    credentials: Credentials | None
    application_id: str = ""
    url: str = ""
    container: str = "master"
    ends: float = 0
    stopping: bool = False
    hub: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        hadoop_user: str,
        queue: str,
        credentials: Credentials,
        *,
        container: str = "master",
        hub: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> ServerState:
        """A start that is about to be submitted."""
        start_id = secrets.token_hex(16)
        return cls(start_id, hadoop_user, queue, credentials, container=container, hub=hub, settings=settings or {})

    def submitted(self, application_id: str) -> ServerState:
        """The same server, once YARN has named its application."""
        return replace(self, application_id=application_id)

    @classmethod
    def found(cls, application_id: str, hadoop_user: str, queue: str) -> ServerState:
        """A server whose stored state was lost: it can be watched and ended, but not asked anything."""
        return cls("", hadoop_user, queue, None, application_id)

    def ending_at(self, ends: float) -> ServerState:
        """The same server, with an end of its time."""
        return replace(self, ends=ends)

    def arrived(self, url: str) -> ServerState:
        """The same server, once it has said where it listens."""
        return replace(self, url=url)

    def is_same(self, other: ServerState | None) -> bool:
        """Return True if the other state is of the same start."""
        return other is not None and (
            self.start_id == other.start_id if self.start_id else self.application_id == other.application_id
        )

    def stopped(self) -> ServerState:
        """The same server, from when its stop begins."""
        return replace(self, stopping=True)

    def facts(self) -> dict[str, Any]:
        """What is kept, but for the secrets."""
        document: dict[str, Any] = {
            "version": VERSION,
            "start_id": self.start_id,
            "hadoop_user": self.hadoop_user,
            "queue": self.queue,
            "application_id": self.application_id,
            "url": self.url,
            "container": self.container,
            "ends": self.ends,
            "stopping": self.stopping,
            "hub": self.hub,
        }
        return document

    def to_dict(self, seal: Seal) -> dict[str, Any]:
        """What JupyterHub keeps in its database."""
        document = self.facts()
        if self.credentials is not None:
            document["sealed"] = seal.close(
                {
                    "certificate": self.credentials.certificate.decode(),
                    "key": self.credentials.key.decode(),
                    "settings": dict(self.settings),
                }
            )
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any], seal: Seal, *, hub_user: str) -> ServerState | None:
        """The server that a stored state speaks of; None if it speaks of none.

        A state whose secrets cannot be unsealed still tells of its application, which can be watched and ended.
        0.4.0 kept ``app_id`` only; its applications ran as the hub's user's name (``hub_user``).

        Raises:
            StateError: written by a later version, or broken.
        """
        if not isinstance(document, dict):
            raise StateError(f"it is broken: {type(document).__name__} instead of a mapping")
        if "app_id" in document:
            document = _from_0_4_0(document, hub_user)
        if not document.get("version"):
            return None
        if document["version"] != VERSION:
            raise StateError(f"it has version {_shown(document['version'])}, this yarnspawner writes version {VERSION}")
        texts = {name: document.get(name) for name in ("start_id", "hadoop_user", "queue", "application_id", "url")}
        texts |= {"container": document.get("container", "master"), "hub": document.get("hub", "")}
        for name, text in texts.items():
            if not isinstance(text, str) or not re.fullmatch(_VALID.get(name, "(?s:.*)"), text):
                raise StateError(f"it is broken: {name} is {_shown(text)}")
        ends = document.get("ends", 0)
        if isinstance(ends, bool) or not isinstance(ends, (int, float)) or not 0 <= ends <= _END_OF_TIME:
            raise StateError(f"it is broken: ends is {_shown(ends)}")
        stopping = document.get("stopping") is True
        credentials, settings = cls._unseal(document, seal)
        known = {name: str(text) for name, text in texts.items()}
        return cls(credentials=credentials, ends=ends, stopping=stopping, settings=settings, **known)

    @staticmethod
    def _unseal(document: dict[str, Any], seal: Seal) -> tuple[Credentials | None, dict[str, Any]]:
        try:
            opened = seal.open(document["sealed"])
            credentials = Credentials(opened["certificate"].encode(), opened["key"].encode())
            return credentials, dict(opened.get("settings", {}))
        except (StateError, LookupError, AttributeError, TypeError, ValueError):
            return None, {}


def _from_0_4_0(document: dict[str, Any], hub_user: str) -> dict[str, Any]:
    if document["app_id"] in ("", "PENDING", None):
        return {}
    texts = {"start_id": "", "hadoop_user": hub_user, "queue": "", "url": ""}
    return {"version": VERSION, "application_id": document["app_id"], **texts}


def _shown(value: Any) -> str:
    """Anything that the database may have, in a message."""
    return repr(value)[:100]
