"""A server that starts before its application master has registered."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster
from tests.unit.singleuser.test_server_recipe import AS_ROOT, LONG, RECIPE, request
from yarnspawner.common.early_start import REGISTRATION_VARIABLE
from yarnspawner.common.protocol import ADDRESS_KEY, ERROR_KEY, STOP_KEY, Address, Failure, StopRequest
from yarnspawner.singleuser.registration import NotRegistered, await_registration, registration_pending

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(REGISTRATION_VARIABLE, str(tmp_path / "registration"))
    return tmp_path / "registration"


def early(start: Start, registration: Path, *options: str) -> subprocess.Popen[str]:
    """Start a recipe without skein's variables, but the application's id, which YARN's shell knows."""
    return start(
        RECIPE,
        *AS_ROOT,
        *options,
        SKEIN_APPMASTER_ADDRESS="",
        YARNSPAWNER_REGISTRATION=str(registration),
    )


def register(master: ApplicationMaster, registration: Path) -> None:
    text = f"SKEIN_APPMASTER_ADDRESS={master.environment['SKEIN_APPMASTER_ADDRESS']}\nSKEIN_RESOURCE_VCORES=1\n"
    registration.with_suffix(".new").write_text(text)
    registration.with_suffix(".new").rename(registration)


def test_server_waits_with_its_address(master: ApplicationMaster, start: Start, registration: Path) -> None:
    """It is ready before, and publishes its address as soon as there is a store."""
    server = early(start, registration)
    time.sleep(4)
    assert server.poll() is None
    assert not master.requests
    register(master, registration)
    address = Address.from_bytes(master.wait(ADDRESS_KEY))
    assert request(address.port, "/kernels") == []
    master.values[STOP_KEY] = StopRequest("Asked by a test", 20).to_bytes()
    log, _ = server.communicate(timeout=LONG)
    assert server.returncode == 0, log
    assert "Traceback" not in log


def test_failure_waits(master: ApplicationMaster, start: Start, registration: Path) -> None:
    """A server that cannot start says why once there is a store."""
    server = early(start, registration, "--ServerApp.port=nonsense")
    time.sleep(3)
    register(master, registration)
    assert "nonsense" in Failure.from_bytes(master.wait(ERROR_KEY)).message
    master.values[STOP_KEY] = b"seen"
    server.communicate(timeout=LONG)
    assert server.returncode == 1


def test_variables(registration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables are set from the file. Nothing happens in a script that skein started."""
    monkeypatch.setenv("SKEIN_APPMASTER_ADDRESS", "")
    assert registration_pending()
    registration.write_text("SKEIN_APPMASTER_ADDRESS=node:1\nSKEIN_OTHER=a=b\n")
    assert not registration_pending()
    code = (
        "import os\nfrom yarnspawner.singleuser.registration import await_registration\nawait_registration()\n"
        "print(os.environ['SKEIN_APPMASTER_ADDRESS'], os.environ['SKEIN_OTHER'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LONG)
    assert done.stdout == "node:1 a=b\n"
    monkeypatch.delenv(REGISTRATION_VARIABLE)
    assert not registration_pending()
    await_registration()


def test_container_ends(registration: Path) -> None:
    """Nobody waits for an application master that has ended: the first process of its container."""
    code = (
        "import os, subprocess, sys\n"
        "waits = 'from yarnspawner.singleuser.registration import await_registration; await_registration()'\n"
        "subprocess.Popen([sys.executable, '-c', waits])\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=LONG)
    assert NotRegistered.__name__ in errors
