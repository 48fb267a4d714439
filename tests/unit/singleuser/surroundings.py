"""What surrounds a recipe in its container, without Java: the store of an application, and a hub that answers.

The real ones are in tests/cluster.
"""

from __future__ import annotations

import collections
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
import skein
import skein.core
from skein import proto
from skein.proto import skein_pb2_grpc

CONTAINER = "container_1_0001_01_000001"


class ApplicationMaster(skein_pb2_grpc.AppMasterServicer):
    """The key-value store and the shutdown of skein's application master, over mutual TLS."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder / CONTAINER
        self.folder.mkdir()
        credentials = skein.Security.new_credentials()
        certificate, key = credentials._get_bytes("cert"), credentials._get_bytes("key")
        (self.folder / ".skein.crt").write_bytes(certificate)
        (self.folder / ".skein.pem").write_bytes(key)
        self.values: dict[str, bytes] = {}
        self.shutdowns: list[tuple[str, str]] = []
        self.requests: collections.Counter[str] = collections.Counter()
        """How often each key was asked for."""
        self.watches = 0
        self.specification = skein.ApplicationSpec(master=skein.Master(script="true"))
        self._server = grpc.server(ThreadPoolExecutor(8))
        skein_pb2_grpc.add_AppMasterServicer_to_server(self, self._server)
        port = self._server.add_secure_port(
            f"{host}:0", grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
        )
        self.environment = {
            "SKEIN_APPLICATION_ID": "application_1_0001",
            "SKEIN_APPMASTER_ADDRESS": f"127.0.0.1:{port}",
            "CONTAINER_ID": CONTAINER,
            "LOCAL_DIRS": f"/nowhere,{folder}",
            "NM_HOST": "node7.example.com",
        }
        self._server.start()

    def surround(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this process one of its containers."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        # skein reads the environment once.
        properties = skein.core.Properties()
        monkeypatch.setattr(skein, "properties", properties)
        monkeypatch.setattr(skein.core, "properties", properties)

    def close(self) -> None:
        self._server.stop(None)

    def wait(self, key: str, timeout: float = 90) -> bytes:
        until = time.monotonic() + timeout
        while key not in self.values:
            assert time.monotonic() < until, f"no {key} after {timeout} s"
            time.sleep(0.05)
        return self.values[key]

    def PutKey(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.values[request.key] = request.value
        return proto.PutKeyResponse()

    def GetRange(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.requests[request.start] += 1
        found = [proto.KeyValue(key=k, value=v) for k, v in self.values.items() if request.start <= k < request.end]
        return proto.GetRangeResponse(count=len(found), result_type=request.result_type, result=found)

    def DeleteRange(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = [key for key in self.values if request.start <= key < request.end]
        for key in found:
            del self.values[key]
        return proto.DeleteRangeResponse(count=len(found), result_type=request.result_type)

    def Watch(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self.watches += 1
        create = next(requests).create
        before = dict(self.values)
        yield proto.WatchResponse(type="CREATE", watch_id=1)
        while context.is_active():
            now = dict(self.values)
            for key, value in now.items():
                if create.start <= key < create.end and before.get(key) != value:
                    yield proto.WatchResponse(type="PUT", watch_id=1, event=[proto.KeyValue(key=key, value=value)])
            for key in before.keys() - now.keys() if create.event_type != proto.WatchCreateRequest.PUT else ():
                if create.start <= key < create.end:
                    yield proto.WatchResponse(type="DELETE", watch_id=1, event=[proto.KeyValue(key=key)])
            before = now
            time.sleep(0.02)

    def getApplicationSpec(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.specification.to_protobuf()

    def shutdown(self, request: Any, context: Any) -> Any:
        self.shutdowns.append((proto.FinalStatus.Type.Name(request.final_status), request.diagnostics))
        return proto.Empty()


ALICE = {
    "kind": "user",
    "name": "alice",
    "admin": False,
    "groups": [],
    "scopes": ["access:servers!server=alice/"],
    "session_id": None,
}


@contextmanager
def hub(port: int = 0) -> Iterator[str]:
    """The API of a hub that takes every token for alice's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(ALICE if self.path.endswith("/user") else {"version": "6"}).encode()
            self.send_response(404 if self.path == "/nowhere" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hub/api"
    server.shutdown()


class Unwatched(ApplicationMaster):
    """A store without a watch."""

    def Watch(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self.watches += 1
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "no watches")


class Silent(ApplicationMaster):
    """A store whose watch never reports."""

    def Watch(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self.watches += 1
        yield next(super().Watch(requests, context))
        while context.is_active():
            time.sleep(0.02)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
