"""Encrypt the secrets that are stored in JupyterHub's database."""

from __future__ import annotations

import base64
import json
from functools import cached_property, lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SealError(ValueError):
    """Sealed text cannot be decrypted; the message is the reason."""


class Seal:
    """Encrypt and decrypt documents with a key that is derived from the hub's secret.

    JupyterHub stores a spawner's state in clear text, and its REST API shows it to anyone with ``admin:server_state``.

    Args:
        secret: the hub's cookie secret, or another secret that only the hub knows and keeps.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._fernet = Fernet(base64.urlsafe_b64encode(self._derive(b"yarnspawner state", 32)))

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, secret: bytes) -> Seal:
        """Return the seal of a secret. It is cached, so thousands of servers share it."""
        return cls(secret)

    @cached_property
    def hub_id(self) -> str:
        """The hub's id: 32 hexadecimal digits that are derived from the secret and do not reveal it."""
        return self._derive(b"yarnspawner hub id", 16).hex()

    def seal(self, document: dict[str, Any]) -> str:
        """Encrypt a document."""
        return self._fernet.encrypt(json.dumps(document).encode()).decode()

    def unseal(self, sealed: str) -> dict[str, Any]:
        """Decrypt a document.

        Raises:
            SealError: it was sealed with another secret, or changed since.
        """
        try:
            document: dict[str, Any] = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise SealError("it was sealed with another secret (was the hub's cookie secret replaced?)") from None
        return document

    def _derive(self, purpose: bytes, length: int) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(self._secret)
