"""The floor: a user's server started by a hand-written skein script, without yarnspawner.

It is what skein's documentation shows: a `skein.Client` with default settings, and an application whose master runs a script.
"""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import requests
import skein

from benchmarks.clusters import until
from demo.hub import Hub
from localhadoop import LocalHadoop

# In MiB, as the example configuration's: what the user asked for and what the application master gets.
MEMORY = 1024 + 256

# Waits without starting a program, so that the wait costs the server nothing.
_AWAIT = """
(until (exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null; do sleep 0.05; done
 until curl --silent --fail --output /dev/null http://127.0.0.1:$PORT${JUPYTERHUB_SERVICE_PREFIX}api; do sleep 0.05; done
 touch $READY_FILE) &
"""

# What 0.4.0's jupyter_labhub did before it ran JupyterHub's program: tell a handler in the hub's API the port.
_TELL = """
import json, os, urllib.request
document = json.dumps({"port": int(os.environ["PORT"])}).encode()
urllib.request.urlopen(urllib.request.Request(os.environ["TELL"], document), timeout=10)
from jupyterhub.singleuser import main
main()
"""


@dataclass
class BareServer:
    """One start: when it was asked for, which application it is, and the file that appears when it answers."""

    asked: float
    application_id: str
    file: Path
    port: int


class BareScript:
    """Starts servers as a script of ten lines would, against a real hub.

    Args:
        hub: that the servers belong to.
        client: whose driver runs already.
        folder: that containers of all users can write to.
        user: of the hub and of Hadoop.
        token: of the hub's API, for the server.
    """

    def __init__(self, hub: Hub, client: skein.Client, folder: Path, user: str, token: str) -> None:
        self._hub, self._client, self._folder, self._user, self._token = hub, client, folder, user, token

    def submit(self, *, tell: str = "") -> BareServer:
        """Submit one; ``tell`` is the address that hears the port before the server starts, "" for none."""
        asked = time.time()
        name, port = f"bare{secrets.token_hex(4)}", _free_port()
        file = self._folder / name
        environment = {**self._environment(name, port), "READY_FILE": str(file), "PORT": str(port), "TELL": tell}
        allow_root = "" if os.getuid() or self._hub.kerberos else "--allow-root"
        command = f"python -c {shlex.quote(_TELL)}" if tell else "jupyterhub-singleuser"
        script = f"source {shlex.quote(sys.prefix)}/bin/activate\n{_AWAIT}\n{command} {allow_root}"
        master = skein.Master(
            resources=skein.Resources(memory=MEMORY, vcores=1), env=environment, script=f"export HOME=$PWD\n{script}"
        )
        # Without leave to view it, YARN does not tell the hub where it runs on the secure kind.
        acls = skein.ACLs(enable=True, view_users=["*"])
        spec = skein.ApplicationSpec(
            name=name, user=self._user, queue="default", max_attempts=1, master=master, acls=acls
        )
        return BareServer(asked, self._client.submit(spec), file, port)

    def wait(self, server: BareServer, timeout: float = 300) -> float:
        """Seconds from the submission's begin to the server's answer."""
        until(server.file.exists, timeout, "the bare server to answer", pause=0.02)
        return server.file.stat().st_mtime - server.asked

    def end(self, server: BareServer) -> None:
        self._client.kill_application(server.application_id, user=self._user)

    def _environment(self, name: str, port: int) -> dict[str, str]:
        """As the hub's own for a server of that name."""
        prefix = f"/user/{self._user}/{name}/"
        return {
            "JUPYTERHUB_API_TOKEN": self._token,
            "JUPYTERHUB_API_URL": self._hub.api_url,
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{self._user}-{name}",
            "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
            "JUPYTERHUB_OAUTH_SCOPES": '["access:servers"]',
            "JUPYTERHUB_SERVER_NAME": name,
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{port}{prefix}",
            "JUPYTERHUB_USER": self._user,
        }


class OldSpawner(BareScript):
    """Starts servers in the way of ``jupyterhub-yarnspawner`` 0.4.0.

    The container calls the hub with its port before the server starts; the hub asks skein for the application's report every
    0.5 s until it runs and its address has come, and then waits for an answer there with JupyterHub's pauses.
    """

    def start(self, handler: Handler) -> tuple[BareServer, float]:
        """Start one; it and the seconds from the submission's begin to the hub's "ready"."""
        handler.port = 0
        server = self.submit(tell=handler.url)
        while True:
            report = self._client.application_report(server.application_id)
            if str(report.state) == "RUNNING" and handler.port:
                break
            if str(report.state) in ("FINISHED", "FAILED", "KILLED"):
                raise RuntimeError(f"{server.application_id} ended: {report.diagnostics}")
            time.sleep(0.5)
        pause, end = 0.2, time.time() + 300
        address = f"http://{report.host}:{handler.port}/user/{self._user}/{server.file.name}/api"
        while not _answers(address):
            # jupyterhub.utils.exponential_backoff, without its randomness: 0.2 s times 2 each, up to 5 s.
            time.sleep(pause)
            pause = min(pause * 2, 5)
            if time.time() > end:
                raise RuntimeError(f"nobody answers at {address}")
        return server, time.time() - server.asked


class Handler:
    """0.4.0's handler in the hub's API: takes the port that a container tells."""

    port = 0
    url = ""

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Handler]:
        handler = cls()

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                import json

                handler.port = int(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["port"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        server = HTTPServer(("127.0.0.1", 0), Request)
        handler.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield handler
        finally:
            server.shutdown()


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code < 400
    except requests.RequestException:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def client(cluster: LocalHadoop) -> skein.Client:
    """Skein's own client, with default settings, who may act for the users as the hub does."""
    if not cluster.kerberos:
        return skein.Client(log=False)
    return skein.Client(log=False, principal=cluster.principal("jupyterhub"), keytab=str(cluster.keytab("jupyterhub")))
