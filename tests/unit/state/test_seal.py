"""Sealed documents and the hub's id."""

import base64

import pytest
from cryptography.fernet import Fernet, InvalidToken

from yarnspawner.state.seal import Seal


def test_hub_id_depends_on_secret():
    """The hub's id depends on the secret only."""
    assert Seal(b"cookie secret").hub_id == Seal(b"cookie secret").hub_id != Seal(b"another").hub_id
    assert len(Seal(b"cookie secret").hub_id) == 32


# Sealed with the secret b"x" by the first release that seals.
SEALED = (
    "gAAAAABrCSHm96c-JjnvWewFLKVTJeSToj5TI9cYmABS1A9r78QmVT5BaqyUA7rPB2LYdrV5EMFfkS54WMydtUT3X7koISMly3v0Lb4xE9k-Uiy5"
    "y-whz1k="
)


def test_key_derivation_is_stable():
    """A changed key derivation would make every stored state unreadable."""
    assert Seal(b"x").unseal(SEALED) == {"key": "s3cret"}
    assert Seal(b"x").hub_id == "fbc3937d3f87030e20d89610aba65c0b"


def test_hub_id_reveals_no_key():
    """The id is public in logs and states, so the key is derived separately."""
    seal = Seal(b"x")
    assert bytes.fromhex(seal.hub_id) not in seal._derive(b"yarnspawner state", 32)
    with pytest.raises(InvalidToken):
        Fernet(base64.urlsafe_b64encode(seal._derive(b"yarnspawner hub id", 32))).decrypt(SEALED)


def test_seal_is_cached():
    """Deriving the key for each of thousands of servers takes time."""
    assert Seal.of(b"x") is Seal.of(b"x")
    assert Seal.of(b"x").unseal(SEALED) == {"key": "s3cret"}
