"""`yarnspawner check` on real clusters: healthy ones, interrupted, and with one thing broken at a time.

With --record, the table of docs/check.md is written anew.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.hub import CONFIGURATION, Hub
from localhadoop import LocalHadoop
from tests.support import breaking
from tests.support.breaking import Site, describe, what
from tests.support.hub_user import unfinished, until

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "check.md"
BEGIN = "<!-- The table is written by `pytest tests/cluster/test_check.py --record`. -->"
END = "<!-- End of the table. -->"
SERVER = "A real server"
NODES = "Nodes, from containers"

# What is broken, the steps to run, the step that must find it, its mark, and what it must say.
BREAKS: list[tuple[Any, tuple[str, ...], str, str, str]] = [
    (breaking.no_java, ("Java",), "Java", "wrong", "JAVA_HOME"),
    (breaking.no_commands, ("Hadoop's commands",), "Hadoop's commands", "wrong", "yarn"),
    (breaking.no_files, ("Hadoop's files", "Identity"), "Hadoop's files", "wrong", "HADOOP_CONF_DIR"),
    (breaking.local_file_system, ("Hadoop's files",), "Hadoop's files", "wrong", "fs.defaultFS"),
    (breaking.no_keytab, ("Keytab",), "Keytab", "wrong", "does not exist"),
    (breaking.other_keytab, ("Keytab",), "Keytab", "wrong", "bob@EXAMPLE.COM"),
    (breaking.open_keytab, ("Keytab",), "Keytab", "warning", "chmod 400"),
    (breaking.no_kdc, ("Login",), "Login", "wrong", "KDC does not answer"),
    (breaking.other_name, ("auth_to_local",), "auth_to_local", "wrong", "guest"),
    (breaking.system_account, ("Hadoop user",), "Hadoop user", "wrong", "hdfs"),
    (breaking.wrong_hub_name, ("Hub's address",), "Hub's address", "wrong", "hub_connect_ip"),
    (breaking.no_resource_manager, ("Web service",), "Web service", "wrong", "webapp.address"),
    (breaking.no_recovery, ("ResourceManager",), "Recovery", "wrong", "yarn.resourcemanager.recovery.enabled"),
    (breaking.no_acls, ("ACLs",), "ACLs", "wrong", "yarn.acl.enable"),
    (breaking.no_node_recovery, ("NodeManagers",), "Recovery", "wrong", "yarn.nodemanager.recovery.enabled"),
    (breaking.safe_mode, ("HDFS",), "NameNode", "wrong", "-safemode leave"),
    (breaking.no_home, ("The user's home",), "The user's home", "wrong", "-mkdir -p /user/alice"),
    (breaking.other_owner, ("The user's home",), "The user's home", "wrong", "belongs to bob"),
    (breaking.open_home, ("The hub's home",), "The hub's home", "warning", "/user/jupyterhub"),
    (breaking.small_quota, ("The user's quota",), "The user's quota", "wrong", "-setSpaceQuota"),
    (breaking.other_user, ("Impersonation",), "NameNode", "wrong", "alice,bob,carl"),
    (breaking.no_rules, ("Rules",), "Rules", "wrong", "hadoop.proxyuser.jupyterhub.hosts"),
    (breaking.stopped_queue, ("Queue",), "Queue", "wrong", "STOPPED"),
    (breaking.no_queue, ("Queue",), "Queue", "wrong", "root.default"),
    (breaking.large_server, ("Server size",), "Server size", "wrong", "maximum-allocation-mb"),
    (breaking.no_submission, ("Queue's ACL",), "Queue's ACL", "wrong", "acl_submit_applications"),
    (breaking.small_share, ("Masters' share",), "Masters' share", "wrong", "maximum-am-resource-percent"),
    (breaking.no_label, ("Node label",), "Node label", "wrong", "addToClusterNodeLabels"),
    (breaking.no_aggregation, ("Log aggregation",), "Log aggregation", "warning", "yarn.log-aggregation-enable"),
    (breaking.private_logs, ("Log aggregation",), "Log aggregation", "wrong", "chmod 1777 /tmp/logs"),
    (breaking.no_environment, (SERVER,), "Start and stop", "wrong", "/opt/nothing/bin/activate"),
    (breaking.no_way_to_hub, (NODES, "Cleaned up"), "Network", "wrong", "hub.invalid"),
]

_ROWS: list[tuple[str, str, str, str]] = []


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write the table once all tests have run. Rows of tests that did not run stay."""
    yield
    if not (request.config.getoption("--record") and _ROWS):
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in old.strip().splitlines()[2:]}
    rows |= {row[0]: f"| {' | '.join(row)} |" for row in _ROWS}
    lines = ["| What is broken | Step | Mark | What it says, and what to set or run |", "| --- | --- | --- | --- |"]
    lines += [rows[what(entry[0])] for entry in BREAKS if what(entry[0]) in rows]
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


def site_of(cluster: LocalHadoop, folder: Path) -> Site:
    hub = Hub(cluster, folder)
    return Site(cluster, folder, {**hub.environment, "EXAMPLE_CONFIGURATION": str(CONFIGURATION)}, [])


def command(site: Site, *arguments: str) -> list[str]:
    file = site.folder / "jupyterhub_config.py"
    file.write_text("\n".join(['import os; load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])', *site.lines]))
    return [sys.executable, "-m", "yarnspawner.cli.main", "check", "-f", str(file), "--user", site.user, *arguments]


def check(site: Site, *arguments: str) -> tuple[dict[str, Any], int]:
    """Run the command, and return what it found and its exit status."""
    done = subprocess.run(
        command(site, "--json", *arguments),
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


@pytest.mark.parametrize("kind", ["simple", "kerberos"])
def test_healthy(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """On a healthy cluster, nothing is wrong, a real server starts, both nodes answer, and nothing is left."""
    cluster: LocalHadoop = request.getfixturevalue(f"{kind}_cluster")
    site = site_of(cluster, tmp_path)
    document, status = check(site, "--nodes", "2", "--support-bundle", str(tmp_path / "bundle.tar.gz"))
    marks = {(step["group"], step["step"]): step["mark"] for step in document["steps"]}
    assert [step for step in document["steps"] if step["mark"] == "wrong"] == []
    assert [step for step in document["steps"] if step["mark"] == "unknown" and kind == "kerberos"] == []
    assert (status, document["ok"]) == (0, True)
    for name in ("Start and stop", "Cleaned up"):
        assert marks[SERVER, name] == "ok"
    assert marks[NODES, "Containers"] == "ok"
    assert unfinished(cluster) == []
    staged = cluster.run(["hdfs", "dfs", "-ls", ".skein"], user="alice")
    assert "application_" not in staged.stdout
    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        texts = [archive.extractfile(entry).read() for entry in archive]  # type: ignore[union-attr]
    content = b"\n".join(texts)
    for variable in ("YARNSPAWNER_DEMO_PASSWORD", "YARNSPAWNER_DEMO_ADMIN_PASSWORD"):
        assert site.environment[variable].encode() not in content
    assert b"YARNSPAWNER_DEMO_PASSWORD" in content


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted(kerberos_cluster: LocalHadoop, tmp_path: Path, number: signal.Signals) -> None:
    """A check that is interrupted while its server starts leaves nothing on the cluster."""
    site = site_of(kerberos_cluster, tmp_path)
    process = subprocess.Popen(
        command(site, "--only", SERVER), cwd=tmp_path, env=site.environment, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: unfinished(kerberos_cluster), 240, "an application of the check")
        time.sleep(1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "left behind" not in errors
    assert unfinished(kerberos_cluster) == []


@pytest.mark.parametrize(
    ("breaks", "only", "step", "mark", "says"), BREAKS, ids=[entry[0].__name__ for entry in BREAKS]
)
def test_broken(
    kerberos_cluster: LocalHadoop, tmp_path: Path, breaks: Any, only: tuple[str, ...], step: str, mark: str, says: str
) -> None:
    """The step that looks at what is broken says so, and names what to set or run."""
    site = site_of(kerberos_cluster, tmp_path)
    with breaks(site):
        document, status = check(site, *(word for name in only for word in ("--only", name)))
    found = next(entry for entry in document["steps"] if entry["step"] == step)
    assert found["mark"] == mark, document["steps"]
    assert status == (1 if mark == "wrong" else 0)
    remedies = [f"`{fix['property']} = {fix['value']}` in {fix['file']}" for fix in found["set"]]
    remedies += [f"`{words}`" for words in found["run"]]
    told = describe(site, " ".join([found["finding"], *(f"→ {remedy}" for remedy in remedies)]))
    assert says in told.replace("\\|", "|"), told
    _ROWS.append((what(breaks), step, mark, told))
    assert unfinished(kerberos_cluster) == []
