"""The proxy is kept while the hub restarts."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from traitlets.config import Config

from yarnspawner import keep_proxy


@pytest.fixture
def api():
    """The API of a proxy: its address, and the requests' tokens. It accepts the token that ``accepted`` holds."""

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            server.tokens.append(self.headers["Authorization"])
            self.send_response(200 if self.headers["Authorization"] == f"token {server.accepted}" else 403)
            self.end_headers()

        def log_message(self, *_):
            """Nothing is logged."""

    server = HTTPServer(("127.0.0.1", 0), Api)
    server.tokens, server.accepted = [], ""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def process(tmp_path):
    """A process of this account that is called like the proxy."""
    command = [sys.executable, "-c", "print(flush=True); input()", "configurable-http-proxy"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (tmp_path / "proxy.pid").write_text(str(process.pid))
        yield process
        process.kill()


def kept(tmp_path, api):
    c = Config()
    c.ConfigurableHTTPProxy.pid_file = str(tmp_path / "proxy.pid")
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{api.server_port}"
    keep_proxy(c, str(tmp_path / "token"))
    return c


def test_first_run(tmp_path, api):
    """Without a proxy, the hub starts one, with a token that only its account can read."""
    c = kept(tmp_path, api)
    assert (c.ConfigurableHTTPProxy.should_start, c.JupyterHub.cleanup_proxy) == (True, False)
    assert len(c.ConfigurableHTTPProxy.auth_token) == 64
    assert os.stat(tmp_path / "token").st_mode & 0o777 == 0o600
    assert api.tokens == []


def test_next_run(tmp_path, api, process):
    """The next run uses the same token and the running proxy."""
    (tmp_path / "token").write_text("stored")
    api.accepted = "stored"
    c = kept(tmp_path, api)
    assert (c.ConfigurableHTTPProxy.should_start, c.ConfigurableHTTPProxy.auth_token) == (False, "stored")


def test_another_token(tmp_path, api, process):
    """The hub replaces a proxy that does not accept its token."""
    assert kept(tmp_path, api).ConfigurableHTTPProxy.should_start


def test_proxy_is_gone(tmp_path, api, process):
    """The hub starts a proxy if that of the last run has ended, and tells no other program its token."""
    process.kill()
    process.wait()
    assert kept(tmp_path, api).ConfigurableHTTPProxy.should_start
    assert api.tokens == []


def test_other_process(tmp_path, api):
    """A process that is not the proxy does not get the token."""
    (tmp_path / "proxy.pid").write_text(str(os.getpid()))
    assert kept(tmp_path, api).ConfigurableHTTPProxy.should_start
    assert api.tokens == []
