"""The kernel recipe, from its start in the container to its end, with the store of conftest.py."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import skein
import zmq
from jupyter_client import BlockingKernelClient

from tests.unit.singleuser.surroundings import ApplicationMaster
from yarnspawner.common.protocol import KERNEL_KEY, Failure

RECIPE = "yarnspawner.singleuser.kernel"
# Seconds; only a test that fails takes that long.
LONG = 90
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def node(environment: dict[str, str]) -> None:
    environment["NM_HOST"] = "localhost"


def published(master: ApplicationMaster, key: str = KERNEL_KEY) -> dict[str, Any]:
    return json.loads(master.wait(key))


@contextmanager
def connected(information: dict[str, Any]) -> Iterator[BlockingKernelClient]:
    client = BlockingKernelClient()
    client.load_connection_info(information)
    client.start_channels()
    client.wait_for_ready(timeout=LONG)
    yield client
    client.stop_channels()


def run(client: BlockingKernelClient, code: str) -> str:
    outputs: list[str] = []
    client.execute_interactive(code, output_hook=lambda message: outputs.append(text(message)), timeout=LONG)
    return "".join(outputs)


def text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content.get("text") or content.get("data", {}).get("text/plain") or ""


def test_published_information(master: ApplicationMaster, start: Start) -> None:
    """A client needs only the published information, and a shutdown removes it from the store."""
    kernel = start(RECIPE)
    information = published(master)
    assert information["kernel_name"] == "python3"
    assert information["ip"] == "127.0.0.1"
    with connected(information) as client:
        assert run(client, "6 * 7") == "42"
        client.shutdown()
        log, _ = kernel.communicate(timeout=LONG)
    assert kernel.returncode == 0
    assert KERNEL_KEY not in master.values
    assert master.shutdowns == []
    assert information["key"] not in log
    assert "access control of this application is off" in log


def test_no_warning_with_access_control(master: ApplicationMaster, start: Start) -> None:
    """The log has no warning if the application has access control."""
    master.specification = skein.ApplicationSpec(master=skein.Master(script="true"), acls=skein.ACLs(enable=True))
    kernel = start(RECIPE)
    published(master)
    kernel.kill()
    assert "access control" not in kernel.communicate()[0]


def test_chosen_key_and_options(master: ApplicationMaster, start: Start) -> None:
    """The recipe takes the key as an option and passes other options to ipykernel."""
    start(RECIPE, "--kernel-info-key", "mine", "--IPKernelApp.exec_lines=answer = 42", "--ip=127.0.0.1")
    with connected(published(master, "mine")) as client:
        assert run(client, "answer") == "42"
    assert KERNEL_KEY not in master.values


def test_ports_are_in_the_range(master: ApplicationMaster, start: Start) -> None:
    """The kernel's five ports are free ports of the configured range."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        start(RECIPE, f"--port-range={first}:{first + 12}")
        information = published(master)
    ports = [value for name, value in information.items() if name.endswith("_port")]
    assert len(set(ports)) == 5
    assert all(first < port <= first + 12 for port in ports)
    with connected(information) as client:
        assert run(client, "6 * 7") == "42"


def test_too_few_ports(master: ApplicationMaster, start: Start) -> None:
    """A port range with fewer than five ports fails with a message in the log and the store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kernel = start(RECIPE, YARNSPAWNER_PORT_RANGE=f"{port}:{port + 2}")
    log, _ = kernel.communicate(timeout=LONG)
    assert kernel.returncode == 1
    assert "needs five ports" in log
    assert "needs five ports" in Failure.from_bytes(master.values[KERNEL_KEY + ".error"]).message
    assert KERNEL_KEY not in master.values


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "out of memory"),
        ("import ctypes; ctypes.string_at(0)", "Segmentation fault"),
    ],
)
def test_dead_kernel_leaves_reason(master: ApplicationMaster, start: Start, death: str, reason: str) -> None:
    """A dead kernel leaves the reason of its end in the store, and no connection information."""
    kernel = start(RECIPE)
    with connected(published(master)) as client:
        client.execute(death)
        log, _ = kernel.communicate(timeout=LONG)
    assert kernel.returncode not in (0, None)
    assert reason in log
    assert reason in Failure.from_bytes(master.values[KERNEL_KEY + ".error"]).message
    assert KERNEL_KEY not in master.values
    # This one was not started by a script of skein's.
    assert master.shutdowns == []


def test_a_missing_package_is_named(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """A missing package is named in the log."""
    # A module in the working folder would not replace the installed one.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ipykernel.py").write_text("raise ModuleNotFoundError('gone', name='ipykernel')")
    kernel = start(RECIPE, PYTHONPATH=str(hidden))
    log, _ = kernel.communicate(timeout=LONG)
    assert kernel.returncode == 1
    assert "has no package 'ipykernel'" in log


def test_bad_option(master: ApplicationMaster, start: Start) -> None:
    """A bad option fails with a message in the store that names its value."""
    kernel = start(RECIPE, "--IPKernelApp.shell_port=many")
    kernel.communicate(timeout=LONG)
    failure = Failure.from_bytes(master.values[KERNEL_KEY + ".error"])
    assert kernel.returncode == 1
    assert failure.message.startswith("The kernel did not start: ")
    assert "many" in failure.message


def keys() -> dict[str, str]:
    public, secret = zmq.curve_keypair()
    return {
        "key": "a-key-of-the-client",
        "signature_scheme": "hmac-sha256",
        "curve_publickey": public.decode(),
        "curve_secretkey": secret.decode(),
    }


def test_keys_of_the_client(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """With the client's keys, the connection is encrypted and the store has no key."""
    made = keys()
    (tmp_path / "keys.json").write_text(json.dumps(made | {"require_encryption": True}))
    start(RECIPE, "--connection-key-file=keys.json")
    information = published(master)
    assert information.pop("encrypted") is True
    assert not any(value.encode() in b"".join(master.values.values()) for value in made.values() if len(value) > 15)
    with connected(information | made) as client:
        assert run(client, "6 * 7") == "42"
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
        plain.setsockopt(zmq.LINGER, 0)
        plain.setsockopt(zmq.IMMEDIATE, 1)
        plain.setsockopt(zmq.SNDTIMEO, 2000)
        plain.connect(f"tcp://{information['ip']}:{information['shell_port']}")
        with pytest.raises(zmq.Again):
            plain.send(b"in the clear")


def test_encryption_without_keys(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """A kernel that requires encryption does not start without keys, and the log says so."""
    (tmp_path / "keys.json").write_text(json.dumps({"key": "a-key", "require_encryption": True}))
    kernel = start(RECIPE, "--connection-key-file=keys.json")
    log, _ = kernel.communicate(timeout=LONG)
    assert kernel.returncode == 1
    assert "Encryption is required" in log


def test_kernel_ends_with_its_script(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """A kernel ends after a kill of the script that started it."""
    program = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-m', '{RECIPE}']); time.sleep(600)"
    (tmp_path / "between.py").write_text(program)
    between = start("between")
    published(master)
    processes = psutil.Process(between.pid).children(recursive=True)
    assert len(processes) == 2
    between.kill()
    _, alive = psutil.wait_procs(processes, timeout=LONG)
    assert not alive


def test_outside_of_a_container() -> None:
    """Outside of a container, the recipe fails with a message of one line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SKEIN")}
    done = subprocess.run(
        [sys.executable, "-m", RECIPE], env=environment, capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "works only in a YARN container" in done.stderr


def test_help_of_both() -> None:
    """The help lists the options of the recipe and of ipykernel."""
    done = subprocess.run(
        [sys.executable, "-m", RECIPE, "--help"], capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == 0
    assert "--kernel-info-key" in done.stdout
    assert "--matplotlib" in done.stdout
