"""The secrets of a kernel's own application, and the private file that keeps them for a restart of the Jupyter server."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.parse
from dataclasses import dataclass

import skein

from yarnspawner.kernels.connection_files import make_folder, runtime_folder, write_private


@dataclass(frozen=True)
class ApplicationSecrets:
    """What gives access to one kernel.

    Attributes:
        secret: content of the private file from which the kernel's keys are derived.
        certificate: PEM certificate of the application master.
        key: PEM key of the certificate.
    """

    secret: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def new(cls) -> ApplicationSecrets:
        security = skein.Security.new_credentials()
        return cls(secrets.token_bytes(32), security.cert_bytes, security.key_bytes)


class SecretsFile:
    """The secrets of one kernel's application in Jupyter's runtime folder. Only its owner can read the file.

    Args:
        kernel_id: the kernel's id.
    """

    def __init__(self, kernel_id: str) -> None:
        self._path = runtime_folder() / f"yarn-{urllib.parse.quote(kernel_id, safe='')}.json"

    def write(self, known: ApplicationSecrets) -> None:
        """Create or overwrite the file, and its folder if it does not exist.

        Raises:
            KernelError: it cannot be written.
        """
        make_folder()
        write_private(
            self._path, json.dumps({name: base64.b64encode(value).decode() for name, value in vars(known).items()})
        )

    def read(self) -> ApplicationSecrets | None:
        """Return the secrets; None if the file does not exist or is not such a file."""
        try:
            found = json.loads(self._path.read_text())
            return ApplicationSecrets(**{name: base64.b64decode(value) for name, value in found.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def remove(self) -> None:
        """Remove the file if it exists."""
        self._path.unlink(missing_ok=True)
