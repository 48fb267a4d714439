"""Starts that fail on a real cluster, and what their users are told after how long.

With --record, the table of docs/provoked.md is written anew.
"""

from __future__ import annotations

import re
import socket
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from demo.hub import Hub
from demo.visitor import AnswerError, VisitError
from localhadoop import LocalHadoop
from tests.support import breaking
from tests.support.breaking import Site
from tests.support.hub_user import START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size, running

CONFIGURATION = Path(__file__).parent.parent / "support" / "jupyterhub_config_causes.py"
RECIPE = "python -m yarnspawner.singleuser"
BROKEN = "hdfs:///user/alice/in-hdfs.tar.gz"

PAGE = Path(__file__).resolve().parents[2] / "docs" / "provoked.md"
BEGIN = "<!-- The table is written by `pytest tests/cluster/test_causes.py --record`. -->"
END = "<!-- End of the table. -->"
PORT = 42300

# Each start that fails, the code of its cause, and what provokes it. Those of one list are under way at the same time.
REFUSED = [
    ("no-queue", "queue-unknown", "a queue that does not exist"),
    ("queue-of-queues", "queue-not-leaf", "a queue with child queues"),
    ("queue-stopped", "queue-stopped", "a stopped queue"),
    ("too-large", "size-over-maximum", "100 GiB of memory, by the hub's configuration"),
    ("too-many-gpus", "options-refused", "GPUs on a cluster without any"),
    ("no-label", "node-label-denied", "a node label that does not exist"),
    ("no-file-in-hdfs", "file-missing", "a file that is not in HDFS"),
    ("no-file-here", "file-missing", "a file that is not on the hub's host"),
]
REFUSED_TOO = [
    ("no-such-scheme", "file-system-unknown", "a file with an unknown URL scheme"),
    ("file-of-bob", "hdfs-denied", "a file in HDFS of another user"),
    ("system-account", "account-refused", "a system account as Hadoop user"),
    ("not-impersonated", "impersonation-refused", "a Hadoop user whom the hub may not impersonate"),
    ("wrong-template", "setting-invalid", "a queue with an unknown placeholder"),
    ("own-code", "setting-failed", "a queue from code of the site, which raises an error"),
    ("no-keytab", "keytab-missing", "a keytab that does not exist"),
    ("no-principal", "keytab-incomplete", "a keytab without a principal"),
    ("no-such-profile", "options-refused", "a profile that is not offered"),
]
ENVIRONMENTS = [
    ("prologue", "prologue-failed", "a prologue whose command fails"),
    ("no-python", "environment-missing", "a command in an environment that does not exist"),
    ("no-yarnspawner", "yarnspawner-missing", "an environment without yarnspawner"),
    ("no-module", "module-missing", "an environment without a module"),
    ("no-jupyter", "jupyter-missing", "an environment without JupyterHub"),
    ("no-jupyterlab", "jupyterlab-missing", "an environment without JupyterLab"),
]
COMMANDS = [
    ("disk-full", "disk-full", "a write to a full disk (/dev/full)"),
    ("no-permission", "node-permission", "a file on the node that only root may read"),
    ("no-class", "hadoop-classes", "a Java class that does not exist"),
    ("little-memory", "memory-at-start", "a limit of virtual memory (ulimit -v)"),
    ("exits", "exit-status", "a command that exits with status 3"),
    ("kills-itself", "killed-memory", "a command that SIGKILL ends"),
]
SERVERS = [
    ("no-port", "no-free-port", "a port_range without a free port"),
    ("wrong-data", "data-not-accepted", "an address that is no JSON"),
    ("nobody-listens", "server-unreachable", "an address that does not answer"),
    ("another-server", "wrong-server", "the address of another web server"),
    ("not-public", "file-not-public", "a public file in a private folder of HDFS"),
]
ENDS = [
    ("wrong-option", "server-reported", "an option that Jupyter does not accept"),
    ("no-hub", "hub-unreachable", "a hub that the node cannot reach"),
    ("lives-short", "lifetime-reached", "a maximum_lifetime of 30 s, and a command that never listens"),
]
LISTS = {"refused": REFUSED, "refused, too": REFUSED_TOO, "environments": ENVIRONMENTS, "commands": COMMANDS}
LISTS |= {"servers": SERVERS, "ends": ENDS}
# Those that other tests provoke.
OTHERS = [
    ("ends", "ended-before-listening", "a command that ends with status 0"),
    ("no-program", "program-missing", "a program that does not exist"),
    ("no-command", "command-missing", "a command that is not on PATH"),
    ("not-executable", "program-not-executable", "a folder as command"),
    ("jupyterhubs-own", "not-our-command", "JupyterHub's own command, started by a shell"),
    ("no-archive-here", "setting-invalid", "an environment on the hub's host that is no archive"),
    ("no-archive-in-hdfs", "archive-broken", "an environment in HDFS that is no archive"),
    ("sleeps", "never-listened", "a command that never listens, start_timeout 100 s"),
    ("is-killed", "killed-by-user", "`yarn application -kill` by the user"),
    ("waits", "queue-masters", "a full queue, start_timeout 60 s"),
    ("quota", "hdfs-quota", "a full quota of the user's home in HDFS"),
    ("no-home", "hdfs-home-missing", "no home of the user in HDFS"),
    ("safe-mode", "hdfs-safe-mode", "HDFS in safe mode, start_timeout 45 s"),
    ("no-resource-manager", "hadoop-unavailable", "a stopped ResourceManager, start_timeout 45 s"),
]
_TOLD: dict[str, Told] = {}

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Told:
    """What a user was told of a start that failed, and after how many seconds.

    Attributes:
        message: what the hub says of the start.
        page: the page of the start, as text.
        seconds: since the user asked for the start.
        since: seconds since its application had ended in YARN; None if it had not, or there is none.
    """

    message: str
    page: str
    seconds: float
    since: float | None = None

    @property
    def code(self) -> str:
        """The stable name of the cause."""
        found = re.search(r" Code: ([a-z-]+) ", self.page)
        return found[1] if found else "options-refused"  # which has no details


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write the table once all tests have run. Rows of tests that did not run stay."""
    yield
    if not (request.config.getoption("--record") and _TOLD):
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in old.strip().splitlines()[2:]}
    known = [entry for entries in LISTS.values() for entry in entries] + OTHERS
    for name, _, what in known:
        if told := _TOLD.get(name):
            since = "" if told.since is None else f"{told.since:.0f}"
            message = told.message.removeprefix("Spawn failed: ").replace("|", "\\|").replace("`", "'")
            message = f"`{textwrap.shorten(message, 300)}`"
            rows[what] = f"| {what} | `{told.code}` | {message} | {told.seconds:.0f} | {since} |"
    lines = [
        "| What was wrong | Code | What the user read | Seconds | After the end |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [rows[what] for _, _, what in known if what in rows]
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


@pytest.fixture(scope="module")
def hub(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    put = ["hdfs", "dfs", "-put", "-f", "-", BROKEN]
    kerberos_cluster_of_session.run(put, user="alice", input="This is no archive, either.\n", check=True)
    for user, folder_in_hdfs in (("alice", "/user/alice/own"), ("bob", "/user/bob/private")):
        kerberos_cluster_of_session.run(["hdfs", "dfs", "-mkdir", "-p", folder_in_hdfs], user=user, check=True)
        kerberos_cluster_of_session.run(["hdfs", "dfs", "-chmod", "700", folder_in_hdfs], user=user, check=True)
        put = ["hdfs", "dfs", "-put", "-f", "-", f"{folder_in_hdfs}/data"]
        kerberos_cluster_of_session.run(put, user=user, input="Data.\n", check=True)
    settings = {"CAUSES_BROKEN_ARCHIVE": BROKEN, "CAUSES_PORT": str(PORT)}
    with running(kerberos_cluster_of_session, folder, configuration=CONFIGURATION, settings=settings) as hub:
        yield hub


def fail(
    hub: Hub, cluster: LocalHadoop, *profiles: str, meanwhile: Callable[[], object] = lambda: None
) -> dict[str, Told]:
    """Do the same as `start_all`, and wait until the user has no application."""
    found = start_all(hub, cluster, *profiles, meanwhile=meanwhile)
    until(lambda: not unfinished(cluster, "alice"), START, "ended")
    return found


def start_all(
    hub: Hub, cluster: LocalHadoop, *profiles: str, meanwhile: Callable[[], object] = lambda: None
) -> dict[str, Told]:
    """Start a server of each profile at the same time, and return what their user is told.

    Args:
        hub: the hub.
        cluster: its cluster.
        profiles: names of profiles.
        meanwhile: called while they start.
    """

    def start(profile: str) -> Told:
        user = HubUser(hub.address, "alice", hub.password)
        begun = time.monotonic()
        try:
            user.ask_to_start(profile, {"profile": profile}, wait=60)
            message = user.refusal(profile, START)
        except AnswerError:  # it failed before JupyterHub answered the request, and the page says why
            message = ""
        except VisitError as error:  # it did not fail, and the others go on
            message = f"NOT TOLD: {error}"
            user.ask_to_stop(profile)
        seconds, now = time.monotonic() - begun, time.time()
        page = user.page(f"/hub/spawn-pending/alice/{profile}")
        if not message:
            found = re.search(r"has failed\. (.*?)(?: For your administrator| Would you like)", page)
            message = found[1] if found else page
        told = Told(message, page, seconds, now - ended if (ended := end_of(cluster, page)) and ended < now else None)
        print(f"{profile} ({told.code}) after {told.seconds:.1f} s, {told.since} since its end: {message}\n{page}\n")
        _TOLD[profile] = replace(told, message=message.replace(str(hub.folder), "/srv/hub"))
        return told

    with ThreadPoolExecutor(len(profiles)) as pool:
        starts = [pool.submit(start, profile) for profile in profiles]
        meanwhile()
        return dict(zip(profiles, [start.result() for start in starts], strict=True))


def end_of(cluster: LocalHadoop, page: str) -> float | None:
    """When the application that a page names had ended by itself, in Unix seconds."""
    found = re.search(r" Application: (application_\d+_\d+) ", page)
    for application in cluster.applications() if found else []:
        if found and application["id"] == found[1] and application["finalStatus"] != "KILLED":
            return float(application["finishedTime"]) / 1000
    return None


def test_command_ends_or_missing(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """A command that ended is no server that ended, and a program that was not found is named."""
    told = fail(hub, kerberos_cluster, "ends", "no-program", "no-command", "jupyterhubs-own")
    assert "exit status 0 before it listened" in told["ends"].message
    assert RECIPE in told["ends"].message
    assert "The program /no/such/program was not found" in told["no-program"].message
    assert RECIPE in told["jupyterhubs-own"].message
    assert "The command jupyter-nonsense was not found" in told["no-command"].message


def test_causes_in_own_container(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """A server that has a container of its own fails with the same words."""
    told = fail(hub, kerberos_cluster, "ends-in-service", "no-program-in-service", "not-executable")
    assert "exit status 0 before it listened" in told["ends-in-service"].message
    assert "The program /no/such/program was not found" in told["no-program-in-service"].message
    assert "The node cannot execute" in told["not-executable"].message


def test_environment_no_archive(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """An environment that is no archive is named: at once on the hub's host, and without a search for a log."""
    since = log_size(hub)
    told = fail(hub, kerberos_cluster, "no-archive-here", "no-archive-in-hdfs")
    assert f"{hub.folder}/broken.tar.gz is no archive" in told["no-archive-here"].message
    assert told["no-archive-here"].seconds < 5
    assert "The archive in-hdfs.tar.gz" in told["no-archive-in-hdfs"].message
    assert "The log of" not in log_of(hub, since)


def test_a_command_that_never_listens(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """The page shows the end of the running container's log, which comes from its node."""
    told = fail(hub, kerberos_cluster, "sleeps", "sleeps-in-service")
    for failed in told.values():
        assert "runs, but did not report an address within 100 seconds" in failed.message
        assert RECIPE in failed.message
        assert "said before it sleeps" in failed.page
        assert failed.seconds < 120


@pytest.mark.parametrize("name", LISTS)
def test_provoked(name: str, hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """Each start fails with its own cause."""
    codes = {profile: code for profile, code, _ in LISTS[name]}
    # Another program has the only port of one of them.
    with socket.create_server(("", PORT)):
        told = fail(hub, kerberos_cluster, *codes)
    assert {profile: one.code for profile, one in told.items()} == codes


def test_killed(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """An application that its user kills while it starts."""

    def kill() -> None:
        until(lambda: unfinished(kerberos_cluster, "alice"), START, "submitted")
        time.sleep(5)
        for application_id in unfinished(kerberos_cluster, "alice"):
            kerberos_cluster.run(["yarn", "application", "-kill", application_id], user="alice", check=True)

    assert fail(hub, kerberos_cluster, "is-killed", meanwhile=kill)["is-killed"].code == "killed-by-user"


def test_full_queue(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """A start in a full queue says why it waits, and how many have waited longer."""
    user = HubUser(hub.address, "alice", hub.password)
    user.ask_to_start("fills-queue", {"profile": "fills-queue"}, wait=60)
    user.wait_told("runs on", "fills-queue")

    def listen() -> None:
        until(lambda: len(unfinished(kerberos_cluster, "alice")) > 1, START, "submitted")
        user.wait_told("Waiting in queue", "waits")

    try:
        told = start_all(hub, kerberos_cluster, "waits", meanwhile=listen)["waits"]
    finally:
        user.ask_to_stop("fills-queue")
    until(lambda: not unfinished(kerberos_cluster, "alice"), START, "ended")
    assert told.code.startswith("queue-")
    assert "so far" in told.page or "Waiting in queue" in told.page


@contextmanager
def no_quota(site: Site) -> Iterator[None]:
    """The user's home in HDFS is full"""
    with breaking._dfsadmin(site, ["-setSpaceQuota", "1", "/user/alice"], ["-clrSpaceQuota", "/user/alice"]):
        yield


@contextmanager
def no_resource_manager(site: Site) -> Iterator[None]:
    """The ResourceManager is stopped"""
    (daemon,) = [daemon for daemon in site.cluster.daemons.values() if daemon.name.startswith("resourcemanager")]
    daemon.kill()
    try:
        yield
    finally:
        daemon.start()
        site.cluster.wait_ready(180)


def test_outages(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """What HDFS and YARN do to a start, one after the other."""
    site = Site(kerberos_cluster, hub.folder, {}, [])
    outages = {"quota": no_quota, "no-home": breaking.no_home, "safe-mode": breaking.safe_mode}
    outages["no-resource-manager"] = no_resource_manager
    codes = {}
    for profile, broken in outages.items():
        with broken(site):
            codes |= {name: told.code for name, told in start_all(hub, kerberos_cluster, profile).items()}
        until(lambda: not unfinished(kerberos_cluster, "alice"), START, "ended")
    assert codes == {profile: code for profile, code, _ in OTHERS if profile in outages}
