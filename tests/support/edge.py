"""Alice on an edge node of a cluster, where she types `yarnspawner kernel`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect

from localhadoop import LocalHadoop, kdc

COMMAND = [sys.executable, "-W", "ignore", "-m", "yarnspawner.cli.main", "kernel", "--memory", "512MiB"]
PROMPT = r"In \[\d+\]: "


class Alice:
    """Alice on an edge node of a cluster, with or without a ticket."""

    def __init__(self, cluster: LocalHadoop, home: Path) -> None:
        self.cluster = cluster
        self.home = home
        self._identity: dict[str, Any] = {}
        if cluster.kerberos:
            self._identity = kdc.identity("alice")
            os.chown(home, self._identity["user"], self._identity["group"])
        else:
            home.chmod(0o755)

    def environment(self, *, ticket: bool = True) -> dict[str, str]:
        environment = os.environ | self.cluster.environment() | {"HOME": str(self.home)}
        if not self.cluster.kerberos:
            environment["HADOOP_USER_NAME"] = "alice"
        elif ticket:
            environment |= kdc.ticket(self.cluster.settings, "alice")
        else:
            environment |= {
                "KRB5_CONFIG": str(self.cluster.settings.folder / "krb5.conf"),
                "KRB5CCNAME": "FILE:/nowhere",
            }
        return environment

    def start(self, *arguments: str, ticket: bool = True) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment(ticket=ticket),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self._identity,
        )

    def run(self, *arguments: str, ticket: bool = True) -> tuple[int, str, str]:
        process = self.start(*arguments, ticket=ticket)
        output, errors = process.communicate(timeout=200)
        return process.returncode, output, errors

    def console(self, *arguments: str) -> pexpect.spawn[str]:
        """The command in a terminal, up to the console's first prompt."""

        def become() -> None:
            if self._identity:
                os.setgroups(self._identity["extra_groups"])
                os.setgid(self._identity["group"])
                os.setuid(self._identity["user"])

        terminal = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *arguments],
            env=self.environment() | {"TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1"},
            cwd=str(self.home),
            preexec_fn=become,
            encoding="utf-8",
            timeout=200,
        )
        terminal.expect(PROMPT)
        return terminal

    def call(self, command: list[str]) -> str:
        """Any command's output."""
        done = subprocess.run(
            command,
            env=self.environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **self._identity,
        )
        print(done.stderr)
        done.check_returncode()
        return done.stdout.strip()

    def skein(self, *arguments: str) -> str:
        return self.call([str(Path(sys.executable).with_name("skein")), *arguments])

    def application(self, text: str) -> dict[str, Any]:
        found = re.search(r"application_\d+_\d+", text)
        assert found, text
        return next(one for one in self.cluster.applications() if one["id"] == found[0])
