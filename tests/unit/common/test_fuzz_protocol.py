"""Whatever a container writes into the store, the hub reads a valid document of limited size, or refuses it."""

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
WELCOME = ServerProbe("/user/alice/", 1.0, logging.getLogger("test"), ports=(30000, 39999))

# Nearly right: the fields of the documents, with right and wrong values.
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


def read(kind, raw):
    """The document, if it is accepted; then it is what its description promises."""
    try:
        document = kind.from_bytes(raw)
    except ProtocolError as error:
        assert str(error).isprintable()
        return None
    assert len(raw) <= kind.max_size
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
                WELCOME.admit(document)
                assert 30000 <= document.port <= 39999
            except ProtocolError:
                assert not 30000 <= document.port <= 39999
        case Failure():
            assert document.message.isprintable()
            assert all(line.isprintable() for line in document.detail.split("\n"))
        case StopRequest():
            assert document.reason.isprintable()
            assert 0 <= document.grace <= 86400


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@many()
def test_fuzz_any_bytes_are_a_document_or_refused(kind, raw):
    check(read(kind, raw))


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(content=NEARLY | JSON)
@many(400)
def test_fuzz_any_json_is_a_document_or_refused(kind, content):
    check(read(kind, json.dumps(content).encode()))


@pytest.mark.parametrize("kind", DOCUMENTS)
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
def test_fuzz_what_parsers_trip_over_is_refused(kind, raw):
    assert read(kind, raw) is None


@given(message=st.text(), detail=st.text())
@many()
def test_fuzz_whatever_a_failure_says_arrives(message, detail):
    said = Failure(message, detail)
    assert read(Failure, said.to_bytes()) is not None


@given(raw=st.binary(max_size=100))
@many(300)
def test_fuzz_a_changed_byte_makes_no_other_document_of_it(raw):
    whole = Address("http", "node7", 31000).to_bytes()
    for cut in range(0, len(whole), 7):
        check(read(Address, whole[:cut] + raw + whole[cut:]))
