"""A stand-in for skein's driver JVM, for what is about time and processes only: what YARN says is tested on a real one.

``FakeHadoop`` makes a folder with a ``yarn`` and a ``java`` command. That ``java`` is this file: it takes what skein's
driver takes, speaks its protocol with two threads as it does, and leaves at the end of its standard input. What it answers
is in ``behaviour.json``, read at every call, so that a test can change it meanwhile.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


class FakeHadoop:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.behaviour: dict[str, Any] = {}
        self.environment = {
            "JAVA_HOME": str(folder / "java"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HADOOP_FAKE": str(folder),
        }
        self._script(folder / "java" / "bin" / "java", f'exec {sys.executable} {Path(__file__).resolve()} "$@"')
        self._script(
            folder / "bin" / "yarn", f'echo asked >> {folder}/yarn.log\necho "/hadoop/one.jar:/hadoop/two.jar"'
        )
        self.behave()

    def behave(self, **behaviour: Any) -> None:
        """Say what drivers do from now on: delay={method: seconds}, fail={method: [code, details]}, and so on."""
        self.behaviour.update(behaviour)
        new = self.folder / "behaviour.new"
        new.write_text(json.dumps(self.behaviour))
        new.replace(self.folder / "behaviour.json")

    def started(self) -> list[dict[str, Any]]:
        """What each driver that was started was given: its pid, arguments and environment."""
        return [json.loads(line) for line in self._lines("drivers.log")]

    def calls(self, method: str) -> list[float]:
        """When each call of that method began."""
        return [float(line.split()[1]) for line in self._lines("calls.log") if line.split()[0] == method]

    def times_asked_for_classpath(self) -> int:
        return len(self._lines("yarn.log"))

    def running(self) -> list[int]:
        return [driver["pid"] for driver in self.started() if Path(f"/proc/{driver['pid']}/cwd").exists()]

    def _lines(self, name: str) -> list[str]:
        file = self.folder / name
        if not file.exists():
            return []
        # The last one may be half written.
        return [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def _script(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def main() -> None:
    import grpc

    folder = Path(os.environ["HADOOP_FAKE"])

    def behaviour() -> dict[str, Any]:
        return dict(json.loads((folder / "behaviour.json").read_text()))

    def note(name: str, line: str) -> None:
        with (folder / name).open("a") as file:
            file.write(line + "\n")

    note("drivers.log", json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:], "environment": dict(os.environ)}))

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    start = behaviour().get("start", {})
    say(start.get("say", "26/11/23 00:00:00 INFO skein.Driver: a stand-in"))
    time.sleep(start.get("delay", 0))
    if "exit" in start:
        sys.exit(start["exit"])

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            method = details.method.rpartition("/")[2]
            return grpc.unary_unary_rpc_method_handler(lambda request, context: answer(method, request, context))

    def answer(method: str, request: bytes, context: Any) -> bytes:
        from skein.proto import skein_pb2 as messages

        now = behaviour()
        note("calls.log", f"{method} {time.monotonic()}")
        time.sleep(now.get("delay", {}).get(method, 0))
        if method in now.get("die", []):
            os._exit(3)
        now = behaviour()
        if method in now.get("log", {}):
            say(now["log"][method])
        if method in now.get("fail", {}):
            code, text = now["fail"][method]
            context.abort(grpc.StatusCode[code], text)
        if method == "getApplications":
            states = messages.ApplicationsRequest.FromString(request).states
            reports = [messages.ApplicationReport(**report) for report in now.get("applications", [])]
            return messages.ApplicationsResponse(reports=[r for r in reports if r.state in states]).SerializeToString()
        if method in {"getStatus", "kill"}:
            wanted = messages.Application.FromString(request).id
            for report in now.get("applications", []):
                if report["id"] == wanted:
                    return messages.ApplicationReport(**report).SerializeToString() if method == "getStatus" else b""
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unknown ApplicationId '{wanted}'")
        if method == "submit":
            with lock:
                log = folder / "submitted.log"
                number = len(log.read_text().splitlines()) if log.exists() else 0
                note("submitted.log", "one")
            return messages.Application(id=f"application_1_{number + 1:04}").SerializeToString()
        return b""

    lock = threading.Lock()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    certificate, key = os.environ["SKEIN_CERTIFICATE"].encode(), os.environ["SKEIN_KEY"].encode()
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    if start.get("call_back", True):
        with socket.create_connection(("127.0.0.1", int(os.environ["SKEIN_CALLBACK_PORT"]))) as callback:
            callback.sendall(struct.pack("!i", port))
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
