"""Users who are called what no user should be: every name is its own user's alone, and nothing of it is executed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import END, unfinished, until
from tests.support.hubs import running

CONFIGURATION = Path(__file__).resolve().parent.parent / "support" / "jupyterhub_config_attacks.py"
PATIENCE = 400

NAMES = [
    "Ä'\"; touch pwned1; $(touch pwned2) `touch pwned3` \ntouch pwned4\n{0.__class__} ${IFS} \u202e" + "ß" * 140,
    "mallory",
    "Mallory",
]


class Admin:
    """Asks the hub's API as a service that may do all."""

    def __init__(self, hub: Hub, token: str) -> None:
        self._address = f"{hub.address}/hub/api"
        self._headers = {"Authorization": f"token {token}"}

    def ask(self, method: str, name: str, more: str = "") -> requests.Response:
        address = f"{self._address}/users/{quote(name, safe='')}{more}"
        return requests.request(method, address, headers=self._headers, timeout=60)

    def ready(self, name: str) -> bool:
        answer: dict[str, Any] = self.ask("GET", name).json()
        return bool(answer["servers"].get("", {}).get("ready"))


@pytest.fixture(scope="module")
def witness() -> Iterator[Path]:
    """A folder that containers write into."""
    folder = Path("/tmp") / f"yarnspawner-names-{secrets.token_hex(4)}"
    folder.mkdir()
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def hub(
    kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory, witness: Path, token: str
) -> Iterator[Hub]:
    settings = {"YARNSPAWNER_ANY_NAME": str(witness), "YARNSPAWNER_TESTER_TOKEN": token}
    folder = tmp_path_factory.mktemp("hub")
    with running(kerberos_cluster_of_session, folder, configuration=CONFIGURATION, settings=settings) as hub:
        yield hub


@pytest.mark.full
@pytest.mark.timeout(900)
def test_attack_names(hub: Hub, token: str, witness: Path, kerberos_cluster: LocalHadoop) -> None:
    """No part of a hostile user name is executed, and each user has an application and tags of their own."""
    admin = Admin(hub, token)
    # JupyterHub itself takes no slash, so that no name leads out of a folder.
    assert admin.ask("POST", "../../etc").status_code >= 400
    for name in NAMES:
        assert admin.ask("POST", name).status_code == 201, name
        assert admin.ask("POST", name, "/server").status_code in (201, 202), name
    until(lambda: all(map(admin.ready, NAMES)), PATIENCE, "ready")

    # In the container each is called what the user is called, in full.
    seen = {tuple(file.read_bytes().decode().split("\0")[:-1]) for file in witness.iterdir() if file.name.isdigit()}
    assert {said[0] for said in seen} == set(NAMES)
    assert all(said[0] == said[1] == said[2] for said in seen)
    # Nothing was executed, here or there.
    for folder in (witness, hub.folder, kerberos_cluster.directory / "nodes", Path("~alice").expanduser()):
        assert list(folder.rglob("*pwned*")) == []

    # Each has an application of its own, and they share the hub's tag alone.
    ids = unfinished(kerberos_cluster, "alice")
    assert len(ids) == len(NAMES)
    tags = [set(app["applicationTags"].split(",")) for app in kerberos_cluster.applications() if app["id"] in ids]
    assert len(set.intersection(*tags)) == 1
    for kind in ("user", "server", "start"):
        assert len({tag for those in tags for tag in those if tag.startswith(f"yarnspawner-{kind}")}) == len(NAMES)

    # Who stops one does not stop the other.
    assert admin.ask("DELETE", "mallory", "/server").status_code in (202, 204)
    until(lambda: len(unfinished(kerberos_cluster, "alice")) == len(NAMES) - 1, END, "stopped")
    assert admin.ready("Mallory") and admin.ready(NAMES[0])
    for name in (NAMES[0], "Mallory"):
        admin.ask("DELETE", name, "/server")
    until(lambda: not unfinished(kerberos_cluster, "alice"), END, "stopped")
