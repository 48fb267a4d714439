"""What is kept of a server's end that nobody had asked for."""

import pytest

from tests.support.one_application import ID, OneApplication
from yarnspawner.launch.exits import record_exit
from yarnspawner.skein_driver import Report

LOST = Report(ID, state="FAILED", final_status="FAILED", diagnostics="exitCode: -100")


@pytest.fixture
async def spawner(spawner_on):
    return spawner_on(OneApplication())


def record(spawner, report, memory=""):
    record_exit(spawner.record, spawner.hub_context, report, memory)


async def test_once(spawner, caplog):
    """An end is explained, stored, and logged once."""
    for _ in range(2):
        record(spawner, LOST)
    assert "The node on which the server ran was lost" in spawner.get_state()["last_end"]["said"]
    assert caplog.text.count(f"{ID} of alice has ended") == 1


async def test_memory(spawner):
    """It says how much memory was not enough."""
    killed = "Application driver failed with exit code 143."
    record(spawner, Report(ID, state="FINISHED", final_status="FAILED", diagnostics=killed), "1 GiB")
    assert "used more memory than its limit of 1 GiB." in spawner.get_state()["last_end"]["said"]


async def test_success(spawner):
    """A server that ended as it wanted to needs no explanation."""
    record(spawner, Report(ID, state="FINISHED", final_status="SUCCEEDED"))
    assert "last_end" not in spawner.get_state()
