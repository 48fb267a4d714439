"""How a server ended that nobody had stopped: kept, said once, and forgotten at the next start."""

import logging

from yarnspawner.skein_driver import Report
from yarnspawner.state.last_exit import RememberingSpawner

LOST = Report("application_1_0001", state="FAILED", final_status="FAILED", diagnostics="exitCode: -100")


class Base:
    """Stands for JupyterHub's spawner."""

    log = logging.getLogger(__name__)
    _log_name = "alice"

    def get_state(self):
        return {"other": 1}

    def load_state(self, state):
        pass


class Spawner(RememberingSpawner, Base):
    pass


def test_it_is_in_the_state_and_found_there_by_another_run():
    spawner, other = Spawner(), Spawner()
    assert spawner.get_state() == {"other": 1}
    spawner.note_end(LOST)
    kept = spawner.get_state()["last_end"]
    assert "The node on which the server ran is gone" in kept["said"]
    other.load_state(spawner.get_state())
    assert other.get_state()["last_end"] == kept
    other.forget_end()
    assert other.get_state() == {"other": 1}


def test_it_is_said_once(caplog):
    spawner = Spawner()
    spawner.note_end(LOST)
    spawner.note_end(LOST)
    assert caplog.text.count("application_1_0001 of alice has ended") == 1


def test_it_says_how_much_memory_was_not_enough():
    spawner = Spawner()
    killed = "Application driver failed with exit code 143."
    spawner.note_end(Report("application_1_0001", state="FINISHED", final_status="FAILED", diagnostics=killed), "1 GiB")
    assert "used more memory than the 1 GiB that it was given." in spawner.get_state()["last_end"]["said"]


def test_a_server_that_ended_in_order_needs_no_words():
    spawner = Spawner()
    spawner.note_end(Report("application_1_0001", state="FINISHED", final_status="SUCCEEDED"))
    assert "last_end" not in spawner.get_state()


def test_a_broken_state_says_nothing():
    spawner = Spawner()
    spawner.load_state({"last_end": "yesterday"})
    assert "last_end" not in spawner.get_state()
