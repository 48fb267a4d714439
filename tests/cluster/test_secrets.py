"""Where a server's secrets are, and above all where they are not, on the secure cluster."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import HubUser, unfinished
from tests.support.hubs import running
from tests.support.secret_scan import command, containing, environment, processes

# What the store holds, as a container of the application reads it.
STORE = """
import skein
for key, value in skein.ApplicationClient.from_current().kv.items():
    print(key, value.decode())
"""
SECRETS = "JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "CONFIGPROXY_AUTH_TOKEN"


@pytest.fixture(scope="module")
def hub(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(kerberos_cluster_of_session, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def alice(hub: Hub, kerberos_cluster: LocalHadoop) -> Iterator[HubUser]:
    alice = HubUser(hub.address, "alice", hub.password)
    alice.ask_to_start()
    alice.wait_ready()
    yield alice
    if alice.servers():
        alice.ask_to_stop()
        alice.wait_gone()


def test_token_is_private(alice: HubUser, hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """Only alice's processes and private files hold her token; the store, the logs, YARN and the database do not."""
    cluster = kerberos_cluster
    (application,) = unfinished(cluster, "alice")
    ours = [p for p in processes() if environment(p).get("SKEIN_APPLICATION_ID") == application]
    holders = [p for p in ours if "JUPYTERHUB_API_TOKEN" in environment(p)]
    (token,) = {environment(p)["JUPYTERHUB_API_TOKEN"] for p in holders}

    # Nobody but alice has a process that holds it, and no process names it.
    owner = holders[0].stat().st_uid
    assert owner >= 1000
    assert [p for p in processes() if p.stat().st_uid != owner and token in str(environment(p))] == []
    assert [command(p) for p in processes() if token in command(p)] == []
    # The application master's own environment, which YARN writes into launch_container.sh, has no secret at all.
    masters = [p for p in ours if "com.anaconda.skein.ApplicationMaster" in command(p)]
    assert masters
    assert not [name for p in masters for name in environment(p) if name in SECRETS]

    # On the nodes it is in one localized file, and in those of Jupyter's runtime folder, which only alice can read.
    on_nodes = [path for path in containing(cluster.directory, token.encode()) if not path.name.startswith("blk_")]
    assert {path.name for path in on_nodes if ".jupyter-runtime" not in path.parts} == {"yarnspawner.env"}
    assert [path for path in on_nodes if not is_private(path, owner)] == []

    # In HDFS it is in alice's own folder, which nobody else can enter.
    listing = cluster.hdfs("-ls", "-R", "/user/alice/.skein", user="alice")
    (line,) = [line for line in listing.splitlines() if line.endswith("/yarnspawner.env")]
    assert line.startswith("-rw-------")

    # Not in the store, not in YARN's answers, not in the hub's log, and not in its database.
    assert token not in alice.run(STORE)
    assert token not in json.dumps(cluster.applications())
    assert token not in hub.log.read_text(errors="replace")
    assert containing(hub.folder, token.encode()) == []

    alice.ask_to_stop()
    alice.wait_gone()
    logs = cluster.run(["yarn", "logs", "-applicationId", application], user="alice").stdout
    assert "launch_container" in logs or "prelaunch" in logs or "application" in logs
    assert token not in logs


def is_private(path: Path, owner: int) -> bool:
    """Whether it is its owner's, who alone (and YARN's group) can enter one of the folders above it."""
    return path.stat().st_uid == owner and any(
        stat.S_IMODE(folder.stat().st_mode) & 0o007 == 0 for folder in path.parents
    )


def test_store_credentials_are_sealed(alice: HubUser, hub: Hub) -> None:
    """The hub's database holds the credentials of the store only in sealed form."""
    with sqlite3.connect(hub.folder / "jupyterhub.sqlite") as database:
        states = [json.loads(state) for (state,) in database.execute("select state from spawners") if state]
    (state,) = [state for state in states if state.get("application_id")]
    assert state["sealed"]
    assert b"PRIVATE KEY" not in (hub.folder / "jupyterhub.sqlite").read_bytes()


def test_hub_environment_is_private(alice: HubUser, hub: Hub) -> None:
    """No variable of the hub's own environment reaches the container."""
    names = alice.run("import os; print(' '.join(os.environ))").split()
    assert "CONFIGPROXY_AUTH_TOKEN" not in names
    assert not [name for name in names if name.startswith("YARNSPAWNER_DEMO")]


def test_home_and_runtime_folder(alice: HubUser) -> None:
    """HOME is alice's own folder, and Jupyter's runtime and data folders are private and writable."""
    printed = alice.run(
        "import glob, json, os, stat; from jupyter_core.paths import jupyter_runtime_dir, jupyter_data_dir\n"
        "[server] = glob.glob(f'{jupyter_runtime_dir()}/jpserver-*.json')\n"
        "print(os.environ['HOME'], json.load(open(server))['root_dir'])\n"
        "for folder in (jupyter_runtime_dir(), jupyter_data_dir()):\n"
        "    os.makedirs(folder, exist_ok=True)\n"
        "    print(oct(stat.S_IMODE(os.stat(folder).st_mode) & 0o007), os.access(folder, os.W_OK))"
    ).split()
    home = str(Path("~alice").expanduser())
    assert printed[:2] == [home, home]
    assert printed[2:] == ["0o0", "True", "0o0", "True"]


def test_attack_yarn_pages(alice: HubUser, hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """YARN's pages, logs and command lines show no secret, and bob sees nothing inside alice's application."""
    (application,) = [
        app for app in kerberos_cluster.applications() if app["id"] in unfinished(kerberos_cluster, "alice")
    ]
    token = alice.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'], end='')")
    key = alice.run(
        "import skein; print(skein.Security.from_default()._get_bytes('key').decode().splitlines()[2], end='')"
    )
    manager = kerberos_cluster.active_resource_manager_url()
    name = application["id"]
    pages = [
        application["amContainerLogs"],
        *(f"{application['amContainerLogs']}/{log}/?start=0" for log in ("application.master.log", "prelaunch.out")),
        f"{manager}/cluster/app/{name}",
        f"{manager}/ws/v1/cluster/apps/{name}",
        f"{manager}/ws/v1/cluster/apps/{name}/appattempts",
        f"{manager}/conf",
        *(f"{manager}/proxy/{name}/{page}" for page in ("", "kv", "services")),
    ]

    def read(page: str, user: str) -> str:
        curl = ["curl", "--silent", "--location-trusted", "--max-time", "30", "--negotiate", "--user", ":"]
        return str(kerberos_cluster.run([*curl, page], user=user).stdout)

    seen = {page: read(page, "alice") for page in pages}
    assert name in seen[f"{manager}/ws/v1/cluster/apps/{name}"]
    for page, text in seen.items():
        assert token not in text, page
        assert key not in text, page
    # Bob sees that there is an application, and nothing that is in it.
    for page in pages[:3] + pages[-3:]:
        text = read(page, "bob")
        assert "not authorized" in text or "not allowed" in text or "403" in text or "Unauthorized" in text, (
            page,
            text,
        )

    # Neither is the store's key in a process's arguments, in a node's folders but alice's own, or in what YARN remembers.
    assert [command(p) for p in processes() if key in command(p)] == []
    found = [path for path in containing(kerberos_cluster.directory, key.encode()) if not path.name.startswith("blk_")]
    owner = Path("~alice").expanduser().stat().st_uid
    assert [path for path in found if not is_private(path, owner)] == []
    assert key not in hub.log.read_text(errors="replace")
    assert containing(hub.folder, key.encode()) == []
