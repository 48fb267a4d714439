"""The documents that hub and container exchange: written, read and validated."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.common import protocol
from yarnspawner.common.protocol import Address, Failure, ProtocolError, StopRequest, Waiting


def document(**fields: object) -> bytes:
    return json.dumps({"version": 1, **fields}).encode()


@pytest.mark.parametrize("host", ["node7.example.com", "node_7", "localhost", "10.0.0.7", "fd00::7", "7up.example.com"])
def test_address_round_trip(host: str) -> None:
    """An address is read as it was written."""
    address = Address("https", host, 40123)
    assert Address.from_bytes(address.to_bytes()) == address


@pytest.mark.parametrize("port", [1, 65535])
def test_port_limits(port: int) -> None:
    """A server may listen on any port."""
    assert Address.from_bytes(Address("http", "node7", port).to_bytes()).port == port


@pytest.mark.parametrize(
    ("host", "url"),
    [("node7", "https://node7:443"), ("10.0.0.7", "https://10.0.0.7:443"), ("fd00::7", "https://[fd00::7]:443")],
)
def test_address_url(host: str, url: str) -> None:
    """An IPv6 address is in brackets, as URLs require."""
    assert Address("https", host, 443).url == url


def test_address_format() -> None:
    """An address has the documented JSON format."""
    assert json.loads(Address("http", "node7", 40123).to_bytes()) == {
        "version": 1,
        "scheme": "http",
        "host": "node7",
        "port": 40123,
    }


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.com/path",
        "user@evil.example.com",
        "node7:80",
        "node 7",
        "node7\n",
        "node7\x1b[2J",
        "-node7",
        "node7..example.com",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "999.1.1.1",
        "fe80::1%eth0",
        "nödé",
        7,
        None,
        ["node7"],
    ],
)
def test_invalid_hosts(host: object) -> None:
    """A host that is no host name or IP address is refused."""
    with pytest.raises(ProtocolError, match="Address: host is not a host name"):
        Address.from_bytes(document(scheme="http", host=host, port=80))


@pytest.mark.parametrize("port", [0, -1, 65536, 80.0, "80", True, None, 10**400])
def test_invalid_ports(port: object) -> None:
    """A port that is no number from 1 to 65535 is refused."""
    with pytest.raises(ProtocolError, match="Address: port is not a port number"):
        Address.from_bytes(document(scheme="http", host="node7", port=port))


@pytest.mark.parametrize("scheme", ["ftp", "HTTP", "", "javascript", None, ["http"]])
def test_invalid_schemes(scheme: object) -> None:
    """Only http and https are accepted."""
    with pytest.raises(ProtocolError, match="Address: scheme is not http or https"):
        Address.from_bytes(document(scheme=scheme, host="node7", port=80))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 4000,
        json.dumps({"version": 2, "scheme": "http", "host": "node7", "port": 80}).encode(),
        json.dumps({"version": True, "scheme": "http", "host": "node7", "port": 80}).encode(),
        json.dumps({"scheme": "http", "host": "node7", "port": 80}).encode(),
        document(scheme="http", host="node7"),
        document(scheme="http", host="node7", port=80, padding="x" * 4096),
    ],
)
def test_invalid_documents(raw: bytes) -> None:
    """A document of another format, version or size is refused."""
    with pytest.raises(ProtocolError):
        Address.from_bytes(raw)


def test_size_limit() -> None:
    """A document may have at most 4096 bytes."""
    raw = document(scheme="http", host="node7", port=80)
    assert Address.from_bytes(raw.ljust(4096)) == Address("http", "node7", 80)
    with pytest.raises(ProtocolError, match="4096"):
        Address.from_bytes(raw.ljust(4097))


def test_unknown_fields_are_ignored() -> None:
    """A later release may add fields."""
    raw = document(scheme="http", host="node7", port=80, more="than we know")
    assert Address.from_bytes(raw) == Address("http", "node7", 80)


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_garbage_is_refused(raw: bytes) -> None:
    """Garbage raises ProtocolError with a printable message, and nothing else."""
    for cls in (Address, Failure, StopRequest):
        with pytest.raises(ProtocolError) as caught:
            cls.from_bytes(raw)
        assert str(caught.value).isprintable()


@given(message=st.text(), detail=st.text())
def test_any_failure_is_readable(message: str, detail: str) -> None:
    """Every failure that is written can be read."""
    received = Failure.from_bytes(Failure(message, detail).to_bytes())
    assert received.message.isprintable()
    assert all(line.isprintable() for line in received.detail.split("\n"))


def test_long_failure_is_truncated() -> None:
    """The message keeps its beginning, the log its end."""
    received = Failure.from_bytes(Failure("Why. " + "😀" * 10_000, "😀" * 10_000 + "\nthe last line").to_bytes())
    assert received.message.startswith("Why. ")
    assert received.detail.endswith("\nthe last line")


def test_failure_limits() -> None:
    """The limits are 500 characters for the message and 3000 for the log."""
    received = Failure.from_bytes(Failure("m" * 501, "\n".join("ab" * 1501)).to_bytes())
    assert received == Failure("m" * 500, ("\n".join("ab" * 1501))[-3000:])


@pytest.mark.parametrize("message", [5, None, ["Why."]])
def test_failure_must_be_text(message: object) -> None:
    """Message and detail must be strings."""
    with pytest.raises(ProtocolError, match="message"):
        Failure.from_bytes(document(message=message, detail=""))
    with pytest.raises(ProtocolError, match="detail"):
        Failure.from_bytes(document(message="Why.", detail=message))


def test_waiting_round_trip() -> None:
    """A long message is truncated, and its control characters become spaces."""
    assert Waiting.from_bytes(Waiting("Unpacking 😀\n").to_bytes()) == Waiting("Unpacking 😀 ")
    assert Waiting.from_bytes(Waiting("😀" * 501).to_bytes()) == Waiting("😀" * 500)


@pytest.mark.parametrize("message", ["x" * 501, "\x1b[2J", "one\ntwo", 5, None])
def test_invalid_waiting_message(message: object) -> None:
    """The hub shows the message to the user unchanged, so it must be one printable line."""
    with pytest.raises(ProtocolError, match="message"):
        Waiting.from_bytes(document(message=message))


def test_failure_is_sanitized() -> None:
    """Control characters in a failure become spaces when it is written."""
    assert Failure.from_bytes(Failure("one\r\ntwo", "\x1b[31mred\tline\nnext").to_bytes()) == Failure(
        "one  two", " [31mred line\nnext"
    )


def test_escape_sequences_are_refused() -> None:
    """A failure with escape sequences is refused when it is read."""
    with pytest.raises(ProtocolError, match="message"):
        Failure.from_bytes(document(message="\x1b[2J", detail=""))
    with pytest.raises(ProtocolError, match="detail"):
        Failure.from_bytes(document(message="Why.", detail="one\n\x1b[2J"))


def test_stop_request_round_trip() -> None:
    """A stop request is read as it was written."""
    request = StopRequest("Stopped by admin.", 10.5)
    assert StopRequest.from_bytes(request.to_bytes()) == request


@pytest.mark.parametrize("grace", [0, 0.5, 86400])
def test_valid_grace_periods(grace: float) -> None:
    """The grace period is an integer or a float of at most a day."""
    assert StopRequest.from_bytes(document(reason="Stopped.", grace=grace)).grace == grace


@pytest.mark.parametrize("grace", [86400.5, -0.5, -1, float("nan"), float("inf"), "10", True, None])
def test_invalid_grace_periods(grace: object) -> None:
    """Any other value is refused."""
    with pytest.raises(ProtocolError, match="StopRequest: grace is not a time"):
        StopRequest.from_bytes(document(reason="Stopped.", grace=grace))


def test_key_names() -> None:
    """Servers that outlive a hub upgrade, and skein's command line, depend on these keys."""
    assert (protocol.ADDRESS_KEY, protocol.ERROR_KEY) == ("jupyter.server.address", "jupyter.server.error")
    assert protocol.STATUS_KEY == "jupyter.server.status"
    assert (protocol.STOP_KEY, protocol.KERNEL_KEY) == ("jupyter.server.stop", "ipython.kernel.info")


def test_invalid_reasons() -> None:
    """The reason is logged, so it must have no control characters."""
    for reason in ("\x1b[2J", 5):
        with pytest.raises(ProtocolError, match="reason"):
            StopRequest.from_bytes(document(reason=reason, grace=1))
