"""What is kept of a server for a hub that restarts."""

import base64
import json
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from yarnspawner.state import Credentials, Seal, ServerState, StateError

SEAL = Seal(b"cookie secret")
SETTINGS = {"environment": {"TOKEN": "s3cret"}, "stop_timeout": 60}
SERVER = ServerState.new("alice", "default", Credentials(b"CERTIFICATE", b"PRIVATE KEY"), settings=SETTINGS)


def restored(document, seal=SEAL):
    # JupyterHub keeps the state as JSON.
    return ServerState.from_dict(json.loads(json.dumps(document)), seal, hub_user="alice")


def test_a_state_comes_back_as_it_was():
    server = SERVER.submitted("application_1_0001").arrived("http://node:4000")
    assert restored(server.to_dict(SEAL)) == server
    assert restored(server.to_dict(SEAL)).settings == {"environment": {"TOKEN": "s3cret"}, "stop_timeout": 60}


def test_the_secrets_are_not_readable():
    text = json.dumps(SERVER.to_dict(SEAL))
    assert "CERTIFICATE" not in text and "PRIVATE" not in text and "s3cret" not in text


def test_with_another_secret_the_application_is_still_known_but_not_its_credentials():
    server = restored(SERVER.submitted("application_1_0001").to_dict(SEAL), Seal(b"another"))
    assert server.application_id == "application_1_0001"
    assert server.credentials is None


def test_no_state_is_no_server():
    assert restored({}) is None


def test_a_server_of_version_0_4_0_is_known_by_its_application():
    server = restored({"app_id": "application_1_0001"})
    assert (server.application_id, server.hadoop_user) == ("application_1_0001", "alice")
    assert restored({"app_id": "PENDING"}) is None


def test_a_later_version_is_refused():
    with pytest.raises(StateError, match="version 2"):
        restored({**SERVER.to_dict(SEAL), "version": 2})


def test_two_starts_have_different_names():
    assert SERVER.start_id != ServerState.new("alice", "default", SERVER.credentials).start_id


def test_a_hub_keeps_its_id_as_long_as_its_secret():
    assert SEAL.hub_id == Seal(b"cookie secret").hub_id != Seal(b"another").hub_id
    assert len(SEAL.hub_id) == 32


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)  # a busy machine is no finding
@given(st.dictionaries(st.sampled_from([*SERVER.to_dict(SEAL), "app_id"]), json_values))
def test_a_broken_state_is_refused_and_never_crashes(changes):
    try:
        server = restored({**SERVER.to_dict(SEAL), **changes})
    except StateError:
        return
    assert server is None or isinstance(server.application_id, str)


def test_a_stop_that_has_begun_is_known_to_the_next_run_of_the_hub():
    assert restored(SERVER.submitted("application_1_0001").stopped().to_dict(SEAL)).stopping


@pytest.mark.parametrize("broken", [[], "gone", 4, [1, 2]])
def test_what_is_no_mapping_is_refused(broken):
    with pytest.raises(StateError):
        restored(broken)


def test_a_state_without_the_newer_fields_is_complete():
    old = {name: value for name, value in SERVER.to_dict(SEAL).items() if name not in {"container", "ends", "stopping"}}
    assert restored(old) == SERVER


def test_a_server_whose_state_was_lost_can_be_watched_and_ended():
    server = restored(ServerState.found("application_1_0001", "alice", "default").to_dict(SEAL))
    assert (server.application_id, server.hadoop_user, server.credentials) == ("application_1_0001", "alice", None)


def test_new_credentials_are_a_pair_in_skeins_name_that_a_late_clock_accepts():
    made = Credentials.new()
    certificate = x509.load_pem_x509_certificate(made.certificate)
    key = serialization.load_pem_private_key(made.key, None)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=skein-internal"
    assert certificate.not_valid_before_utc < datetime.now(timezone.utc) - timedelta(minutes=50)
    assert made.key != Credentials.new().key


# Sealed with the secret b"x" by the first release that seals.
SEALED = (
    "gAAAAABrCSHm96c-JjnvWewFLKVTJeSToj5TI9cYmABS1A9r78QmVT5BaqyUA7rPB2LYdrV5EMFfkS54WMydtUT3X7koISMly3v0Lb4xE9k-Uiy5"
    "y-whz1k="
)


def test_an_upgraded_hub_opens_stored_states():
    """A changed key derivation would make every stored state unreadable."""
    assert Seal(b"x").open(SEALED) == {"key": "s3cret"}
    assert Seal(b"x").hub_id == "fbc3937d3f87030e20d89610aba65c0b"


def test_the_hubs_id_is_no_part_of_its_key():
    """The id is in the clear in logs and states, so the key is derived for another purpose."""
    seal = Seal(b"x")
    assert bytes.fromhex(seal.hub_id) not in seal._derive(b"yarnspawner state", 32)
    with pytest.raises(InvalidToken):
        Fernet(base64.urlsafe_b64encode(seal._derive(b"yarnspawner hub id", 32))).decrypt(SEALED)


def test_a_start_records_its_hub():
    """The hub that started a server is kept, and the start's id cannot be met by chance."""
    server = ServerState.new("alice", "default", SERVER.credentials, hub="h")
    assert restored(server.to_dict(SEAL)).hub == "h"
    assert len(server.start_id) == 32
