"""A server's address is in the store before skein's script knows the store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from yarnspawner.common.early_start import REGISTRATION_VARIABLE

# The container's first process: a web page on one port, and perhaps the store on another one. What it is given runs in a
# child, as a server does. Prints the store's values when the child has ended.
MASTER = """
import os, socket, subprocess, sys, threading
from pathlib import Path
from tests.unit.singleuser.surroundings import ApplicationMaster

page = socket.create_server(("0.0.0.0", 0))
def answer():
    while True:
        connection, _ = page.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
        connection.close()
threading.Thread(target=answer, daemon=True).start()

master = ApplicationMaster(Path(sys.argv[1]), "0.0.0.0" if sys.argv[2] == "store" else "127.0.0.1")
os.environ |= master.environment
os.environ["SKEIN_APPMASTER_ADDRESS"] = ""
done = subprocess.run([sys.executable, "-c", sys.argv[3]], capture_output=True, text=True)
print(done.stdout, done.stderr, master.values)
"""

SERVER = """
import os, socket, time
from yarnspawner.singleuser.early_publication import publish_early
from yarnspawner.singleuser.store import Store

store = Store()
server = socket.create_server(("127.0.0.1", PORT))
began = time.monotonic()
publish_early(store, {"a": b"1", "b": b"2"}, [server], "node7")
print("returned", round(time.monotonic() - began))
print("address", os.environ["SKEIN_APPMASTER_ADDRESS"])
"""


@pytest.fixture
def registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(REGISTRATION_VARIABLE, str(tmp_path / "registration"))
    return tmp_path / "registration"


@contextmanager
def container(tmp_path: Path, kind: str, port: int) -> Iterator[subprocess.Popen[str]]:
    program = textwrap.dedent(SERVER).replace("PORT", str(port))
    process = subprocess.Popen(
        [sys.executable, "-c", MASTER, str(tmp_path), kind, program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def connect_when_listening(port: int) -> None:
    """Connect a second after somebody listens, as a hub does."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                time.sleep(0.05)
                continue
        return


def test_published(tmp_path: Path, registration: Path) -> None:
    """The values are in the store, and the wait ends with the hub's first connection."""
    port = free_port()
    with container(tmp_path, "store", port) as process:
        hub = threading.Thread(target=connect_when_listening, args=[port])
        hub.start()
        said, _ = process.communicate(timeout=60)
        hub.join()
    assert "address node7:" in said
    assert "{'a': b'1', 'b': b'2'}" in said


def test_no_store(tmp_path: Path, registration: Path) -> None:
    """Without a store that can be reached, the wait ends with the registration."""
    timer = threading.Timer(5, lambda: registration.write_text("SKEIN_APPMASTER_ADDRESS=node:1\n"))
    timer.start()
    with container(tmp_path, "none", free_port()) as process:
        said, _ = process.communicate(timeout=60)
    timer.join()
    assert "returned" in said and "address \n" in said
    assert said.rstrip().endswith("{}")


def test_registered(tmp_path: Path, registration: Path) -> None:
    """A server of a master that has registered publishes nothing here."""
    registration.write_text("SKEIN_APPMASTER_ADDRESS=node:1\n")
    with container(tmp_path, "store", free_port()) as process:
        said, _ = process.communicate(timeout=60)
    assert "returned 0" in said
    assert said.rstrip().endswith("{}")
