"""How the recipe's process ends, in processes of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from yarnspawner.singleuser.fast_exit import FastExit

leave = FastExit()
atexit.register(print, "registered", end=";")

class TakenApart:
    def __del__(self):
        print("taken apart", end=";")

kept = TakenApart()

def work():
    time.sleep(0.2)
    print("thread", end=";")

threading.Thread(target=work).start()
print("main", end=";")
"""


def run(end):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + end], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("status", [0, 3])
def test_fast_exit(status):
    """A fast exit waits for threads and runs exit handlers, but destroys no objects."""
    ended = run(f"leave({status})")
    assert ended.stdout == "main;thread;registered;"
    assert ended.returncode == status


@pytest.mark.parametrize(("end", "status"), [("sys.exit(4)", 4), ("raise ValueError", 1), ("", 0)])
def test_normal_exit(end, status):
    """Any other exit is Python's own, which also destroys the objects."""
    ended = run(end)
    assert ended.stdout == "main;thread;registered;taken apart;"
    assert ended.returncode == status
