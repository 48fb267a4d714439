"""Fuzz the documents of a container: each is read as a valid document of limited size, or refused."""

from __future__ import annotations

import ipaddress
import json
import logging
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import JSON, SCALARS, many
from yarnspawner.common.protocol import Address, Failure, ProtocolError, StopRequest
from yarnspawner.launch.server_probe import ServerProbe

DOCUMENTS = [Address, Failure, StopRequest]
FIELDS = ["version", "scheme", "host", "port", "message", "detail", "reason", "grace"]
PROBE = ServerProbe("/user/alice/", 1.0, logging.getLogger("test"), ports=(30000, 39999))

# Nearly valid: the fields of the documents, with valid and invalid values.
NEARLY = st.fixed_dictionaries(
    {"version": st.just(1) | SCALARS},
    optional={
        "scheme": st.sampled_from(["http", "https", "unix", "file", "HTTP", "http://x@"]) | JSON,
        "host": st.sampled_from(
            ["node7", "unix:/s", "a@b", "[::1]", "fe80::1%eth0", "169.254.169.254", "a\n", "0x7f.1"]
        )
        | JSON,
        "port": st.integers(-1, 70000) | JSON,
        "message": JSON,
        "detail": JSON,
        "reason": JSON,
        "grace": JSON,
        "more": JSON,
    },
)


def read(cls, raw):
    """Return the document, or None if it is refused."""
    try:
        document = cls.from_bytes(raw)
    except ProtocolError as error:
        assert str(error).isprintable()
        return None
    assert len(raw) <= cls.max_size
    return document


def check(document):
    match document:
        case Address():
            url = urlsplit(document.url)
            assert url.scheme in ("http", "https")
            assert (url.username, url.password, url.path, url.query, url.fragment) == (None, None, "", "", "")
            assert url.port == document.port
            assert url.hostname == document.host.lower() or ipaddress.ip_address(document.host)
            assert document.url.isascii() and document.url.isprintable()
            try:
                PROBE.check_address(document)
                assert 30000 <= document.port <= 39999
            except ProtocolError:
                assert not 30000 <= document.port <= 39999
        case Failure():
            assert document.message.isprintable()
            assert all(line.isprintable() for line in document.detail.split("\n"))
        case StopRequest():
            assert document.reason.isprintable()
            assert 0 <= document.grace <= 86400


@pytest.mark.parametrize("cls", DOCUMENTS)
@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@many()
def test_fuzz_bytes(cls, raw):
    """Any bytes are read or refused."""
    check(read(cls, raw))


@pytest.mark.parametrize("cls", DOCUMENTS)
@given(content=NEARLY | JSON)
@many(400)
def test_fuzz_json(cls, content):
    """Any JSON is read or refused."""
    check(read(cls, json.dumps(content).encode()))


@pytest.mark.parametrize("cls", DOCUMENTS)
@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 1000,
        b'{"a":' * 600,
        b"1" * 4000,
        b'{"version": 1' + b" " * 20_000 + b"}",
        b"\xff\xfe{\x00",
        b"\x00" * 100,
    ],
)
def test_fuzz_hostile_json(cls, raw):
    """Input that breaks parsers, such as deep nesting, is refused."""
    assert read(cls, raw) is None


@given(message=st.text(), detail=st.text())
@many()
def test_fuzz_failure_is_readable(message, detail):
    """Every failure that is written can be read."""
    said = Failure(message, detail)
    assert read(Failure, said.to_bytes()) is not None


@given(raw=st.binary(max_size=100))
@many(300)
def test_fuzz_inserted_bytes(raw):
    """An address with inserted bytes is read or refused."""
    whole = Address("http", "node7", 31000).to_bytes()
    for cut in range(0, len(whole), 7):
        check(read(Address, whole[:cut] + raw + whole[cut:]))
