"""``yarnspawner kernel`` as alice, where the tutorial does not go: interrupted, refused, with a keytab."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localhadoop import LocalHadoop, kdc

COMMAND = [sys.executable, "-W", "ignore", "-m", "yarnspawner.command", "kernel", "--memory", "512MiB"]


class Alice:
    """Alice on an edge node of a cluster, with or without a ticket."""

    def __init__(self, cluster: LocalHadoop, home: Path) -> None:
        self.cluster = cluster
        self._home = home
        self._identity: dict[str, Any] = {}
        if cluster.kerberos:
            self._identity = kdc.identity("alice")
            os.chown(home, self._identity["user"], self._identity["group"])
        else:
            home.chmod(0o755)

    def start(self, *arguments: str, ticket: bool = True) -> subprocess.Popen[str]:
        environment = os.environ | self.cluster.environment() | {"HOME": str(self._home)}
        if not self.cluster.kerberos:
            environment["HADOOP_USER_NAME"] = "alice"
        elif ticket:
            environment |= kdc.ticket(self.cluster.settings, "alice")
        else:
            environment |= {
                "KRB5_CONFIG": str(self.cluster.settings.folder / "krb5.conf"),
                "KRB5CCNAME": "FILE:/nowhere",
            }
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment,
            cwd=self._home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self._identity,
        )

    def run(self, *arguments: str, ticket: bool = True) -> tuple[int, str, str]:
        process = self.start(*arguments, ticket=ticket)
        output, errors = process.communicate(timeout=200)
        return process.returncode, output, errors

    def application(self, text: str) -> dict[str, Any]:
        found = re.search(r"application_\d+_\d+", text)
        assert found, text
        return next(one for one in self.cluster.applications() if one["id"] == found[0])


@pytest.fixture(params=["simple_cluster", "kerberos_cluster"])
def alice(request: pytest.FixtureRequest) -> Iterator[Alice]:
    home = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="alice-"))
    yield Alice(request.getfixturevalue(request.param), home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.timeout(600)
def test_interrupted_while_it_waits_it_leaves_no_application(alice: Alice) -> None:
    process = alice.start("--no-console")
    assert process.stderr
    said = ""
    while "Waiting" not in said:
        said += process.stderr.readline()
        assert process.poll() is None, said
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    until = time.monotonic() + 30
    while alice.application(said)["state"] != "KILLED":
        assert time.monotonic() < until
        time.sleep(0.5)


@pytest.mark.timeout(600)
def test_a_kernel_that_cannot_start_says_why(alice: Alice) -> None:
    status, _, errors = alice.run("--no-console", "--port-range", "65535:65535")
    assert status == 1
    assert "A kernel needs five ports" in errors
    assert "yarnspawner kernel logs application_" in errors
    assert alice.application(errors)["finalStatus"] == "FAILED"


@pytest.mark.timeout(600)
def test_a_queue_that_does_not_exist_is_said(alice: Alice) -> None:
    status, _, errors = alice.run("--no-console", "--queue", "nowhere")
    assert status == 1
    assert "nowhere" in errors


@pytest.mark.timeout(600)
def test_a_keytab_does_in_place_of_a_ticket(alice: Alice) -> None:
    keytab, principal = alice.cluster.keytab("alice"), alice.cluster.principal("alice")
    if keytab is None or principal is None:
        pytest.skip("this is about Kerberos")
    login = ("--principal", principal, "--keytab", str(keytab))
    status, output, errors = alice.run("--no-console", "--require-encryption", *login, ticket=False)
    assert status == 0, errors
    file = Path(output.strip())
    assert file.stat().st_mode & 0o777 == 0o600
    status, _, errors = alice.run("stop", alice.application(errors)["id"], *login, ticket=False)
    assert status == 0, errors
    assert "FINISHED / SUCCEEDED" in errors
    assert not file.exists()
