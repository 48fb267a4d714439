"""Command-line parsing and its error messages."""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from yarnspawner.cli import main as command


def parsed(*arguments: str) -> argparse.Namespace:
    return command._parser().parse_args(arguments)


def test_kernel_defaults() -> None:
    """The kernel command has defaults for all options."""
    options = parsed("kernel")
    assert (options.queue, options.memory, options.vcores, options.gpus) == ("default", 2048, 1, 0)


@pytest.mark.parametrize(("text", "mebibytes"), [("2GiB", 2048), ("512 MiB", 512), ("700", 700), ("1.5 GiB", 1536)])
def test_memory_units(text: str, mebibytes: int) -> None:
    """A memory size has a unit, or is in MiB."""
    assert parsed("kernel", "--memory", text).memory == mebibytes


def test_login_position() -> None:
    """Login options may precede or follow the action."""
    before = parsed("kernel", "--principal", "alice", "--keytab", "k", "list")
    behind = parsed("kernel", "list", "--principal", "alice", "--keytab", "k")
    assert before.principal == behind.principal == "alice"
    assert parsed("kernel", "list").principal == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kernel", "--memory", "much"], "--memory: 'much' is not a size, such as 2GiB"),
        (["kernel", "--memory=-5MiB"], "'-5MiB' is not a size"),
        (["kernel", "--memory", "0"], "'0' is not a size"),
        (["kernel", "--vcores", "0"], "--vcores: '0' is not a whole number of at least 1"),
        (["kernel", "--gpus", "-1"], "--gpus: '-1' is not a whole number of at least 0"),
        (["kernel", "--port-range", "9:3"], "--port-range: '9:3' is not a port range, such as 40000:40100"),
        (["kernel", "--port-range", "40000:40002"], "40000:40002 has 3 ports, but a kernel needs 5"),
        (["kernel", "--port-range", "1000:2000"], "ports below 1024 are reserved"),
        (["kernel", "--memory", "2"], "2 MiB is too little for a kernel"),
        (["kernel", "--name", ""], "--name: a name needs at least one character"),
        (["kernel", "connect"], "APPLICATION"),
        (["kernel", "--require-encryption", "--no-encryption"], "not allowed with"),
        (["kernels"], "invalid choice"),
        ([], "COMMAND"),
    ],
)
def test_usage_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error names the option in one line."""
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_unknown_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown kernel or invalid id gives a short message."""
    assert command.main(["kernel", "connect", "application_1_0001"]) == 1
    assert capsys.readouterr().err.count("\n") <= 2
    assert command.main(["kernel", "connect", "../../etc/passwd"]) == 1
    assert "not an application id" in capsys.readouterr().err


def test_missing_environment(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing environment is named."""
    assert command.main(["kernel", "--environment", "/nowhere/environment.tar.gz"]) == 1
    assert "/nowhere/environment.tar.gz does not exist" in capsys.readouterr().err


def test_invalid_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid environment is rejected before submission."""
    (tmp_path / "broken.tar.gz").write_text("half an upload")
    assert command.main(["kernel", "--no-console", "--environment", str(tmp_path / "broken.tar.gz")]) == 1
    assert "broken.tar.gz is not an archive that YARN can unpack" in capsys.readouterr().err
    assert command.main(["kernel", "--no-console", "--environment", str(tmp_path)]) == 1
    assert "it has no bin/activate" in capsys.readouterr().err


def test_logs_invalid_id(capsys: pytest.CaptureFixture[str]) -> None:
    """The logs action rejects an invalid application id."""
    assert command.main(["kernel", "logs", "everything"]) == 1
    assert capsys.readouterr().err.startswith("yarnspawner: 'everything' is not an application id")


def test_help() -> None:
    """The help lists the options and actions."""
    done = subprocess.run(
        [sys.executable, "-m", "yarnspawner.cli.main", "kernel", "--help"], capture_output=True, text=True, check=True
    )
    for word in ("--require-encryption", "--no-console", "connect", "logs", "stop"):
        assert word in done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_COOKIE_SECRET", raising=False)
    return tmp_path


# Runs the command once for each line that it reads. JupyterHub is imported once, which takes longer than all the rest.
AGAIN = """
import os, sys
import jupyterhub.app
from yarnspawner.cli import main as command
for _ in sys.stdin:
    child = os.fork()
    if not child:
        status = command.main(sys.argv[1:])
        sys.stderr.flush()
        os._exit(status)
    print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def said(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[[], str]]:
    """Runs the command that the test is about, which fails; what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", AGAIN, request.getfixturevalue("name")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:

        def run() -> str:
            print(file=process.stdin, flush=True)
            told = ""
            while not (line := process.stdout.readline()).startswith("status "):
                assert line, told
                told += line
            assert line == "status 1\n"
            assert "Traceback" not in told
            return told

        yield run


@pytest.mark.parametrize("name", ["applications", pytest.param("sweep", marks=pytest.mark.full)])
def test_no_hub(name: str, folder: Path, said: Callable[[], str]) -> None:
    """In a folder without a hub, each message names the missing file, and no file is created."""
    assert f"{folder / 'jupyterhub_config.py'} does not exist" in said()
    (folder / "jupyterhub_config.py").write_text('c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"')
    assert f"cookie secret {folder / 'jupyterhub_cookie_secret'} does not exist" in said()
    (folder / "jupyterhub_cookie_secret").write_text("00" * 32)
    (folder / "jupyterhub_cookie_secret").chmod(0o600)
    assert f"database {folder / 'jupyterhub.sqlite'} does not exist" in said()
    sqlite3.connect(folder / "jupyterhub.sqlite").close()
    assert "This hub has no id" in said()
    assert not (folder / "yarnspawner_hub_id").exists()
