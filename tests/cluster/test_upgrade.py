"""A hub with running servers is upgraded from an older version of this package, and keeps them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import revision
from demo.hub import CONFIGURATION, Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import END, START, HubUser, applications, unfinished, until
from tests.support.hubs import log_of, log_size, running

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

# The last commit before the spawner was composed of collaborators.
OLD = "7b7676f"


@pytest.fixture(scope="module")
def old_package() -> Iterator[Path]:
    """The older version, where every user can read it."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(revision.unpacked(OLD))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this clone has no commit {OLD}: {error.stderr.decode().strip()}")
        yield folder


@pytest.mark.parametrize("kind", ["simple", "kerberos"])
def test_upgrade_keeps_servers(kind: str, old_package: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A hub that is upgraded from an older version keeps its servers, and a pending start completes."""
    cluster: LocalHadoop = request.getfixturevalue(f"{kind}_cluster")
    old_settings = tmp_path / "old_config.py"
    old_settings.write_text(revision.configuration(old_package))
    variables = revision.environment(old_package)
    with running(cluster, tmp_path, configuration=old_settings, settings=variables) as hub:
        alice, bob = (HubUser(hub.address, name, hub.password) for name in ("alice", "bob"))
        alice.ask_to_start()
        alice.wait_ready()
        where = "import os, yarnspawner; answer = 42; print(yarnspawner.__file__)"
        assert alice.run(where).startswith(str(old_package))
        alice.ask_to_start("second")
        alice.wait_ready("second")
        before = applications(cluster, "alice")
        bob.ask_to_start()
        until(lambda: unfinished(cluster, "bob"), START, "submitted")
        hub.kill()

        hub.configuration, hub.settings = CONFIGURATION, {}
        since = log_size(hub)
        hub.start()
        _kept(hub, alice, bob, cluster, before)
        log = log_of(hub, since)
    assert "Traceback" not in log, log


def _kept(hub: Hub, alice: HubUser, bob: HubUser, cluster: LocalHadoop, before: dict[str, str]) -> None:
    again = HubUser(hub.address, "alice", hub.password)
    again.wait_ready("", "second", timeout=END)
    again.take_kernel_of(alice)
    assert again.run("print(answer)") == "42\n"
    assert applications(cluster, "alice") == before
    # A start that was under way goes on as well.
    late = HubUser(hub.address, bob.name, hub.password)
    late.wait_ready(timeout=START)
    assert late.run("print(6 * 7)") == "42\n"

    # They stop in order, and what starts next is of the new version.
    for user, servers in ((again, ("", "second")), (late, ("",))):
        for server in servers:
            user.ask_to_stop(server)
        user.wait_gone(*servers)
    until(lambda: not unfinished(cluster), END, "without applications")
    ended = [app for app in cluster.applications() if app["id"] in before]
    assert {(app["state"], app["finalStatus"]) for app in ended} == {("FINISHED", "SUCCEEDED")}
    again.ask_to_start()
    again.wait_ready()
    fresh = HubUser(hub.address, "alice", hub.password)
    assert "/var/tmp" not in fresh.run("import yarnspawner; print(yarnspawner.__file__)")
    again.ask_to_stop()
    again.wait_gone()
