"""A restart of a real hub on a made-up YARN, for `scale`."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.fake_yarn import CHECKOUT, Behaviour
from demo.hub import end_proxy

# Seconds for a hub to find a thousand servers again; after that something is wrong.
_LIMIT = 300.0
# Seconds between two requests for the login page.
_INTERVAL = 0.05
# Rows of /hub/api/users for each request.
_PAGE = 200

CONFIGURATION = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{proxy}"
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.JupyterHub.db_url = "sqlite:///{folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "{spawner}"
c.YarnSpawner.resource_manager_url = "http://127.0.0.1:{web}"
c.JupyterHub.services = [{{"name": "benchmark", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{"name": "benchmark", "services": ["benchmark"], "scopes": ["list:users", "read:users"]}}]
"""
SPAWNERS = {"none": "benchmarks.scale_worker.Idle", "yarn": "yarnspawner.YarnSpawner"}


@dataclass(frozen=True)
class Restart:
    """What a restart took.

    Attributes:
        serves: seconds from the hub's start until it serves the login page.
        owns: seconds until all running servers are found to run.
        pending: starts that the hub shows as pending then.
    """

    serves: float
    owns: float
    pending: int


def restart(kind: str, behaviour: Behaviour, environment: dict[str, str]) -> Restart:
    """Start a hub whose database has servers that run and starts that are pending."""
    from demo.ports import Ports

    ports = Ports()
    fill_database(kind, behaviour)
    proxy, token = ports.claim(18000), secrets.token_hex(32)
    configuration = Path(behaviour.folder) / "jupyterhub_config.py"
    configuration.write_text(
        CONFIGURATION.format(
            proxy=proxy,
            hub=ports.claim(18100),
            api=ports.claim(18200),
            folder=behaviour.folder,
            spawner=SPAWNERS[kind],
            web=behaviour.port,
            token=token,
        )
    )
    environment = {
        **environment,
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
    }
    began = time.monotonic()
    try:
        with _hub(configuration, environment) as hub:
            found = _Found(hub, behaviour.running)
            serves = _until_served(f"http://127.0.0.1:{proxy}/hub/login", found) - began
            owns = found.wait() - began
            pending = _count_pending(f"http://127.0.0.1:{proxy}/hub/api/users", token)
            return Restart(serves, owns, pending)
    finally:
        ports.close()


@contextmanager
def _hub(configuration: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    hub = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(configuration)],
        cwd=configuration.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield hub
    finally:
        hub.terminate()
        hub.wait()
        end_proxy(configuration.parent / "proxy.pid")


class _Found(threading.Thread):
    """Reads a hub's log, and counts the servers that it finds to run."""

    def __init__(self, hub: subprocess.Popen[str], servers: int) -> None:
        super().__init__(daemon=True)
        self._hub = hub
        self._servers = servers
        self._all = threading.Event()
        self.count = 0
        self.when = 0.0
        self.start()

    def run(self) -> None:
        assert self._hub.stdout is not None
        for line in self._hub.stdout:
            found = re.search(r"\] user(\d+) still running", line)
            self.count += bool(found and int(found[1]) < self._servers)
            if self.count == self._servers and not self._all.is_set():
                self.when = time.monotonic()
                self._all.set()

    def wait(self) -> float:
        """Wait for all, and return when that was."""
        if not self._all.wait(_LIMIT):
            raise RuntimeError(f"the hub found {self.count} of {self._servers} servers")
        return self.when

    @property
    def hub_runs(self) -> bool:
        return self._hub.poll() is None


def _until_served(url: str, found: _Found) -> float:
    until = time.monotonic() + _LIMIT
    while time.monotonic() < until and found.hub_runs:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - ours
                if answer.status == 200:
                    return time.monotonic()
        except OSError:
            time.sleep(_INTERVAL)
    raise RuntimeError("the hub does not serve its login page")


def _count_pending(url: str, token: str) -> int:
    count = offset = 0
    while True:
        page = f"{url}?limit={_PAGE}&offset={offset}"
        request = urllib.request.Request(page, headers={"Authorization": f"token {token}"})  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            users: list[dict[str, Any]] = json.load(answer)
        count += sum(1 for user in users if user.get("pending") == "spawn")
        offset += _PAGE
        if len(users) < _PAGE:
            return count


def fill_database(kind: str, behaviour: Behaviour) -> None:
    """Write what a hub leaves behind that was killed with all these servers and starts."""
    from jupyterhub import orm, roles

    from benchmarks.scale_worker import pending_state, running_state
    from yarnspawner.state.credentials import Credentials
    from yarnspawner.state.seal import Seal

    folder = Path(behaviour.folder)
    secret = secrets.token_bytes(32)
    file = folder / "cookie_secret"
    file.write_text(secret.hex())
    file.chmod(0o600)
    seal, credentials = Seal(secret), Credentials.new()
    with orm.new_session_factory(f"sqlite:///{folder}/jupyterhub.sqlite")() as db:
        # Without them it would be taken for the database of a version without roles, and converted user by user.
        for role in roles.get_default_roles():
            roles.create_role(db, role)
        member = orm.Role.find(db, "user")
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        for number in range(behaviour.running + behaviour.pending):
            user = orm.User(name=f"user{number}", roles=[member])
            db.add(user)
            state: dict[str, Any] = {}
            if kind == "yarn" and number < behaviour.running:
                state = running_state(number, behaviour.port, credentials, seal)
            elif kind == "yarn":
                state = pending_state(number, credentials, seal)
            server = orm.Server(base_url=f"/user/user{number}/", proto="http", ip="127.0.0.1", port=behaviour.port)
            db.add(orm.Spawner(name="", user=user, state=state, server=server, started=now))
        db.commit()
