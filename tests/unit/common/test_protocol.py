"""The documents that a container and the hub exchange: what arrives is what was sent, or it is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.common import protocol as rendezvous
from yarnspawner.common.protocol import Address, Failure, ProtocolError, StopRequest, Waiting


def document(**fields: object) -> bytes:
    return json.dumps({"version": 1, **fields}).encode()


@pytest.mark.parametrize("host", ["node7.example.com", "node_7", "localhost", "10.0.0.7", "fd00::7", "7up.example.com"])
def test_an_address_arrives_as_it_was_sent(host: str) -> None:
    address = Address("https", host, 40123)
    assert Address.from_bytes(address.to_bytes()) == address


@pytest.mark.parametrize("port", [1, 65535])
def test_the_first_and_last_port_are_accepted(port: int) -> None:
    """A server may listen on any port."""
    assert Address.from_bytes(Address("http", "node7", port).to_bytes()).port == port


@pytest.mark.parametrize(
    ("host", "url"),
    [("node7", "https://node7:443"), ("10.0.0.7", "https://10.0.0.7:443"), ("fd00::7", "https://[fd00::7]:443")],
)
def test_an_address_has_a_url(host: str, url: str) -> None:
    """An IPv6 address is in brackets, as URLs have it."""
    assert Address("https", host, 443).url == url


def test_an_address_looks_as_documented() -> None:
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
def test_a_host_that_is_no_plain_name_is_refused(host: object) -> None:
    with pytest.raises(ProtocolError, match="host"):
        Address.from_bytes(document(scheme="http", host=host, port=80))


@pytest.mark.parametrize("port", [0, -1, 65536, 80.0, "80", True, None, 10**400])
def test_a_port_that_is_none_is_refused(port: object) -> None:
    with pytest.raises(ProtocolError, match="port"):
        Address.from_bytes(document(scheme="http", host="node7", port=port))


@pytest.mark.parametrize("scheme", ["ftp", "HTTP", "", "javascript", None, ["http"]])
def test_a_scheme_other_than_http_and_https_is_refused(scheme: object) -> None:
    with pytest.raises(ProtocolError, match="scheme"):
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
def test_a_document_of_another_shape_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        Address.from_bytes(raw)


def test_the_largest_document_is_accepted() -> None:
    """A document may have 4096 bytes, and not one more."""
    raw = document(scheme="http", host="node7", port=80)
    assert Address.from_bytes(raw.ljust(4096)) == Address("http", "node7", 80)
    with pytest.raises(ProtocolError, match="4096"):
        Address.from_bytes(raw.ljust(4097))


def test_a_later_version_may_add_fields() -> None:
    raw = document(scheme="http", host="node7", port=80, more="than we know")
    assert Address.from_bytes(raw) == Address("http", "node7", 80)


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_nothing_but_a_rendezvous_error_comes_of_garbage_and_its_message_fits_a_log(raw: bytes) -> None:
    for kind in (Address, Failure, StopRequest):
        with pytest.raises(ProtocolError) as caught:
            kind.from_bytes(raw)
        assert str(caught.value).isprintable()


@given(message=st.text(), detail=st.text())
def test_every_failure_can_be_told(message: str, detail: str) -> None:
    received = Failure.from_bytes(Failure(message, detail).to_bytes())
    assert received.message.isprintable()
    assert all(line.isprintable() for line in received.detail.split("\n"))


def test_a_long_failure_keeps_the_beginning_of_its_message_and_the_end_of_its_log() -> None:
    received = Failure.from_bytes(Failure("Why. " + "😀" * 10_000, "😀" * 10_000 + "\nthe last line").to_bytes())
    assert received.message.startswith("Why. ")
    assert received.detail.endswith("\nthe last line")


def test_a_failure_has_500_characters_and_3000_of_its_log() -> None:
    """The limits are in characters, and a log of the full size arrives."""
    received = Failure.from_bytes(Failure("m" * 501, "\n".join("ab" * 1501)).to_bytes())
    assert received == Failure("m" * 500, ("\n".join("ab" * 1501))[-3000:])


@pytest.mark.parametrize("message", [5, None, ["Why."]])
def test_a_failure_without_text_is_refused(message: object) -> None:
    """Message and detail are texts."""
    with pytest.raises(ProtocolError, match="message"):
        Failure.from_bytes(document(message=message, detail=""))
    with pytest.raises(ProtocolError, match="detail"):
        Failure.from_bytes(document(message="Why.", detail=message))


def test_what_a_server_waits_for_arrives() -> None:
    """A long message is cut, and its control characters become spaces."""
    assert Waiting.from_bytes(Waiting("Unpacking 😀\n").to_bytes()) == Waiting("Unpacking 😀 ")
    assert Waiting.from_bytes(Waiting("😀" * 501).to_bytes()) == Waiting("😀" * 500)


@pytest.mark.parametrize("message", ["x" * 501, "\x1b[2J", "one\ntwo", 5, None])
def test_a_status_that_is_not_one_line_is_refused(message: object) -> None:
    """The hub shows the status to the user as it is."""
    with pytest.raises(ProtocolError, match="message"):
        Waiting.from_bytes(document(message=message))


def test_colours_and_line_ends_in_a_failure_become_spaces() -> None:
    assert Failure.from_bytes(Failure("one\r\ntwo", "\x1b[31mred\tline\nnext").to_bytes()) == Failure(
        "one  two", " [31mred line\nnext"
    )


def test_a_failure_that_would_move_the_cursor_is_refused() -> None:
    with pytest.raises(ProtocolError, match="message"):
        Failure.from_bytes(document(message="\x1b[2J", detail=""))
    with pytest.raises(ProtocolError, match="detail"):
        Failure.from_bytes(document(message="Why.", detail="one\n\x1b[2J"))


def test_a_request_to_stop_arrives_as_it_was_sent() -> None:
    request = StopRequest("Stopped by admin.", 10.5)
    assert StopRequest.from_bytes(request.to_bytes()) == request


@pytest.mark.parametrize("grace", [0, 0.5, 86400])
def test_a_grace_of_up_to_a_day_is_accepted(grace: float) -> None:
    """The time is a whole number of seconds or a fraction."""
    assert StopRequest.from_bytes(document(reason="Stopped.", grace=grace)).grace == grace


@pytest.mark.parametrize("grace", [86400.5, -0.5, -1, float("nan"), float("inf"), "10", True, None])
def test_a_grace_that_is_no_time_is_refused(grace: object) -> None:
    with pytest.raises(ProtocolError, match="grace"):
        StopRequest.from_bytes(document(reason="Stopped.", grace=grace))


def test_the_keys_in_the_store_have_their_documented_names() -> None:
    """Servers that outlive an upgrade of the hub, and skein's command line, know the keys by these names."""
    assert (rendezvous.ADDRESS_KEY, rendezvous.ERROR_KEY) == ("jupyter.server.address", "jupyter.server.error")
    assert rendezvous.STATUS_KEY == "jupyter.server.status"
    assert (rendezvous.STOP_KEY, rendezvous.KERNEL_KEY) == ("jupyter.server.stop", "ipython.kernel.info")


def test_a_reason_that_would_move_the_cursor_is_refused() -> None:
    """The reason of a stop reaches a log, so it has no control characters."""
    for reason in ("\x1b[2J", 5):
        with pytest.raises(ProtocolError, match="reason"):
            StopRequest.from_bytes(document(reason=reason, grace=1))
