"""What is kept of a server for a hub that restarts."""

import base64
import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from yarnspawner.state.server_state import Credentials, Seal, ServerState, StateError

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


def test_all_of_a_server_is_kept():
    """Each fact of a server comes back, and the secrets are in none of the facts."""
    server = ServerState.new(
        "alice", "q", SERVER.credentials, container="service", hub="h", settings={"gpus": 1}
    ).submitted("application_1_0001")
    server = server.arrived("https://[fd00::7]:4000").ending_at(1234.5).stopped()
    assert restored(server.to_dict(SEAL)) == server
    assert server.facts() == {
        "version": 1,
        "start_id": server.start_id,
        "hadoop_user": "alice",
        "queue": "q",
        "application_id": "application_1_0001",
        "url": "https://[fd00::7]:4000",
        "container": "service",
        "ends": 1234.5,
        "stopping": True,
        "hub": "h",
    }
    assert server.to_dict(SEAL).keys() - server.facts().keys() == {"sealed"}


def test_a_new_server_has_not_begun():
    """A start begins in the application master's container, without an end, an address or settings."""
    server = ServerState.new("alice", "default", SERVER.credentials)
    assert (server.application_id, server.url, server.container, server.ends) == ("", "", "master", 0)
    assert (server.stopping, server.hub, server.settings) == (False, "", {})


def test_a_lost_server_has_no_secrets():
    """There is nothing to seal of a server that was found by its application."""
    server = ServerState.found("application_1_0001", "alice", "q")
    assert "sealed" not in server.to_dict(SEAL)
    assert (server.start_id, server.queue) == ("", "q")
    assert restored(server.to_dict(SEAL)) == server


def test_a_start_is_the_same_for_its_whole_life():
    """A start is told by its own name; a server that was found, by its application."""
    other = ServerState.new("alice", "default", SERVER.credentials)
    assert SERVER.is_same(SERVER.submitted("application_1_0001").stopped())
    assert not SERVER.is_same(other)
    assert not SERVER.is_same(None)
    found = ServerState.found("application_1_0001", "alice", "default")
    assert found.is_same(SERVER.submitted("application_1_0001"))
    assert not found.is_same(ServerState.found("application_1_0002", "alice", "default"))
    assert not SERVER.submitted("application_1_0001").is_same(found)


@pytest.mark.parametrize("ends", [0, 1, 0.5, 253402300799])
def test_an_end_may_be_any_date(ends):
    """An end is a time since 1970, before the year 10000; 0 is none."""
    assert restored({**SERVER.to_dict(SEAL), "ends": ends}).ends == ends


@pytest.mark.parametrize("ends", [-1, -0.5, 253402300800, float("nan"), True, "1", None])
def test_an_end_that_is_no_date_is_refused(ends):
    """The hub shows an end as a date, so it must be one."""
    with pytest.raises(StateError, match="ends"):
        restored({**SERVER.to_dict(SEAL), "ends": ends})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("application_id", "application_1"),
        ("application_id", "application_1_1/../x"),
        ("url", "ftp://node:1"),
        ("url", "http://node"),
        ("url", "http://evil@node:1"),
        ("container", "other"),
        ("container", ""),
        ("hub", None),
        ("queue", 5),
        ("start_id", None),
        ("hadoop_user", ["alice"]),
    ],
)
def test_a_broken_fact_is_refused(name, value):
    """The message names the field."""
    with pytest.raises(StateError, match=name):
        restored({**SERVER.to_dict(SEAL), name: value})


@pytest.mark.parametrize("name", ["start_id", "hadoop_user", "queue", "application_id", "url"])
def test_a_missing_fact_is_refused(name):
    """All versions wrote these fields."""
    document = SERVER.to_dict(SEAL)
    del document[name]
    with pytest.raises(StateError, match=name):
        restored(document)


def test_names_may_have_any_characters():
    """A queue and an account are texts, which YARN checks."""
    assert restored({**SERVER.to_dict(SEAL), "queue": "root.a b\nc"}).queue == "root.a b\nc"


@pytest.mark.parametrize("version", [None, 0, ""])
def test_a_state_without_a_version_is_no_server(version):
    """JupyterHub may keep other things in a state."""
    assert restored({"version": version, "start_id": "x"}) is None


@pytest.mark.parametrize("stopping", [1, "yes", "", None, False])
def test_only_true_is_a_stop(stopping):
    """Another value does not stop a server."""
    assert restored({**SERVER.to_dict(SEAL), "stopping": stopping}).stopping is False


@pytest.mark.parametrize("app_id", ["", None])
def test_a_server_of_version_0_4_0_without_an_application_is_none(app_id):
    """0.4.0 wrote an empty id after a server had ended."""
    assert restored({"app_id": app_id}) is None


def test_a_server_of_version_0_4_0_has_nothing_but_its_application():
    """Its other facts are unknown, and a broken id is refused."""
    expected = ServerState.found("application_1_0001", "alice", "")
    assert restored({"app_id": "application_1_0001"}) == expected
    with pytest.raises(StateError, match="application_id"):
        restored({"app_id": "application"})


def test_secrets_of_an_earlier_version_have_no_settings():
    """Credentials that were sealed without settings are complete."""
    sealed = SEAL.close({"certificate": "C", "key": "K"})
    server = restored({**SERVER.to_dict(SEAL), "sealed": sealed})
    assert (server.credentials, server.settings) == (Credentials(b"C", b"K"), {})


@pytest.mark.parametrize(
    "content",
    [{}, [], {"certificate": "C"}, {"certificate": "C", "key": 5}, {"certificate": "C", "key": "K", "settings": 5}],
)
def test_secrets_of_another_shape_are_none(content):
    """The application is still known."""
    server = restored({**SERVER.to_dict(SEAL), "sealed": SEAL.close(content)})
    assert (server.start_id, server.credentials, server.settings) == (SERVER.start_id, None, {})


def test_a_seal_is_made_once():
    """Deriving the key for thousands of servers takes time."""
    assert Seal.of(b"x") is Seal.of(b"x")
    assert Seal.of(b"x").open(SEALED) == {"key": "s3cret"}


@pytest.fixture
def far_away(monkeypatch):
    """A hub nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_away")
def test_new_credentials_are_valid_for_a_year():
    """They are valid at once in each time zone, last as long as skein's own, and are signed by themselves."""
    certificate = x509.load_pem_x509_certificate(Credentials.new().certificate)
    now = datetime.now(timezone.utc)
    assert timedelta(minutes=59) < now - certificate.not_valid_before_utc < timedelta(minutes=61)
    assert timedelta(days=364) < certificate.not_valid_after_utc - now <= timedelta(days=365)
    certificate.verify_directly_issued_by(certificate)
