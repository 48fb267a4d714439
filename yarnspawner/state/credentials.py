"""The TLS credentials of one application."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# A server may run as long as skein's own credentials are valid.
_VALIDITY = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The TLS certificate and key (PEM) that the hub and the containers of one application share."""

    certificate: bytes
    key: bytes

    @classmethod
    def new(cls) -> Credentials:
        """Create a certificate and key like those of ``skein.Security.new_credentials``, but on an elliptic curve.

        skein's RSA key takes 50 to 100 ms of CPU time, which adds up when 50 users start at once. This key takes less than
        1 ms.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        # skein's client and server both expect this name of each other.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skein-internal")])
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # A node's clock may be slow.
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _VALIDITY)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return cls(certificate.public_bytes(pem), private)
