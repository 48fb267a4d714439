"""The documents and keys of kernels in containers."""

from __future__ import annotations

import pytest
import zmq

from yarnspawner.common.kernel_protocol import (
    PORT_NAMES,
    KernelAddress,
    KernelCommand,
    KernelEnd,
    KernelKeys,
    KernelLaunch,
    KernelOffer,
    KernelSize,
)
from yarnspawner.common.protocol import Document, ProtocolError

PORTS = dict.fromkeys(PORT_NAMES, 4000)
LAUNCH = KernelLaunch(["python"], {"TOKEN": "secret-token"}, "/home/alice", can_encrypt=True)


@pytest.mark.parametrize(
    "document",
    [
        KernelAddress(1, "10.0.0.1", PORTS, "node", "container_1", encrypted=True),
        KernelEnd(2, 137, "Killed.", final=True),
        KernelCommand(3, "signal", 2),
        LAUNCH,
    ],
)
def test_documents_round_trip(document: Document) -> None:
    """A document is the same after it is written and read."""
    assert type(document).from_bytes(document.to_bytes()) == document


@pytest.mark.parametrize(
    "document",
    [
        KernelAddress(-1, "10.0.0.1", PORTS, "node", "", encrypted=True),
        KernelAddress(1, "node", PORTS, "node", "", encrypted=True),
        KernelAddress(1, "10.0.0.1", {**PORTS, "hb_port": 0}, "node", "", encrypted=True),
        KernelAddress(1, "10.0.0.1", {"hb_port": 1}, "node", "", encrypted=True),
        KernelEnd(1, True, ""),
        KernelCommand(1, "format", 0),
        KernelCommand(1, "signal", 99),
        KernelLaunch([], {}, "", can_encrypt=True),
        KernelLaunch(["a"], {"A": 1}, "", can_encrypt=True),  # type: ignore[dict-item]
    ],
)
def test_invalid_documents(document: Document) -> None:
    """A document with an invalid or missing value is refused."""
    with pytest.raises(ProtocolError):
        type(document).from_bytes(document.to_bytes())


def test_same_keys_on_both_sides() -> None:
    """Both sides derive the same keys from the secret, and the public key fits the secret key."""
    one, other = (KernelKeys(b"s" * 32, "kernel").connection for _ in range(2))
    assert one == other
    assert zmq.curve_public(one["curve_secretkey"].encode()).decode() == one["curve_publickey"]


def test_keys_differ() -> None:
    """Another kernel or another server has other keys."""
    keys = [
        KernelKeys(secret, name).connection for secret, name in ((b"s" * 32, "a"), (b"s" * 32, "b"), (b"t" * 32, "a"))
    ]
    assert len({found["key"] for found in keys}) == len({found["curve_secretkey"] for found in keys}) == 3


def test_sealed_command() -> None:
    """A command is readable with the kernel's key only, so a recorded one does not start another kernel."""
    sealed = KernelKeys(b"s" * 32, "kernel").seal(LAUNCH)
    assert "secret" not in sealed
    assert KernelKeys(b"s" * 32, "kernel").unseal(sealed) == LAUNCH
    for secret, name in ((b"s" * 32, "other"), (b"t" * 32, "kernel")):
        with pytest.raises(ProtocolError, match="not encrypted with this kernel's key"):
            KernelKeys(secret, name).unseal(sealed)


def test_a_short_secret_is_refused() -> None:
    """A secret that is too short is refused."""
    with pytest.raises(ProtocolError):
        KernelKeys(b"short", "kernel")


def test_an_offer_travels_as_json() -> None:
    """An offer is the same after it is written and read as JSON, and invalid JSON is refused."""
    offer = KernelOffer(
        (KernelSize("a", "python3", "Größe", 512, 2, 1, own_environment=True),), 3, 4096, "root.analysts"
    )
    assert KernelOffer.from_json(offer.to_json()) == offer
    assert KernelOffer.from_json("") == KernelOffer(())
    for wrong in ("{", "{}", '{"sizes": [{"slug": 1}], "containers": 1, "memory": 1}'):
        with pytest.raises(ProtocolError):
            KernelOffer.from_json(wrong)


def test_text_of_sizes() -> None:
    """The text of a size shows its memory, its cores and its GPUs."""
    assert KernelSize("a", "", "", 512, 1).text == "512 MB · 1 core"
    assert KernelSize("a", "", "", 8192, 4, 1).text == "8 GB · 4 cores · 1 GPU"
