"""A private CA, and the certificate of the daemons' web pages."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from localhadoop.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder

#: Of the key store, which only root and the operator can read; Hadoop's own default.
PASSWORD = "changeit"  # noqa: S105


def key_store(settings: Settings) -> Path:
    return settings.folder / "tls" / "private" / "keystore.p12"


def trust_store(settings: Settings) -> Path:
    return settings.folder / "tls" / "truststore.p12"


def create(settings: Settings) -> None:
    """Make the CA, a certificate for all hosts of the cluster, and the stores in which Java reads them."""
    # Only strict clusters need the package cryptography.
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

    folder = settings.folder / "tls"
    folder.mkdir()
    key_store(settings).parent.mkdir(mode=0o700)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = authority_certificate(authority_key)
    certificate = server_certificate(settings, key, authority, authority_key)
    encryption = BestAvailableEncryption(PASSWORD.encode())
    stored = pkcs12.serialize_key_and_certificates(b"server", key, certificate, [authority], encryption)
    key_store(settings).write_bytes(stored)
    trusted = [pkcs12.PKCS12Certificate(authority, b"ca")]
    trust_store(settings).write_bytes(pkcs12.serialize_java_truststore(trusted, encryption))
    (folder / "ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))


def authority_certificate(key: EllipticCurvePrivateKey) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    builder = unsigned("localhadoop CA", "localhadoop CA", key)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, SHA256())


def server_certificate(
    settings: Settings, key: EllipticCurvePrivateKey, authority: Certificate, authority_key: EllipticCurvePrivateKey
) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    daemons = ["namenode", *settings.node_managers]
    names = sorted({settings.host(daemon) for daemon in daemons} - {settings.ip(daemon) for daemon in daemons})
    addresses = [ipaddress.ip_address(address) for address in sorted({settings.ip(daemon) for daemon in daemons})]
    alternatives = x509.SubjectAlternativeName([*map(x509.DNSName, names), *map(x509.IPAddress, addresses)])
    builder = unsigned(settings.master, "localhadoop CA", key).add_extension(alternatives, critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return builder.add_extension(identifier, critical=False).sign(authority_key, SHA256())


def unsigned(name: str, issuer: str, key: EllipticCurvePrivateKey) -> CertificateBuilder:
    from cryptography import x509

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
