"""The last starts of a server."""

from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.state.start_history import StartHistory, read_starts


def server(number: int) -> ServerState:
    return ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(f"application_1_{number:04}")


def test_last_five() -> None:
    """Five starts are kept, with the first cause of each, and read by another run of the hub."""
    history, other = StartHistory(), StartHistory()
    assert history.to_dict() == {}
    for number in range(7):
        history.begin(server(number))
        history.begin(server(number))
    history.end("application_1_0006", code="node-lost", message="The node is gone.")
    history.end("application_1_0006")
    other.load(history.to_dict())
    starts = read_starts(other.to_dict())
    assert [start["application_id"][-1] for start in starts] == ["2", "3", "4", "5", "6"]
    assert (starts[-1]["code"], starts[-1]["said"]) == ("node-lost", "The node is gone.")
    assert "ended" not in starts[0]


def test_broken() -> None:
    """A broken state has no starts."""
    for state in (None, [], {"starts": 5}, {"starts": [None, {}, {"application_id": 5}]}):
        assert read_starts(state) == []
