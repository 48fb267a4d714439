"""Stored states of servers: written, sealed and read again."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yarnspawner.state.credentials import Credentials
from yarnspawner.state.seal import Seal
from yarnspawner.state.server_state import ServerState, StateError

SEAL = Seal(b"cookie secret")
SETTINGS = {"environment": {"TOKEN": "s3cret"}, "stop_timeout": 60}
SERVER = ServerState.new("alice", "default", Credentials(b"CERTIFICATE", b"PRIVATE KEY"), settings=SETTINGS)


def restored(document, seal=SEAL):
    # JupyterHub stores the state as JSON.
    return ServerState.from_dict(json.loads(json.dumps(document)), seal, hub_user="alice")


def test_round_trip():
    """A state is read as it was written, settings included."""
    server = SERVER.with_application_id("application_1_0001").with_url("http://node:4000")
    assert restored(server.to_dict(SEAL)) == server
    assert restored(server.to_dict(SEAL)).settings == {"environment": {"TOKEN": "s3cret"}, "stop_timeout": 60}


def test_secrets_are_sealed():
    """Credentials and settings are not stored in clear text."""
    text = json.dumps(SERVER.to_dict(SEAL))
    assert "CERTIFICATE" not in text and "PRIVATE" not in text and "s3cret" not in text


def test_wrong_secret():
    """With another secret, the credentials are lost, and the application is still known."""
    server = restored(SERVER.with_application_id("application_1_0001").to_dict(SEAL), Seal(b"another"))
    assert server.application_id == "application_1_0001"
    assert server.credentials is None


def test_empty_state():
    """An empty state describes no server."""
    assert restored({}) is None


def test_state_of_0_4_0():
    """A state of 0.4.0 gives the application's id and the user."""
    server = restored({"app_id": "application_1_0001"})
    assert (server.application_id, server.hadoop_user) == ("application_1_0001", "alice")
    assert restored({"app_id": "PENDING"}) is None


def test_later_version_is_refused():
    """A state of a later version is refused, and the message names that version."""
    with pytest.raises(StateError, match="version 2"):
        restored({**SERVER.to_dict(SEAL), "version": 2})


def test_start_ids_differ():
    """Each start has an id of its own."""
    assert SERVER.start_id != ServerState.new("alice", "default", SERVER.credentials).start_id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)  # a busy machine must not fail the test
@given(st.dictionaries(st.sampled_from([*SERVER.to_dict(SEAL), "app_id"]), json_values))
def test_invalid_state_is_refused(changes):
    """An invalid state raises nothing but StateError."""
    try:
        server = restored({**SERVER.to_dict(SEAL), **changes})
    except StateError:
        return
    assert server is None or isinstance(server.application_id, str)


def test_stop_request_is_stored():
    """A restarted hub knows that a stop was requested."""
    assert restored(SERVER.with_application_id("application_1_0001").with_stop_requested().to_dict(SEAL)).stopping


@pytest.mark.parametrize("broken", [[], "gone", 4, [1, 2]])
def test_non_mapping_is_refused(broken):
    """A state must be a mapping."""
    with pytest.raises(StateError):
        restored(broken)


def test_newer_fields_are_optional():
    """A state without the newer fields gets their defaults."""
    old = {name: value for name, value in SERVER.to_dict(SEAL).items() if name not in {"container", "ends", "stopping"}}
    assert restored(old) == SERVER


def test_recovered_server():
    """A recovered server has an application and a user, but no credentials."""
    server = restored(ServerState.recovered("application_1_0001", "alice", "default").to_dict(SEAL))
    assert (server.application_id, server.hadoop_user, server.credentials) == ("application_1_0001", "alice", None)


def test_hub_is_stored():
    """The state has the hub's id, and a start id of 128 bits."""
    server = ServerState.new("alice", "default", SERVER.credentials, hub="h")
    assert restored(server.to_dict(SEAL)).hub == "h"
    assert len(server.start_id) == 32


def test_all_fields_are_stored():
    """Every field is stored, and the public fields contain no secrets."""
    server = ServerState.new(
        "alice", "q", SERVER.credentials, container="service", hub="h", settings={"gpus": 1}
    ).with_application_id("application_1_0001")
    server = server.with_url("https://[fd00::7]:4000", "node").with_end_time(1234.5).with_stop_requested()
    assert restored(server.to_dict(SEAL)) == server
    assert server.public_dict() == {
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
        "notebooks": "node",
    }
    assert server.to_dict(SEAL).keys() - server.public_dict().keys() == {"sealed"}


def test_defaults_of_new_server():
    """A new server has no address, end time or settings."""
    server = ServerState.new("alice", "default", SERVER.credentials)
    assert (server.application_id, server.url, server.container, server.ends) == ("", "", "master", 0)
    assert (server.stopping, server.hub, server.settings) == (False, "", {})


def test_recovered_server_is_not_sealed():
    """A recovered server has nothing to seal."""
    server = ServerState.recovered("application_1_0001", "alice", "q")
    assert "sealed" not in server.to_dict(SEAL)
    assert (server.start_id, server.queue) == ("", "q")
    assert restored(server.to_dict(SEAL)) == server


def test_is_same():
    """States are compared by start id, or by application id if there is none."""
    other = ServerState.new("alice", "default", SERVER.credentials)
    assert SERVER.is_same(SERVER.with_application_id("application_1_0001").with_stop_requested())
    assert not SERVER.is_same(other)
    assert not SERVER.is_same(None)
    found = ServerState.recovered("application_1_0001", "alice", "default")
    assert found.is_same(SERVER.with_application_id("application_1_0001"))
    assert not found.is_same(ServerState.recovered("application_1_0002", "alice", "default"))
    assert not SERVER.with_application_id("application_1_0001").is_same(found)


@pytest.mark.parametrize("ends", [0, 1, 0.5, 253402300799])
def test_valid_end_times(ends):
    """An end time is 0 or a date before the year 10000."""
    assert restored({**SERVER.to_dict(SEAL), "ends": ends}).ends == ends


@pytest.mark.parametrize("ends", [-1, -0.5, 253402300800, float("nan"), True, "1", None])
def test_invalid_end_times(ends):
    """The hub shows the end time as a date, so it must be one."""
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
def test_invalid_field_is_named(name, value):
    """The message names the invalid field."""
    with pytest.raises(StateError, match=name):
        restored({**SERVER.to_dict(SEAL), name: value})


@pytest.mark.parametrize("name", ["start_id", "hadoop_user", "queue", "application_id", "url"])
def test_missing_field_is_named(name):
    """The message names the missing field."""
    document = SERVER.to_dict(SEAL)
    del document[name]
    with pytest.raises(StateError, match=name):
        restored(document)


def test_queue_accepts_any_text():
    """YARN validates queues and accounts, not the state."""
    assert restored({**SERVER.to_dict(SEAL), "queue": "root.a b\nc"}).queue == "root.a b\nc"


@pytest.mark.parametrize("version", [None, 0, ""])
def test_state_without_version(version):
    """A state without a version describes no server."""
    assert restored({"version": version, "start_id": "x"}) is None


@pytest.mark.parametrize("stopping", [1, "yes", "", None, False])
def test_stopping_must_be_true(stopping):
    """Any value but True means that no stop was requested."""
    assert restored({**SERVER.to_dict(SEAL), "stopping": stopping}).stopping is False


@pytest.mark.parametrize("app_id", ["", None])
def test_empty_state_of_0_4_0(app_id):
    """0.4.0 wrote an empty id after a server had ended."""
    assert restored({"app_id": app_id}) is None


def test_unknown_fields_of_0_4_0():
    """The other fields are empty, and an invalid id is refused."""
    expected = ServerState.recovered("application_1_0001", "alice", "")
    assert restored({"app_id": "application_1_0001"}) == expected
    with pytest.raises(StateError, match="application_id"):
        restored({"app_id": "application"})


def test_sealed_without_settings():
    """Earlier versions sealed credentials without settings."""
    sealed = SEAL.seal({"certificate": "C", "key": "K"})
    server = restored({**SERVER.to_dict(SEAL), "sealed": sealed})
    assert (server.credentials, server.settings) == (Credentials(b"C", b"K"), {})


@pytest.mark.parametrize(
    "content",
    [{}, [], {"certificate": "C"}, {"certificate": "C", "key": 5}, {"certificate": "C", "key": "K", "settings": 5}],
)
def test_invalid_sealed_content(content):
    """Invalid sealed content loses only credentials and settings."""
    server = restored({**SERVER.to_dict(SEAL), "sealed": SEAL.seal(content)})
    assert (server.start_id, server.credentials, server.settings) == (SERVER.start_id, None, {})
