"""Why a server ended: stored, read by another run of the hub, and forgotten at the next start."""

from datetime import datetime, timezone

from yarnspawner.state.last_exit import LastExit

ID = "application_1_0001"


def test_stored():
    """It is stored, found by another run of the hub, and cleared by a start."""
    exit_, other = LastExit(), LastExit()
    assert exit_.to_dict() == {}
    exit_.record(ID, "The node is gone.", datetime(2026, 11, 27, 12, tzinfo=timezone.utc), code="node-lost")
    kept = exit_.to_dict()["last_end"]
    assert (kept["said"], kept["application_id"]) == ("The node is gone.", ID)
    assert kept["when"].startswith("2026-11-2")
    other.load(exit_.to_dict())
    assert other.to_dict() == exit_.to_dict()
    assert other.code == "node-lost"
    assert other.is_of(ID) and not other.is_of("application_1_0002")
    other.clear()
    assert other.to_dict() == {}
    assert not other.is_of(ID)


def test_broken():
    """A broken state tells of no end."""
    exit_ = LastExit()
    exit_.load({"last_end": "yesterday"})
    assert exit_.to_dict() == {}
