"""The settings that gRPC is imported with. Each test runs in a new process, since gRPC reads them once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Replaces gRPC: prints its settings, then fails the import.
SEEN = """
import os
print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"), os.environ.get("GRPC_VERBOSITY"), flush=True)
raise ImportError("seen")
"""

# Calls gRPC all the time and opens terminals, as a notebook does for `!ls`.
TERMINALS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from yarnspawner.common.grpc_import import import_grpc
import_grpc()
import grpc, pexpect

class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)

server = grpc.server(ThreadPoolExecutor(4), [Echo()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
done = threading.Event()

def call():
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        while not done.is_set():
            channel.unary_unary("/echo/echo")(b"", timeout=5)

callers = [threading.Thread(target=call) for _ in range(4)]
for caller in callers:
    caller.start()
lost = 0
for _ in range(100):
    terminal = pexpect.spawn("echo there", timeout=20)
    lost += terminal.read() != b"there\\r\\n"
    terminal.close()
done.set()
for caller in callers:
    caller.join()
server.stop(None)
print(lost, "lost")
"""


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510 - the import of the replacement fails
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def container_environment(disk: Path) -> dict[str, str]:
    """What skein's application master sets; the container's folder is on the second disk."""
    (disk / "container").mkdir()
    for name in (".skein.crt", ".skein.pem"):
        (disk / "container" / name).touch()
    return {"SKEIN_APPLICATION_ID": "application_1_0001", "CONTAINER_ID": "container", "LOCAL_DIRS": f"/nowhere,{disk}"}


@pytest.mark.parametrize(
    "code",
    [
        "import yarnspawner; yarnspawner.YarnSpawner",
        "import yarnspawner; yarnspawner.main()",
        "from yarnspawner.singleuser.store import Store; Store()",
    ],
    ids=["hub", "command", "recipe"],
)
def test_settings_at_import(code: str, tmp_path: Path) -> None:
    """Hub, command and container import gRPC with these settings, unless a variable is set."""
    (tmp_path / "grpc.py").write_text(SEEN)
    container = container_environment(tmp_path)
    assert python(code, tmp_path, **container).stdout == "0 NONE\n"
    assert python(code, tmp_path, GRPC_VERBOSITY="DEBUG", **container).stdout == "0 DEBUG\n"


def test_lazy_store(tmp_path: Path) -> None:
    """A lazy store does not import gRPC yet, so a kernel starts before the import."""
    code = "import sys; from yarnspawner.singleuser.store import Store; Store(lazy=True); print('grpc' in sys.modules)"
    assert python(code, tmp_path, **container_environment(tmp_path)).stdout == "False\n"


def test_environment_is_restored(tmp_path: Path) -> None:
    """Child processes do not inherit the settings."""
    code = (
        "import os; before = dict(os.environ); import yarnspawner; yarnspawner.YarnSpawner; print(before == os.environ)"
    )
    assert python(code, tmp_path).stdout == "True\n"


@pytest.mark.full
def test_terminals_during_calls(tmp_path: Path) -> None:
    """Terminals that are opened during gRPC calls start their program."""
    done = python(TERMINALS, tmp_path)
    assert (done.stdout, done.stderr) == ("0 lost\n", "")
