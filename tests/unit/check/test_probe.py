"""What containers find on their nodes, and what the check makes of it. The findings are those of this machine."""

from __future__ import annotations

import copy
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.check.conftest import Answers
from yarnspawner.check import container, probe_findings
from yarnspawner.check.probe import Probe
from yarnspawner.check.result import Mark, Unknown

FOUND = container.look({"the hub": "127.0.0.1:1"})
USER = FOUND["account"]["name"]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/hub/api/" else 404)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def probed() -> Answers:
    """A check whose containers ran on two nodes like this machine."""
    context = Answers()
    context.hadoop_user = USER
    context.hub = SimpleNamespace(hub=SimpleNamespace(api_url="http://hub.example.com:8081/hub/api"))
    context.probe = Probe(["one", "two"], {node: copy.deepcopy(FOUND) for node in ("one", "two")})
    for found in context.probe.found.values():
        found["ways"] = dict.fromkeys(probe_findings.targets(context), "")
    return context


def test_look() -> None:
    """Each part of what a container finds is there, and an address that does not answer has a reason."""
    assert FOUND["account"]["uid"] == os.getuid()
    assert FOUND["packages"]["jupyterhub"] == metadata.version("jupyterhub")
    assert FOUND["tmp"]["executes"] is True
    assert "refused" in FOUND["ways"]["the hub"]
    assert not [name for name, part in FOUND.items() if isinstance(part, dict) and "error" in part]


def test_reach(hub: str) -> None:
    """A URL must answer, and a host and port must accept a connection."""
    assert container.reach(hub) == ""
    assert container.reach(f"http://{hub}/hub/api/") == ""
    assert "404" in container.reach(f"http://{hub}/other")


def test_no_imports() -> None:
    """The script runs without this package, which may be missing or older in the container."""
    code = f"import runpy; print(runpy.run_path({container.__file__!r})['look']({{}})['account']['uid'])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == os.getuid()
    assert "yarnspawner." not in [line for line in done.stderr.splitlines() if "import" in line]


@pytest.mark.parametrize("step", [step.run for step in probe_findings.STEPS if step.name not in ("Home", "Disk")])
async def test_healthy(step: Any, probed: Answers) -> None:
    """Nodes like this machine are in order."""
    assert (await step(probed)).mark is Mark.OK


async def test_account(probed: Answers) -> None:
    """Containers of another account are wrong on a Kerberos cluster, and the executor is named."""
    probed.hadoop_user = "alice-of-nowhere"
    result = await probe_findings.account(probed)
    assert result.mark is Mark.WRONG
    assert result.fixes[0].name == "yarn.nodemanager.container-executor.class"


@pytest.mark.parametrize(
    ("part", "values", "step", "mark", "says"),
    [
        ("packages", {"yarnspawner": ""}, probe_findings.python, Mark.WRONG, "no yarnspawner on two"),
        ("packages", {"jupyterhub": "4.1.0"}, probe_findings.python, Mark.WRONG, "same major version"),
        ("packages", {"skein": "0.8.1"}, probe_findings.python, Mark.WARNING, "the hub has skein"),
        ("python", {"version": "3.8.10"}, probe_findings.python, Mark.WRONG, "3.10 or later"),
        ("home", {"own": False}, probe_findings.home, Mark.WARNING, "removes with the container"),
        ("tmp", {"executes": False}, probe_findings.temporary_files, Mark.WARNING, "noexec"),
        ("disk", {"free": 1000}, probe_findings.disk, Mark.WARNING, "0.0 GiB"),
        ("java", {"path": ""}, probe_findings.java, Mark.WARNING, "no Java"),
        ("ways", {"the hub": "refused"}, probe_findings.ways, Mark.WRONG, "hub.example.com:8081"),
    ],
)
async def test_one_node(probed: Answers, part: str, values: dict[str, Any], step: Any, mark: Mark, says: str) -> None:
    """What differs on one node is found, and the node is named."""
    assert probed.probe is not None
    probed.probe.found["two"][part].update(values)
    result = await step(probed)
    assert result.mark is mark
    assert says in result.finding


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason="mounts a file system")
async def test_noexec(probed: Answers, tmp_path: Path) -> None:
    """A folder for temporary files in which programs do not run is no folder in which no files can be made."""
    assert probed.probe is not None
    probed.probe.found["two"]["tmp"] = _found_on_noexec(tmp_path)
    result = await probe_findings.temporary_files(probed)
    assert result.mark is Mark.WARNING
    assert "On two, programs in" in result.finding


def _found_on_noexec(folder: Path) -> dict[str, Any]:
    python = "from yarnspawner.check.container import executable_tmp as tmp; import json; print(json.dumps(tmp()))"
    shell = 'mount -t tmpfs -o noexec tmpfs "$TMPDIR" && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "sh", "-c", shell, sys.executable, python]
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_shared_home(probed: Answers) -> None:
    """A home is shared if each node sees the files of all."""
    assert probed.probe is not None
    for found in probed.probe.found.values():
        found["home"].update(own=True)
    probed.probe.homes = {"one": ["a", "b"], "two": ["a", "b"]}
    assert "2 nodes share it" in (await probe_findings.home(probed)).finding
    probed.probe.homes = {"one": ["a"], "two": ["b"]}
    result = await probe_findings.home(probed)
    assert result.mark is Mark.WARNING
    assert "each node has its own" in result.finding


async def test_no_containers() -> None:
    """Without a container, nothing is known of the nodes."""
    with pytest.raises(Unknown, match="No container answered"):
        await probe_findings.account(Answers())


def test_targets(probed: Answers) -> None:
    """The addresses come from the hub and from Hadoop's configuration."""
    assert probe_findings.targets(probed) == {
        "the hub": "http://hub.example.com:8081/hub/api/",
        "the ResourceManager": "0.0.0.0:8032",
        "the NameNode": "localhost:31521",
    }
