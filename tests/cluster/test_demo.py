"""The demo, as a person starts and ends it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from demo.visitor import Visitor
from tests.support.processes import names_of

CHECKOUT = Path(__file__).resolve().parents[2]


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told(process: subprocess.Popen[str]) -> str:
    """What the demo says until all is there."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Stop"):
            return "".join(lines)
    raise AssertionError("".join(lines))


def test_the_demo_checks_itself() -> None:
    """The demo with --check runs an application of alice to success and exits with status 0."""
    with demo("--check") as process:
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert "alice FINISHED SUCCEEDED" in said


@pytest.mark.full  # tests/cluster/localhadoop/test_ending.py has Ctrl-C in the fast tier, for a cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_demo_leaves_nothing(number: signal.Signals) -> None:
    """No process of the demo is left after SIGINT, SIGHUP or SIGKILL; only SIGKILL leaves its folder."""
    with demo("--port", "8100") as process:
        said = told(process)
        address, password = re.search(r"Open +(\S+)\nas .* password (\S+)", said).groups()
        folder = Path(re.search(r"Logs +(\S+)/jupyterhub.log", said)[1])
        alice = Visitor(address, "alice", password)
        alice.log_in()
        list(alice.start())
        alice.open_lab()
        assert alice.run("print(6 * 7)") == "42\n"

        everything = psutil.Process(process.pid).children(recursive=True)
        assert {"java", "node"} <= names_of(everything)
        process.send_signal(number)
        process.wait(60)
        _, alive = psutil.wait_procs(everything, timeout=30)
    assert alive == []
    if number == signal.SIGKILL:
        shutil.rmtree(folder)  # the hub's log, which nobody was left to remove
    else:
        assert process.returncode == 0
        assert not folder.exists()


@pytest.mark.full
def test_second_demo_takes_next_port() -> None:
    """A second demo says that the port is taken, and takes the next one."""
    with demo("--port", "8200") as first:
        assert "Open    http://127.0.0.1:8200" in told(first)
        with demo("--port", "8200") as second:
            said = told(second)
    assert "Port 8200 is taken" in said
    assert re.search(r"Open    http://127.0.0.1:82\d\d", said)
