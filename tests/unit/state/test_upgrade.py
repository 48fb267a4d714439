"""States that earlier commits have written are read as they were meant."""

import json
from pathlib import Path

from yarnspawner.state.last_exit import LastExit
from yarnspawner.state.record import ServerRecord
from yarnspawner.state.seal import Seal

# Written by commit 7b7676f.
STATE = json.loads((Path(__file__).parent / "samples" / "state-7b7676f.json").read_text())
SEAL = Seal(b"the cookie secret of an older hub")


def record():
    return ServerRecord(lambda: SEAL, lambda server: None, LastExit())


def test_read():
    """A running server is known with all its facts, its secrets and what its user chose."""
    read = record()
    read.load(STATE, hub_user="alice")
    server = read.server
    assert (server.application_id, server.hadoop_user, server.queue) == (
        "application_1795769645226_0004",
        "alice",
        "root.analysts",
    )
    assert (server.url, server.container, server.ends) == (
        "http://worker1.example.com:40123",
        "service",
        1800000000.0,
    )
    assert server.credentials.key == b"-----KEY-----"
    assert server.settings == {"mem_limit": 2**31, "queue": "root.analysts", "environment": {"A": "1"}}
    assert read.last_exit.is_of("application_1795769645226_0001")


def test_write():
    """What is written again has the same keys and values; only the seal differs."""
    read = record()
    read.load(STATE, hub_user="alice")
    again = read.to_dict()
    assert {**again, "sealed": ""} == {**{key: STATE[key] for key in again}, "sealed": ""}
    assert set(STATE) - set(again) == {"profile"}  # which is the user's choice
