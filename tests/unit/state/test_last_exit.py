"""The last exit: stored, logged once, cleared at the next start."""

import logging

from yarnspawner.skein_driver import Report
from yarnspawner.state.last_exit import RememberingSpawner

LOST = Report("application_1_0001", state="FAILED", final_status="FAILED", diagnostics="exitCode: -100")


class Base:
    """Stands in for JupyterHub's Spawner."""

    log = logging.getLogger(__name__)
    _log_name = "alice"

    def get_state(self):
        return {"other": 1}

    def load_state(self, state):
        pass


class Spawner(RememberingSpawner, Base):
    pass


def test_restored_after_hub_restart():
    """A restarted hub reads the last exit from the state, until it is cleared."""
    spawner, other = Spawner(), Spawner()
    assert spawner.get_state() == {"other": 1}
    spawner.note_end(LOST)
    kept = spawner.get_state()["last_end"]
    assert "The node on which the server ran was lost" in kept["said"]
    other.load_state(spawner.get_state())
    assert other.get_state()["last_end"] == kept
    other.forget_end()
    assert other.get_state() == {"other": 1}


def test_logged_once(caplog):
    """Recording the same exit twice logs it once."""
    spawner = Spawner()
    spawner.note_end(LOST)
    spawner.note_end(LOST)
    assert caplog.text.count("application_1_0001 of alice has ended") == 1


def test_memory_in_message():
    """The message names the memory limit that the server exceeded."""
    spawner = Spawner()
    killed = "Application driver failed with exit code 143."
    spawner.note_end(Report("application_1_0001", state="FINISHED", final_status="FAILED", diagnostics=killed), "1 GiB")
    assert "used more memory than its limit of 1 GiB." in spawner.get_state()["last_end"]["said"]


def test_success_is_not_recorded():
    """A server that succeeded has no last exit."""
    spawner = Spawner()
    spawner.note_end(Report("application_1_0001", state="FINISHED", final_status="SUCCEEDED"))
    assert "last_end" not in spawner.get_state()


def test_invalid_state_is_ignored():
    """An invalid stored exit is dropped."""
    spawner = Spawner()
    spawner.load_state({"last_end": "yesterday"})
    assert "last_end" not in spawner.get_state()
