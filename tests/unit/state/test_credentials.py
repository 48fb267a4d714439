"""The TLS credentials of an application."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from yarnspawner.state.credentials import Credentials


def test_new_credentials_match():
    """Certificate and key match, carry skein's name, and are valid an hour earlier."""
    made = Credentials.new()
    certificate = x509.load_pem_x509_certificate(made.certificate)
    key = serialization.load_pem_private_key(made.key, None)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=skein-internal"
    assert certificate.not_valid_before_utc < datetime.now(timezone.utc) - timedelta(minutes=50)
    assert made.key != Credentials.new().key


@pytest.fixture
def in_japan(monkeypatch):
    """Run the test nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_japan")
def test_new_credentials_validity():
    """New credentials are self-signed and valid for a year, in every time zone."""
    certificate = x509.load_pem_x509_certificate(Credentials.new().certificate)
    now = datetime.now(timezone.utc)
    assert timedelta(minutes=59) < now - certificate.not_valid_before_utc < timedelta(minutes=61)
    assert timedelta(days=364) < certificate.not_valid_after_utc - now <= timedelta(days=365)
    certificate.verify_directly_issued_by(certificate)
