"""A stand-in for YARN, for numbers of servers that no machine runs: what it says is made up.

Drivers that speak skein's gRPC protocol, as many application masters' key-value stores as servers are starting, the
ResourceManager's REST API as far as the spawner asks it, and all users' servers in one web server: all in one process.
Applications start after a while, some fail at a steady rate, and the calls are counted. What the hub finds as ``java``
(see :func:`installed`) has a driver opened there, and leaves with the hub as a driver does.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import random
import re
import socket
import stat
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
HUB_USER = "hub"
# Seconds that a driver takes for each application in a list, as `python -m benchmarks list` finds.
LISTING = 0.0002
# Under which a server publishes its address (yarnspawner/common/protocol.py).
_ADDRESS_KEY = "jupyter.server.address"
TAGS = ("hub", "user", "server", "start")


@dataclass(frozen=True)
class Behaviour:
    """How this YARN behaves. Times are in seconds.

    Attributes:
        folder: where it keeps its scripts, and says where it is.
        port: of its web server, which is the ResourceManager's and all users' servers' as well.
        running: servers that run from the beginning, as ``user0`` and so on.
        accepted: how long a new application waits in its queue.
        starting: how long its server takes then.
        failures: of running servers, each minute.
        driver_start: how long the driver takes to start; a JVM takes 3 to 6.
        version: of JupyterHub, that the servers claim.
        pending: applications that wait in their queue from the beginning, and for ever, after those that run.
    """

    folder: str
    port: int
    running: int
    accepted: float = 4
    starting: float = 2
    failures: float = 0
    driver_start: float = 4
    version: str = ""
    pending: int = 0


@contextmanager
def installed(behaviour: Behaviour) -> Iterator[dict[str, str]]:
    """This YARN for the time of the context, with the environment by which a hub finds it."""
    folder = Path(behaviour.folder)
    (folder / "behaviour.json").write_text(json.dumps(asdict(behaviour)))
    scripts = {
        "java/bin/java": f"cd {CHECKOUT} && exec {sys.executable} -m benchmarks.fake_yarn driver {folder}",
        "bin/yarn": "echo /nothing.jar",
    }
    for name, script in scripts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fake_yarn", "serve", str(folder)], cwd=CHECKOUT, stdin=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 120
        while not said(behaviour):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the stand-in for YARN does not start")
            time.sleep(0.2)
        yield {
            "JAVA_HOME": str(folder / "java"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HADOOP_USER_NAME": HUB_USER,
        }
    finally:
        process.kill()
        process.wait()


def said(behaviour: Behaviour) -> dict[str, Any]:
    """What this YARN says of itself; empty before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{behaviour.port}/calls", timeout=30) as answer:
            return dict(json.load(answer))
    except OSError:
        return {}


def application_id(number: int) -> str:
    return f"application_1795000000000_{number:06}"


class Application:
    """One application, its report ready to be sent."""

    def __init__(self, number: int, user: str, name: str, tags: list[str]) -> None:
        from skein.proto import skein_pb2 as messages

        self.id = application_id(number)
        self.store: Any = None
        self.message = messages.ApplicationReport(
            id=self.id,
            user=user,
            name=name,
            queue="root.users.default",
            host="N/A",
            port=-1,
            tracking_url=f"http://rm.example.com:8088/proxy/{self.id}/",
            start_time=1795000000000 + number,
            state=messages.ApplicationState.ACCEPTED,
            tags=tags,
        )
        self.change()

    def change(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.message, name, value)
        self.report: bytes = self.message.SerializeToString()


class Yarn:
    """All applications, and the calls that come."""

    def __init__(self, behaviour: Behaviour) -> None:
        from skein.proto import skein_pb2

        self.messages = skein_pb2
        self.states = skein_pb2.ApplicationState
        self.behaviour = behaviour
        self.calls: collections.Counter[str] = collections.Counter()
        self.unfinished: dict[str, Application] = {}
        self.ended: dict[str, Application] = {}
        self.number = 0
        self.failed = 0
        self.drivers: list[Any] = []
        self.arriving: set[asyncio.Task[None]] = set()
        for number in range(behaviour.running + behaviour.pending):
            one = self.new(
                f"user{number}", f"jupyterhub-user{number}", [f"yarnspawner-{kind}-{number:032}" for kind in TAGS]
            )
            if number < behaviour.running:
                one.change(state=self.states.RUNNING, host="127.0.0.1", port=1)

    def new(self, user: str, name: str, tags: list[str]) -> Application:
        one = Application(self.number, user, name, tags)
        self.number += 1
        self.unfinished[one.id] = one
        return one

    def end(self, one: Application, state: int, final_status: int) -> None:
        if self.unfinished.pop(one.id, None) is not None:
            one.change(state=state, final_status=final_status, diagnostics="made up")
            self.ended[one.id] = one
            if one.store is not None:
                task = asyncio.ensure_future(one.store.stop(None))
                self.arriving.add(task)
                task.add_done_callback(self.arriving.discard)

    async def fail_some(self) -> None:
        """Let running servers fail, one after the other."""
        while True:
            await asyncio.sleep(60 / self.behaviour.failures)
            if not self.calls:
                continue  # nobody is there yet
            running = [one for one in self.unfinished.values() if one.message.state == self.states.RUNNING]
            if running:
                self.failed += 1
                one = random.choice(running)  # noqa: S311
                self.end(one, self.states.FAILED, self.messages.FinalStatus.FAILED)

    async def answer(self, method: str, request: bytes, context: Any) -> bytes:
        import grpc

        self.calls[method] += 1
        messages = self.messages
        if method == "getApplications":
            wanted = set(messages.ApplicationsRequest.FromString(request).states)
            await asyncio.sleep(LISTING * len(self.unfinished))
            return self.listed(wanted)
        if method == "submit":
            spec = messages.ApplicationSpec.FromString(request)
            if missing := [one.source.file for one in spec.master.files.values() if _is_missing(one.source)]:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"File {missing[0]} does not exist")
            return self.submitted(spec)
        if method in {"getStatus", "kill"}:
            wanted_id = messages.Application.FromString(request).id  # the field is the same in both requests
            found = self.unfinished.get(wanted_id) or self.ended.get(wanted_id)
            if found is None:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unknown ApplicationId '{wanted_id}'")
            assert found is not None
            if method == "getStatus":
                return found.report
            self.end(found, self.states.KILLED, messages.FinalStatus.KILLED)
        return b""

    def listed(self, states: set[int]) -> bytes:
        # The usage is another one each time, as it is with YARN. Field 1 of the response; what stands twice in
        # a message is merged.
        usage = self.messages.ApplicationReport(
            usage=self.messages.ResourceUsageReport(memory_seconds=int(time.time() * 1000), vcore_seconds=1)
        ).SerializeToString()
        parts = []
        for one in self.unfinished.values():
            if one.message.state in states:
                parts += [b"\x0a", _varint(len(one.report) + len(usage)), one.report, usage]
        return b"".join(parts)

    def submitted(self, spec: Any) -> bytes:
        one = self.new(spec.user, spec.name, list(spec.tags))
        task = asyncio.ensure_future(self.arrive(one, spec.master.security))
        self.arriving.add(task)
        task.add_done_callback(self.arriving.discard)
        return bytes(self.messages.Application(id=one.id).SerializeToString())

    async def arrive(self, one: Application, security: Any) -> None:
        """A new application's way to a server that listens."""
        await asyncio.sleep(self.behaviour.accepted)
        arrives = time.monotonic() + self.behaviour.starting
        address = json.dumps(
            {"version": 1, "scheme": "http", "host": "localhost", "port": self.behaviour.port}
        ).encode()

        async def answer(method: str, request: bytes, context: Any) -> bytes:
            self.calls[f"store {method}"] += 1
            if method != "GetRange":
                return b""
            asked = self.messages.GetRangeRequest.FromString(request)
            found = [self.messages.KeyValue(key=_ADDRESS_KEY, value=address)]
            there = asked.start <= _ADDRESS_KEY < asked.end and time.monotonic() > arrives
            return bytes(self.messages.GetRangeResponse(result=found if there else []).SerializeToString())

        one.store, port = await _serve(answer, security.cert_bytes, security.key_bytes)
        one.change(state=self.states.RUNNING, host="127.0.0.1", port=port)


def _is_missing(source: Any) -> bool:
    return source.scheme == "file" and not Path(source.file).exists()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


async def _serve(answer: Any, certificate: bytes, key: bytes) -> tuple[Any, int]:
    """A gRPC server of skein's kind, on any port of 127.0.0.1."""
    import grpc
    import grpc.aio

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            method = details.method.rpartition("/")[2]

            async def call(request: bytes, context: Any) -> bytes:
                return bytes(await answer(method, request, context))

            return grpc.unary_unary_rpc_method_handler(call)

    server = grpc.aio.server(handlers=[Handler()])
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, port


def web(yarn: Yarn) -> Any:
    """The ResourceManager's web service and the users' servers."""
    from tornado.web import Application as WebApplication
    from tornado.web import RequestHandler

    class Answer(RequestHandler):
        def get(self, path: str) -> None:
            if path == "calls":
                self.write({"calls": dict(yarn.calls), "unfinished": len(yarn.unfinished), "failed": yarn.failed})
            elif found := re.fullmatch(r"ws/v1/cluster/apps/(\w+)/appattempts", path):
                yarn.calls["web appattempts"] += 1
                attempt = {"id": 1, "nodeId": "localhost:1", "nodeHttpAddress": "localhost:2", "containerId": found[1]}
                self.write({"appAttempts": {"appAttempt": [attempt]}})
            elif path.startswith("user/"):
                self.set_header("X-JupyterHub-Version", yarn.behaviour.version)
                self.write({"version": "2.20.0"})
            else:
                yarn.calls["web other"] += 1
                self.set_status(404)

        def put(self, path: str) -> None:
            self.write({})

        async def post(self, path: str) -> None:
            pair = json.loads(self.request.body)
            driver, port = await _serve(yarn.answer, pair["certificate"].encode(), pair["key"].encode())
            yarn.drivers.append(driver)
            self.write({"port": port})

    return WebApplication([(r"/(.*)", Answer)])


async def serve(folder: Path) -> None:
    """Be YARN until standard input ends."""
    behaviour = Behaviour(**json.loads((folder / "behaviour.json").read_text()))
    yarn = Yarn(behaviour)
    web(yarn).listen(behaviour.port, "127.0.0.1")
    failing = asyncio.ensure_future(yarn.fail_some()) if behaviour.failures else None
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    if failing is not None:
        failing.cancel()
    os._exit(0)


def drive(folder: Path) -> None:
    """Be a driver, as the hub sees it: its port is YARN's own."""
    behaviour = Behaviour(**json.loads((folder / "behaviour.json").read_text()))
    pair = {"certificate": os.environ["SKEIN_CERTIFICATE"], "key": os.environ["SKEIN_KEY"]}
    url = f"http://127.0.0.1:{behaviour.port}/driver"
    with urllib.request.urlopen(url, json.dumps(pair).encode(), timeout=60) as answer:
        port = json.load(answer)["port"]
    time.sleep(behaviour.driver_start)
    with socket.create_connection(("127.0.0.1", int(os.environ["SKEIN_CALLBACK_PORT"]))) as callback:
        callback.sendall(struct.pack("!i", port))
    sys.stdin.buffer.read()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        drive(Path(sys.argv[2]))
