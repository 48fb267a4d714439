"""The server recipe, from its start in the container to its end, with the store and the hub of conftest.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster, hub
from yarnspawner.common.protocol import (
    ADDRESS_KEY,
    ERROR_KEY,
    STATUS_KEY,
    STOP_KEY,
    Address,
    Failure,
    StopRequest,
    Waiting,
)

RECIPE = "yarnspawner.singleuser"
AS_ROOT = ["--allow-root"] if os.getuid() == 0 else []
# Seconds; only a test that fails takes that long.
LONG = 90
Start = Callable[..., "subprocess.Popen[str]"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def request(port: int, path: str, data: bytes | None = None) -> Any:
    """Ask a server on this machine, as alice."""
    url = f"http://127.0.0.1:{port}/user/alice/api{path}"
    asked = urllib.request.Request(url, data, {"Authorization": "token a-token-of-alice"})
    with urllib.request.urlopen(asked, timeout=LONG) as response:  # noqa: S310
        return json.load(response)


@pytest.mark.parametrize("recipe", [RECIPE, "yarnspawner.jupyter_labhub"])
def test_start_and_stop(master: ApplicationMaster, start: Start, recipe: str) -> None:
    """A server responds at the address that it publishes, and shuts down its kernels when the hub asks."""
    server = start(recipe, *AS_ROOT)
    address = Address.from_bytes(master.wait(ADDRESS_KEY))
    assert (address.scheme, address.host) == ("http", "node7.example.com")
    assert request(address.port, "/kernels", b"{}")["execution_state"]
    master.values[STOP_KEY] = StopRequest("Asked by a test", 20).to_bytes()
    log, _ = server.communicate(timeout=LONG)
    assert server.returncode == 0, log
    assert "Stopping: Asked by a test" in log
    assert "Shutting down 1 kernel\n" in log
    assert "a-token-of-alice" not in log
    assert ERROR_KEY not in master.values


def test_server_without_extension(master: ApplicationMaster, start: Start) -> None:
    """JupyterHub's older server, which is no extension, starts and stops as well."""
    server = start(RECIPE, *AS_ROOT, JUPYTERHUB_SINGLEUSER_EXTENSION="0")
    address = Address.from_bytes(master.wait(ADDRESS_KEY))
    assert request(address.port, "/kernels") == []
    master.values[STOP_KEY] = StopRequest("Asked by a test", 20).to_bytes()
    server.communicate(timeout=LONG)
    assert server.returncode == 0


def test_free_port_of_range(master: ApplicationMaster, start: Start) -> None:
    """A server takes a free port of its range."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        start(RECIPE, *AS_ROOT, YARNSPAWNER_PORT_RANGE=f"{first}:{first + 1}")
        port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    assert port == first + 1
    assert request(port, "")["version"]


def test_full_port_range(master: ApplicationMaster, start: Start) -> None:
    """A server whose ports are all in use publishes an error and exits."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(RECIPE, YARNSPAWNER_PORT_RANGE=f"{port}:{port}")
        failure = Failure.from_bytes(master.wait(ERROR_KEY))
    assert failure.message == f"Port {port} is in use on this node."
    master.values[STOP_KEY] = b"seen"
    server.communicate(timeout=LONG)
    assert server.returncode == 1


def test_port_argument_wins(master: ApplicationMaster, start: Start) -> None:
    """A port in the arguments has precedence over the range."""
    asked, ranged = free_port(), free_port()
    start(RECIPE, *AS_ROOT, f"--port={asked}", YARNSPAWNER_PORT_RANGE=f"{ranged}:{ranged}")
    assert Address.from_bytes(master.wait(ADDRESS_KEY)).port == asked
    assert request(asked, "")["version"]


def test_port_argument_zero(master: ApplicationMaster, start: Start) -> None:
    """Port 0 in the arguments means any free port."""
    start(RECIPE, *AS_ROOT, "--ServerApp.port=0")
    assert request(Address.from_bytes(master.wait(ADDRESS_KEY)).port, "")["version"]


@pytest.mark.parametrize("extension", ["1", "0"])
def test_bad_option_is_published(master: ApplicationMaster, start: Start, extension: str) -> None:
    """The error about a bad option contains the option and its value."""
    start(RECIPE, *AS_ROOT, "--ServerApp.port=many", JUPYTERHUB_SINGLEUSER_EXTENSION=extension)
    failure = Failure.from_bytes(master.wait(ERROR_KEY))
    assert failure.message.startswith("Jupyter did not start: ")
    assert "port" in failure.message
    assert "many" in failure.message


@pytest.mark.skipif(os.getuid() != 0, reason="this is about root")
@pytest.mark.parametrize("extension", ["1", "0"])
def test_root_is_refused(master: ApplicationMaster, start: Start, extension: str) -> None:
    """Jupyter's refusal to run as root is published as an error."""
    start(RECIPE, JUPYTERHUB_SINGLEUSER_EXTENSION=extension)
    failure = Failure.from_bytes(master.wait(ERROR_KEY))
    assert "Running as root" in failure.message
    assert ADDRESS_KEY not in master.values


def test_a_missing_package_is_named(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """The error about a missing package contains the package and the environment."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "jupyter_server.py").write_text("raise ModuleNotFoundError('gone', name='jupyter_server')")
    start(RECIPE, PYTHONPATH=str(hidden))
    failure = Failure.from_bytes(master.wait(ERROR_KEY))
    assert "has no package 'jupyter_server'" in failure.message
    assert sys.prefix in failure.message


@pytest.mark.parametrize("extension", ["1", "0"])
def test_unreachable_hub(master: ApplicationMaster, start: Start, extension: str) -> None:
    """A server that cannot reach the hub publishes a status and then an error, both without the token."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/a-token-of-alice"
    start(
        RECIPE,
        *AS_ROOT,
        JUPYTERHUB_API_URL=api,
        JUPYTERHUB_SINGLEUSER_EXTENSION=extension,
        YARNSPAWNER_START_TIMEOUT="2",
    )
    waiting = Waiting.from_bytes(master.wait(STATUS_KEY))
    assert waiting.message.startswith(f"The server's node cannot reach the hub at 127.0.0.1:{port} yet (")
    failure = Failure.from_bytes(master.wait(ERROR_KEY, timeout=LONG))
    assert f"Cannot connect to the hub at 127.0.0.1:{port}: Connection refused." in failure.message
    assert b"a-token-of-alice" not in b"".join(master.values.values())


def test_server_waits_for_hub(master: ApplicationMaster, start: Start) -> None:
    """A server waits for a hub that is down, and removes its status when the hub responds."""
    port = free_port()
    start(RECIPE, *AS_ROOT, JUPYTERHUB_API_URL=f"http://127.0.0.1:{port}/hub/api")
    master.wait(STATUS_KEY)
    with hub(port):
        assert request(Address.from_bytes(master.wait(ADDRESS_KEY)).port, "")["version"]
    assert STATUS_KEY not in master.values
    assert ERROR_KEY not in master.values


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://no.such.host.invalid:8081/hub/api", "its name is not known"),
        ("https://127.0.0.1:{port}/hub/api", "TLS failed"),
        ("http://127.0.0.1:{port}/nowhere", "HTTP status 404"),
    ],
)
def test_bad_hub_address(
    master: ApplicationMaster, start: Start, environment: dict[str, str], url: str, words: str
) -> None:
    """The status and the error say what is wrong with the hub's address."""
    port = environment["JUPYTERHUB_API_URL"].split(":")[2].split("/")[0]
    start(RECIPE, *AS_ROOT, JUPYTERHUB_API_URL=url.format(port=port), YARNSPAWNER_START_TIMEOUT="2")
    assert words in Waiting.from_bytes(master.wait(STATUS_KEY)).message
    assert words in Failure.from_bytes(master.wait(ERROR_KEY, timeout=LONG)).message


def test_server_ends_with_parent(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """A server exits when its parent process is killed."""
    program = f"import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-m', '{RECIPE}', *{AS_ROOT}]); time.sleep(600)"
    (tmp_path / "between.py").write_text(program)
    between = start("between")
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    assert request(port, "")["version"]
    between.kill()
    until = time.monotonic() + LONG
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            break
        assert time.monotonic() < until
        time.sleep(0.2)


def test_sigterm_stops_a_server(master: ApplicationMaster, start: Start) -> None:
    """SIGTERM shuts down the kernels and then the server."""
    server = start(RECIPE, *AS_ROOT)
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    request(port, "/kernels", b"{}")
    server.send_signal(signal.SIGTERM)
    log, _ = server.communicate(timeout=LONG)
    assert server.returncode == 0, log
    assert "Shutting down 1 kernel\n" in log


@pytest.mark.parametrize(
    ("own", "encrypted"),
    [
        ("", True),
        ("--KernelManager.transport_encryption=disabled", False),
        ("--MappingKernelManager.transport_encryption=disabled", False),
        ("--AsyncMappingKernelManager.transport_encryption=required", True),
    ],
)
def test_kernel_encryption(master: ApplicationMaster, start: Start, own: str, encrypted: bool) -> None:
    """Kernels are encrypted unless the user's setting for any class turns this off."""
    server = start(RECIPE, *AS_ROOT, *own.split(), "--KernelManager.shutdown_wait_time=1")
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    kernel = request(port, "/kernels", b"{}")["id"]
    (file,) = (master.folder / ".jupyter-runtime").glob(f"kernel-{kernel}.json")
    assert ("curve_publickey" in json.loads(file.read_text())) is encrypted
    server.terminate()
    server.communicate(timeout=LONG)


def test_encryption_off_in_config_file(master: ApplicationMaster, start: Start, environment: dict[str, str]) -> None:
    """A setting in Jupyter's configuration file turns the encryption off."""
    folder = Path(environment["HOME"]) / ".jupyter"
    folder.mkdir()
    (folder / "jupyter_server_config.py").write_text("c.AsyncKernelManager.transport_encryption = 'disabled'")
    start(RECIPE, *AS_ROOT)
    kernel = request(Address.from_bytes(master.wait(ADDRESS_KEY)).port, "/kernels", b"{}")["id"]
    (file,) = (master.folder / ".jupyter-runtime").glob(f"kernel-{kernel}.json")
    assert "curve_publickey" not in json.loads(file.read_text())


def test_unusable_folders_are_replaced(master: ApplicationMaster, start: Start) -> None:
    """If HOME and the runtime folder are unusable, the server uses a private folder in its container."""
    start(RECIPE, *AS_ROOT, HOME="/proc/nowhere", JUPYTER_RUNTIME_DIR="/proc/nowhere")
    master.wait(ADDRESS_KEY)
    runtime = master.folder / ".jupyter-runtime"
    assert runtime.stat().st_mode & 0o777 == 0o700
    assert list(runtime.glob("jpserver-*.json"))


def test_outside_of_a_container() -> None:
    """Outside of a container the recipe exits with one line that says so."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SKEIN")}
    done = subprocess.run(
        [sys.executable, "-m", RECIPE], env=environment, capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "works only in a YARN container" in done.stderr


def test_help() -> None:
    """The help contains the recipe's own settings and Jupyter's options."""
    done = subprocess.run(
        [sys.executable, "-m", RECIPE, "--help"], capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == 0
    assert "YARNSPAWNER_PORT_RANGE" in done.stdout
    assert "--generate-config" in done.stdout
