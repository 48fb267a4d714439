"""With which settings gRPC is imported, in processes of their own: it reads them once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# In the place of gRPC: says what it finds in the environment, and lets the import fail.
SEEN = """
import os
print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"), os.environ.get("GRPC_VERBOSITY"), flush=True)
raise ImportError("seen")
"""

# A process that calls gRPC all the time and opens terminals, as a notebook does for `!ls`.
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
    return subprocess.run(  # noqa: PLW1510 - the import of what stands for gRPC fails
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import yarnspawner; yarnspawner.YarnSpawner",
        "import yarnspawner; yarnspawner.main()",
        "from yarnspawner.singleuser.store import Store; Store()",
    ],
    ids=["hub", "command", "recipe"],
)
def test_grpc_is_imported_for_a_process_that_starts_others(code: str, tmp_path: Path) -> None:
    (tmp_path / "grpc.py").write_text(SEEN)
    container = {"SKEIN_APPLICATION_ID": "application_1_0001"}
    assert python(code, tmp_path, **container).stdout == "0 NONE\n"
    assert python(code, tmp_path, GRPC_VERBOSITY="DEBUG", **container).stdout == "0 DEBUG\n"


def test_the_processes_that_it_starts_do_not_inherit_the_settings(tmp_path: Path) -> None:
    code = (
        "import os; before = dict(os.environ); import yarnspawner; yarnspawner.YarnSpawner; print(before == os.environ)"
    )
    assert python(code, tmp_path).stdout == "True\n"


@pytest.mark.full
def test_a_terminal_that_is_opened_while_grpc_calls_is_not_lost(tmp_path: Path) -> None:
    done = python(TERMINALS, tmp_path)
    assert (done.stdout, done.stderr) == ("0 lost\n", "")
