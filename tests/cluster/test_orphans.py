"""Applications that no server owns, on real clusters: swept by the hub and by hand, and only where they are the hub's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import END, START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size, running

CONFIGURATION = Path(__file__).resolve().parents[1] / "support" / "jupyterhub_config_sweeps.py"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def cluster(request: pytest.FixtureRequest, kind: str) -> Iterator[LocalHadoop]:
    """A cluster of that kind; what a test leaves on it is ended."""
    cluster: LocalHadoop = request.getfixturevalue(f"{kind}_cluster")
    yield cluster
    if left := unfinished(cluster):
        cluster.run(["yarn", "application", "-kill", *left], user="yarn" if cluster.kerberos else None)


@pytest.fixture
def hub_in(cluster: LocalHadoop, tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    """Starts a hub in a folder of that name, which may exist; it ends with the test."""
    with ExitStack() as stack:

        def start(name: str, **settings: str) -> Hub:
            (tmp_path / name).mkdir(exist_ok=True)
            hub = running(cluster, tmp_path / name, configuration=CONFIGURATION, settings=settings)
            return stack.enter_context(hub)

        yield start


def started(hub: Hub, name: str) -> HubUser:
    """A user whose server runs."""
    member = HubUser(hub.address, name, hub.password)
    member.ask_to_start()
    member.wait_ready()
    return member


def change(hub: Hub, statement: str, *values: str) -> None:
    """Change the database of a hub that does not run."""
    assert not hub.running
    database = sqlite3.connect(hub.folder / "jupyterhub.sqlite")
    with database:
        assert database.execute(statement, values).rowcount == 1
    database.close()


def forget_servers(hub: Hub, user: str) -> None:
    change(hub, "DELETE FROM spawners WHERE user_id = (SELECT id FROM users WHERE name = ?)", user)


def audited(text: str, event: str) -> list[dict[str, Any]]:
    """The audit's lines of that event, in a log."""
    lines = [line[line.index("{") :] for line in text.splitlines() if '"event": ' in line]
    return [line for line in map(json.loads, lines) if line["event"] == event]


def command(hub: Hub, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """An admin's command in the hub's folder."""
    words = [sys.executable, "-m", "yarnspawner.cli.main", *arguments, "-f", str(hub.configuration)]
    done = subprocess.run(
        words, cwd=hub.folder, env=hub.environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def kill_application_master(application: str) -> None:
    """End the Java process of an application's first container, as a lost node would."""
    # Its name has the ResourceManager's epoch in it once that was restarted.
    container = application.removeprefix("application").encode() + b"_01_000001"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            java = words[0].endswith(b"java") and b"com.anaconda.skein.ApplicationMaster" in words
            if java and container in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def folders(cluster: LocalHadoop, user: str) -> str:
    """What skein's applications have left in a user's home."""
    return cluster.run(["hdfs", "dfs", "-ls", ".skein"], user=user).stdout


#: On both kinds, of which the fast tier has one.
BOTH = pytest.mark.parametrize("kind", [pytest.param("simple", marks=pytest.mark.full), "kerberos"])
IN_FULL = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.full) for kind in ("simple", "kerberos")]
)


@BOTH
def test_orphan_is_killed(hub_in: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """A hub kills its application that no server owns, and no application of its own servers or of another hub."""
    hub, other = hub_in("hub"), hub_in("other")
    # A hub that owns nothing of what runs sweeps nothing.
    started(hub, "bob")
    (kept,) = unfinished(cluster, "bob")
    started(hub, "alice")
    bob = started(other, "bob")
    (orphan,), (neighbour,) = unfinished(cluster, "alice"), set(unfinished(cluster, "bob")) - {kept}
    hub.kill()
    forget_servers(hub, "alice")
    hub.start()
    # Nobody logs in to it, and still:
    until(lambda: not unfinished(cluster, "alice"), END, "ended")
    until(lambda: audited(log_of(hub), "ended"), END, "told")
    assert sorted(unfinished(cluster)) == sorted([kept, neighbour])
    (end,) = audited(log_of(hub), "ended")
    assert (end["application"], end["by"], end["final_status"]) == (orphan, "sweep", "KILLED")
    # The other hub has swept all the time, and bob's server has noticed nothing.
    assert bob.servers()[""]["ready"]
    bob.ask_to_stop()
    bob.wait_gone()
    ended = audited(log_of(other), "ended")
    assert [(line["user"], line["by"], line["final_status"]) for line in ended] == [("bob", "stop", "SUCCEEDED")]
    assert [line["application"] for line in audited(log_of(other), "submitted")] == [neighbour]
    assert [line["application"] for line in audited(log_of(other), "arrived")] == [neighbour]


@IN_FULL
def test_leftovers_in_hdfs(hub_in: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """A hub removes the folder that a killed application master leaves in HDFS, and no folder of others."""
    hub = hub_in("hub")
    alice = started(hub, "alice")
    (application,) = unfinished(cluster, "alice")
    # The folder of an application that is none of this hub's.
    foreign = "application_1000000000000_0001"
    cluster.hdfs("-mkdir", "-p", f"/user/alice/.skein/{foreign}", user="alice")
    kill_application_master(application)
    alice.wait_gone()
    until(lambda: audited(log_of(hub), "removed"), END, "removed")
    listed = folders(cluster, "alice")
    assert application not in listed and foreign in listed
    assert [line["application"] for line in audited(log_of(hub), "removed")] == [application]
    assert [(line["by"], line["final_status"]) for line in audited(log_of(hub), "ended")] == [("yarn", "FAILED")]
    cluster.hdfs("-rm", "-r", f"/user/alice/.skein/{foreign}", user="alice")


@IN_FULL
def test_copied_hub(hub_in: Callable[..., Hub], cluster: LocalHadoop, tmp_path: Path) -> None:
    """A copy of a hub sweeps no server that it does not know, and takes over none that it knows."""
    hub = hub_in("hub")
    alice = started(hub, "alice")
    bob = started(hub, "bob")
    (tmp_path / "copy").mkdir()
    for name in ("jupyterhub.sqlite", "jupyterhub_cookie_secret"):
        shutil.copy(hub.folder / name, tmp_path / "copy" / name)
    # bob's server is unknown to the copy, and alice's is in its database.
    with sqlite3.connect(tmp_path / "copy" / "jupyterhub.sqlite") as database:
        database.execute("DELETE FROM spawners WHERE user_id = (SELECT id FROM users WHERE name = 'bob')")
    before = sorted(unfinished(cluster))
    copy = hub_in("copy")
    until(lambda: "All servers were checked" in log_of(copy), START, "checked")
    assert "was started by another hub" in log_of(copy)
    assert "0 applications to stop and 0 folders" in command(copy, "sweep", "--dry-run", "--grace", "0").stdout
    command(copy, "sweep", "--grace", "0")
    assert sorted(unfinished(cluster)) == before
    assert alice.servers()[""]["ready"] and bob.servers()[""]["ready"]
    assert not audited(log_of(copy), "ended")


@IN_FULL
def test_new_database_in_same_folder(hub_in: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """A hub with a new database in the folder of another hub kills none of that hub's servers."""
    hub = hub_in("hub")
    alice = started(hub, "alice")
    before = unfinished(cluster)
    hub.kill()
    database = hub.folder / "jupyterhub.sqlite"
    database.rename(hub.folder / "away.sqlite")
    hub.start()
    until(lambda: "This hub sweeps nothing" in log_of(hub), START, "refused")
    refused = command(hub, "sweep", "--grace", "0", check=False)
    assert refused.returncode == 1 and "--moved" in refused.stderr
    hub.kill()
    (hub.folder / "away.sqlite").replace(database)
    size = log_size(hub)
    hub.start()
    until(lambda: "All servers were checked" in log_of(hub, size), START, "checked")
    assert unfinished(cluster) == before
    until(lambda: alice.servers()[""]["ready"], START, "ready")


@IN_FULL
def test_restarted_hub(hub_in: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """A restarted hub adopts its running and starting servers, and sweeps none of them."""
    hub = hub_in("hub")
    started(hub, "alice")
    bob = HubUser(hub.address, "bob", hub.password)
    bob.ask_to_start()
    until(lambda: unfinished(cluster, "bob"), START, "submitted")
    before = sorted(unfinished(cluster))
    hub.kill()
    hub.start()
    bob = HubUser(hub.address, "bob", hub.password)
    bob.wait_ready()
    until(lambda: "All servers were checked" in log_of(hub), START, "checked")
    assert "0 applications to stop" in command(hub, "sweep", "--dry-run", "--grace", "0").stdout
    assert sorted(unfinished(cluster)) == before
    assert {line["application"] for line in audited(log_of(hub), "adopted")} == set(before)


@IN_FULL
def test_sweep_by_hand(hub_in: Callable[..., Hub], cluster: LocalHadoop) -> None:
    """An admin lists the applications and sweeps orphans by hand, while the hub runs and while it does not."""
    # This hub sweeps only when it is asked to.
    hub = hub_in("hub", SWEEP_INTERVAL="-1", SWEEP_GRACE="0")
    started(hub, "alice")
    (application,) = unfinished(cluster, "alice")
    bob = HubUser(hub.address, "bob", hub.password)
    bob.ask_to_start()
    until(lambda: unfinished(cluster, "bob"), START, "submitted")
    # While the hub runs, also what has just been submitted is known.
    listed = command(hub, "applications").stdout
    assert f"{application}  alice  (default)" in listed
    assert "orphan" not in listed
    command(hub, "sweep")
    bob.wait_ready()
    assert len(unfinished(cluster)) == 2
    # While it does not run, too.
    hub.kill()
    forget_servers(hub, "alice")
    listed = command(hub, "applications").stdout
    assert [(line.split()[1], line.split()[-1]) for line in listed.splitlines()[1:]] == [
        ("alice", "orphan"),
        ("bob", "known"),
    ]
    assert f"would stop {application}" in command(hub, "sweep", "--dry-run").stdout
    assert len(unfinished(cluster)) == 2
    swept = command(hub, "sweep")
    assert "Stopped 1 application and removed " in swept.stdout
    assert [line["application"] for line in audited(swept.stderr, "ended")] == [application]
    assert len(unfinished(cluster)) == 1
    assert application not in folders(cluster, "alice")
