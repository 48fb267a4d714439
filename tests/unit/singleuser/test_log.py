"""The limit of a container's log, with real processes that write to a real file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from yarnspawner.singleuser.log import Log

MEBIBYTE = 1 << 20

# As in a container: a shell's output is a file, and the recipe and whatever it starts inherit it.
SCRIPT = """
echo from the prologue
"{python}" - <<'END'
import os, subprocess, sys, time
from yarnspawner.singleuser.log import LogLimit
limit = LogLimit()
limit.watch()
print("the first line", flush=True)
subprocess.run([sys.executable, "-c", "for i in range(100_000): print(f'line {{i:07d}} ' + 'x' * 40)"])
time.sleep(1.5)
print("the last line", flush=True)
END
echo from the epilogue
"""


def log_of_container(folder, limit):
    log = folder / "application.driver.log"
    environment = {**os.environ, "YARNSPAWNER_LOG_LIMIT": limit}
    with log.open("wb") as output:
        script = SCRIPT.format(python=sys.executable)
        subprocess.run(["bash", "-c", script], stdout=output, stderr=output, env=environment, check=True, timeout=120)
    return log.read_bytes()


def test_long_log_keeps_both_ends(tmp_path):
    """A long log keeps its beginning and its end, with a notice between them."""
    log = log_of_container(tmp_path, "1")
    assert len(log) <= MEBIBYTE
    lines = log.decode().splitlines()
    assert lines[:3] == ["from the prologue", "the first line", "line 0000000 " + "x" * 40]
    assert lines[-3:] == ["line 0099999 " + "x" * 40, "the last line", "from the epilogue"]
    (notice,) = [line for line in lines if "left out" in line]
    assert "limited to about 1 MiB" in notice
    # Whole lines, and none moved to another place.
    numbers = [int(line.split()[1]) for line in lines if line.startswith("line ")]
    assert numbers == sorted(numbers)
    assert len(numbers) > MEBIBYTE // 2 // 54 - 2
    assert {len(line) for line in lines if line.startswith("line ")} == {len("line 0000000 ") + 40}


@pytest.mark.parametrize("limit", ["0", "20"])
def test_log_within_limit_is_kept(tmp_path, limit):
    """A log within its limit, or without a limit, is unchanged."""
    log = log_of_container(tmp_path, limit)
    assert log.count(b"\n") == 100_004
    assert b"left out" not in log


@pytest.mark.parametrize("limit", ["much", ""])
def test_default_limit(limit, monkeypatch):
    """An invalid limit is replaced with the default of 100 MiB."""
    from yarnspawner.singleuser import log

    monkeypatch.setenv(log.LIMIT_VARIABLE, limit)
    assert log._limit() == 100


def test_notice_sums_up(tmp_path):
    """The notice gives the sum of all that was left out."""
    file = tmp_path / "log"
    with file.open("wb") as output:
        log = Log(output.fileno(), 4 * MEBIBYTE)
        for _ in range(3):
            output.write(b"x" * 8 * MEBIBYTE)
            output.flush()
            log.shorten()
        log.close()
    assert 2 * MEBIBYTE <= file.stat().st_size <= 4 * MEBIBYTE
    assert b"22 MiB of the log were left out" in file.read_bytes()


def test_pipe_is_unchanged():
    """The limit does not apply to a pipe."""
    program = "from yarnspawner.singleuser.log import LogLimit; limit = LogLimit(); limit.keep(); print('written')"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert answer.stdout == "written\n"
