"""A recipe notices that the processes which it runs for have ended."""

import os
import subprocess
import sys
import time

import pytest

from yarnspawner.singleuser.ancestors import Ancestors

# A session of three processes, as YARN, skein and the recipe make it. The last prints what it notices; the first is killed.
RECIPE = """
import asyncio, os, sys, time
{before}
from yarnspawner.singleuser.ancestors import Ancestors
ancestors = Ancestors()
print(ancestors.known, ancestors.changed, flush=True)
async def told():
    with ancestors.end() as end:
        done, _ = await asyncio.wait({{end}}, timeout={timeout})
        print(bool(done), flush=True)
asyncio.run(told())
while not ancestors.changed:
    time.sleep(0.05)
print("changed", flush=True)
"""
OLD_LINUX = "del os.pidfd_open"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("before", "known", "timeout"), [("", "True", 20), (OLD_LINUX, "False", 0.2)])
def test_an_end(before, known, timeout, which):
    """The end of the parent and of its parent are noticed, at once where Linux tells of them."""
    recipe = RECIPE.format(before=before, timeout=timeout)
    # Each shell goes on after its child, so none replaces itself by it.
    inner = 'echo $$; "$0" -c "$1"; true'
    outer = f'echo $$; sh -c \'{inner}\' "$0" "$1"; true'
    command = ["sh", "-c", outer, sys.executable, recipe]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        pids = [process.stdout.readline().strip() for _ in range(2)]
        assert process.stdout.readline().split() == [known, "False"]
        time.sleep(0.3)
        subprocess.run(["kill", "-9", pids[which]], check=True)
        assert process.stdout.readline().strip() == known
        assert process.stdout.readline().strip() == "changed"


def test_descriptors():
    """No descriptor outlives the object."""
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        Ancestors()
    assert os.listdir("/proc/self/fd") == before


def test_no_end():
    """While they run, nothing has changed, however often one looks."""
    ancestors = Ancestors()
    assert not any(ancestors.changed for _ in range(3))
