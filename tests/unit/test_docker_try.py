"""The containers of docker/try, with an engine that only writes down what it is asked."""

import importlib
import sys
from pathlib import Path

import pytest

DOCKER = Path(__file__).resolve().parents[2] / "docker"
MODULES = ("containers", "hosts")

ENGINE = """\
#!/bin/sh
echo "$*" >>{calls}
case "$1 $2" in
"network inspect") cat {label} 2>/dev/null || exit 1 ;;
inspect*) cat {state} 2>/dev/null || exit 1 ;;
esac
"""


@pytest.fixture
def containers(tmp_path, monkeypatch):
    """The module, with an engine whose calls are lines of the file `calls`."""
    files = {name: tmp_path / name for name in ("calls", "label", "state")}
    engine = tmp_path / "engine"
    engine.write_text(ENGINE.format(**files))
    engine.chmod(0o755)
    monkeypatch.setenv("CONTAINER_ENGINE", str(engine))
    monkeypatch.syspath_prepend(str(DOCKER / "cluster"))
    monkeypatch.syspath_prepend(str(DOCKER))
    yield importlib.import_module("containers")
    for name in MODULES:
        sys.modules.pop(name, None)


def test_next_trial_uses_what_is_kept(containers, tmp_path):
    """A second trial finds the folder and the password of one that was kept."""
    first = containers.Containers(print)
    (tmp_path / "label").write_text(str(first.folder))
    second = containers.Containers(print)
    assert (second.folder, second.password) == (first.folder, first.password)
    assert first.folder.stat().st_mode & 0o777 == 0o700
    first.remove()


def test_nothing_is_left(containers, tmp_path):
    """The end of a trial removes each host's container, the network and the folder."""
    trial = containers.Containers(print)
    trial.remove()
    calls = (tmp_path / "calls").read_text().splitlines()
    names = " ".join(f"yarnspawner-try-{host}" for host in containers.ADDRESSES)
    assert calls[-2:] == [f"rm --force --volumes {names}", "network rm --force yarnspawner-try"]
    assert not trial.folder.exists()


@pytest.mark.parametrize(
    ("state", "call"), [("running", ""), ("exited", "start yarnspawner-try-zk"), ("", "run --detach")]
)
def test_hosts_that_run_are_kept(containers, tmp_path, state, call):
    """A host that runs is left alone, one that has ended starts again, and another gets a container."""
    if state:
        (tmp_path / "state").write_text(state)
    trial = containers.Containers(print)
    (tmp_path / "calls").write_text("")
    trial._start("zk", "cluster")
    changes = [line for line in (tmp_path / "calls").read_text().splitlines() if not line.startswith("inspect")]
    assert len(changes) == bool(call)
    assert not changes or changes[0].startswith(call)
    trial.remove()
