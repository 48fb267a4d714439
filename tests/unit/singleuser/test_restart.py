"""The server's process is replaced in its container."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster
from yarnspawner.common.protocol import (
    ADDRESS_KEY,
    ERROR_KEY,
    RESTART_KEY,
    RESTARTED_KEY,
    STOP_KEY,
    Address,
    ProtocolError,
    Restarted,
    RestartRequest,
    StopRequest,
)
from yarnspawner.singleuser.restart import FormerProcess

RECIPE = "yarnspawner.singleuser"
AS_ROOT = ["--allow-root"] if os.getuid() == 0 else []
LONG = 90


def request(port: int, path: str, data: bytes | None = None) -> object:
    url = f"http://127.0.0.1:{port}/user/alice/api{path}"
    asked = urllib.request.Request(url, data, {"Authorization": "token a-token-of-alice"})
    with urllib.request.urlopen(asked, timeout=LONG) as response:  # noqa: S310
        return json.load(response)


def server_process(guard: int) -> int:
    children = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


@pytest.mark.parametrize("extension", ["1", pytest.param("0", marks=pytest.mark.full)])
def test_restart(master: ApplicationMaster, start: Callable[..., subprocess.Popen[str]], extension: str) -> None:
    """The new server has the process id and the port of the former one, and no request is refused."""
    server = start(RECIPE, *AS_ROOT, JUPYTERHUB_SINGLEUSER_EXTENSION=extension, KEPT="1")
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    process = server_process(server.pid)
    kernels = int(extension)
    if kernels:  # the older kind of server wants a browser's cookie
        request(port, "/kernels", b"{}")
    began = request(port, "/status")["started"]  # type: ignore[index]
    master.values[RESTART_KEY] = RestartRequest("a1", 20).to_bytes()
    while RESTARTED_KEY not in master.values:
        assert request(port, "")["version"]  # type: ignore[index]
        time.sleep(0.05)
    assert Restarted.from_bytes(master.values[RESTARTED_KEY]) == Restarted("a1", 0)
    assert Address.from_bytes(master.values[ADDRESS_KEY]).port == port
    assert request(port, "/kernels") == []
    assert request(port, "/status")["started"] > began  # type: ignore[index]
    assert server_process(server.pid) == process
    assert b"YARNSPAWNER_RESTART" in Path(f"/proc/{process}/environ").read_bytes()
    assert b"KEPT=1" in Path(f"/proc/{process}/environ").read_bytes()

    master.values[STOP_KEY] = StopRequest("Asked by a test", 20).to_bytes()
    log, _ = server.communicate(timeout=LONG)
    assert server.returncode == 0, log
    assert log.count("Shutting down 1 kernel\n") == kernels
    assert ERROR_KEY not in master.values


HANGING = """
import time
def _jupyter_server_extension_points():
    return [{"module": "hanging"}]
def _load_jupyter_server_extension(app):
    import os
    if "YARNSPAWNER_RESTART" not in os.environ and not os.path.exists("hung"):
        open("hung", "w").close()
        app.io_loop.call_later(2, time.sleep, 1000)
"""


@pytest.mark.full
def test_a_hanging_server_is_replaced(
    master: ApplicationMaster, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A new server replaces a server that hangs, and stops together with its guard."""
    (tmp_path / "hanging.py").write_text(HANGING)
    extensions = "--ServerApp.jpserver_extensions={'hanging': True}"
    server = start(RECIPE, *AS_ROOT, extensions, PYTHONPATH=str(tmp_path))
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    time.sleep(2.5)
    master.values[RESTART_KEY] = RestartRequest("a1", 1).to_bytes()
    assert Restarted.from_bytes(master.wait(RESTARTED_KEY)).id == "a1"
    assert request(port, "")["version"]  # type: ignore[index]
    # The new server ends with its guard, also if another thread than the first has replaced the process.
    process = server_process(server.pid)
    server.kill()
    end = time.monotonic() + 20
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_former_process() -> None:
    """What it has left is removed from the environment."""
    environ = {"YARNSPAWNER_RESTART": '{"request": "a1", "descriptors": [7]}', "A": "b"}
    assert FormerProcess.take(environ) == FormerProcess("a1", (7,))
    assert environ == {"A": "b"}
    assert FormerProcess.take(environ) is None


@pytest.mark.parametrize("wrong", [RestartRequest("", 1), RestartRequest("a b", 1), RestartRequest("a" * 65, 1)])
def test_a_request_without_identifier(wrong: RestartRequest) -> None:
    """A restart request with an empty or invalid identifier is refused."""
    with pytest.raises(ProtocolError, match="identifier"):
        RestartRequest.from_bytes(wrong.to_bytes())
