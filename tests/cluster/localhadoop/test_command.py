"""The command line, as a person uses it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localhadoop import LocalHadoop, LocalHadoopError
from localhadoop.paths import cache_directory

CHECKOUT = Path.cwd()


class BrowserUser:
    """Someone at a terminal with clusters of their own."""

    def __init__(self, home: Path, user: str | None = None) -> None:
        self.home, self.user = home, user
        self.environment = {
            **os.environ,
            "LOCALHADOOP_HOME": str(home),
            "LOCALHADOOP_CACHE": str(cache_directory()),
            "PYTHONPATH": str(CHECKOUT),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "localhadoop", *words],
            env=self.environment,
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=self.user,
            start_new_session=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, error = process.communicate(timeout=240)
        return subprocess.CompletedProcess(words, process.returncode, out, error)

    def processes(self) -> list[str]:
        """The command lines that have to do with these clusters."""
        found = []
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.home) in line:
                found.append(line)
        return found


@pytest.fixture
def person(tmp_path):
    somebody = BrowserUser(tmp_path / "clusters")
    yield somebody
    somebody.run("down")


def test_up_status_shell_logs_down(person, monkeypatch):
    """The commands up, status, shell, logs and down work on one cluster from its start to its end."""
    up = person.run("up")
    assert up.returncode == 0, up.stderr
    assert re.search(r"\[ *\d+\.\d s\] Starting namenode", up.stdout)
    assert "python -m localhadoop down" in up.stdout
    assert f"Logs: {person.home}/default/logs" in up.stdout
    exports = dict(re.findall(r"^  export (\w+)=(.*)$", up.stdout, re.MULTILINE))
    assert {"JAVA_HOME", "HADOOP_CONF_DIR", "PATH"} <= set(exports)

    status = person.run("status")
    assert status.returncode == 0
    assert len(re.findall(r"pid \d+", status.stdout)) == 4
    assert "RUNNING, 0 containers" in status.stdout

    again = person.run("up")
    assert (again.returncode, again.stdout) == (1, "")
    assert re.fullmatch(r"localhadoop: there is a running cluster in .*\n", again.stderr)

    shell = person.run("shell", "--user", "alice", "hdfs", "dfs", "-touch", "from-alice")
    assert shell.returncode == 0, shell.stderr
    assert "from-alice" in person.run("shell", "--user", "alice", "--", "hdfs", "dfs", "-ls").stdout
    assert person.run("shell", "sh", "-c", "exit 7").returncode == 7
    assert "export HADOOP_CONF_DIR=" in person.run("shell", "--print").stdout
    assert "export HADOOP_USER_NAME=alice" in person.run("shell", "--user", "alice", "--print").stdout

    assert "namenode" in person.run("logs").stdout
    assert len(person.run("logs", "namenode", "--lines", "3").stdout.splitlines()) == 3
    assert "there is no log of 'nobody'" in person.run("logs", "nobody").stderr

    monkeypatch.setenv("LOCALHADOOP_HOME", str(person.home))
    with LocalHadoop.attach() as cluster:
        cluster.daemons["datanode"].kill()
        assert " down " in person.run("status").stdout
        cluster.restore()
    assert person.run("status").returncode == 0, "leaving an attached cluster does not end it"

    down = person.run("down")
    assert (down.returncode, down.stdout) == (0, "Ended\n")
    assert person.processes() == []
    assert not (person.home / "default").exists()
    assert person.run("status").returncode == 3
    again = person.run("down")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)


def test_ctrl_c_during_up(person):
    """Ctrl-C during the command up leaves no process."""
    up = person.start("up")
    for line in up.stdout:
        if "Starting namenode" in line:
            break
    time.sleep(1)
    assert person.processes()
    os.killpg(up.pid, signal.SIGINT)
    _, error = up.communicate(timeout=60)
    assert up.returncode == 130
    assert "interrupted, nothing is left running" in error
    assert person.processes() == []


def test_failed_daemon_is_named(person):
    """The command up names a daemon that does not start, keeps its log and leaves no process."""
    up = person.run("up", "--property", "yarn.resourcemanager.scheduler.class=no.such.Scheduler")
    assert up.returncode == 1
    assert re.fullmatch(r"localhadoop: resourcemanager ended with status \d+: .*no\.such\.Scheduler.*\n", up.stderr)
    log = Path(re.search(r"\(see (.*)\)", up.stderr)[1])
    assert "no.such.Scheduler" in log.read_text(), "the log is kept where the message says"
    shutil.rmtree(log.parent)
    assert person.processes() == []


@pytest.mark.full
def test_two_starts_at_once(person):
    """A second start of the same cluster at the same time fails, and the first one succeeds."""
    first = person.start("up")
    for line in first.stdout:
        if "Starting" in line:
            break
    second = person.run("up")
    assert second.returncode == 1
    assert "another process is starting a cluster" in second.stderr or "running cluster" in second.stderr
    first.communicate(timeout=120)
    assert first.returncode == 0


@pytest.mark.full
def test_simple_cluster_needs_no_root(tmp_path_factory, simple_cluster):
    """A user without root can start a simple cluster but no Kerberos cluster."""
    # A folder that alice can enter; the fixture's cluster has filled the cache.
    if os.geteuid():
        pytest.skip("only root can become alice; the other tests have shown it")
    try:
        alice = pwd.getpwnam("alice")
    except KeyError:
        pytest.skip("there is no user alice on this machine")
    home = Path(alice.pw_dir) / f"clusters-{os.getpid()}"
    person = BrowserUser(home, user="alice")
    person.environment |= {"HOME": alice.pw_dir}
    try:
        up = person.run("up")
        assert up.returncode == 0, up.stderr
        listed = person.run("shell", "hdfs", "dfs", "-ls", "/user").stdout
        assert re.search(r"alice .*/user/alice", listed)
        kerberos = person.run("up", "--name", "secure", "--kerberos")
        assert (kerberos.returncode, kerberos.stdout) == (1, "")
        assert re.fullmatch(r"localhadoop: a kerberos cluster needs root: .*\n", kerberos.stderr)
    finally:
        person.run("down")
    assert person.processes() == []


def test_attach_without_cluster(tmp_path):
    """An attempt to attach to a folder without a cluster fails with a message."""
    with pytest.raises(LocalHadoopError, match="there is no cluster in"):
        LocalHadoop.attach(directory=tmp_path)
