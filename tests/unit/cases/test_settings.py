"""Cases 1 to 8 of public reports: what an admin or user sets wins, and what 0.4.0 took is taken."""

import pytest
from traitlets import TraitError

from yarnspawner.settings.server import ServerSettings

GIB = 2**30


@pytest.mark.parametrize(("name", "value"), [("mem_limit", 2 * GIB), ("cpu_limit", 1), ("gpus", 0)])
def test_case_6_none(name, value):
    """None is the default."""
    assert getattr(ServerSettings(**{name: None}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("cpu_limit", 0.5, "cpu_limit must be a whole number"),
        ("cpu_limit", lambda spawner: 2, "cpu_limit must be a whole number.*callable"),
        ("cpu_limit", True, "cpu_limit must be a whole number"),
        ("mem_limit", lambda spawner: "2 G", "mem_limit must be a size.*callable"),
        ("mem_limit", "2 X", "mem_limit must be a size"),
        ("mem_limit", "", "mem_limit must be a size"),
        ("mem_limit", [1], "mem_limit must be a size"),
        ("gpus", 1.5, "gpus must be a whole number"),
    ],
)
def test_case_6_what_cannot_be(name, value, said):
    """A value that cannot be is refused with a plain sentence that names the setting."""
    with pytest.raises(TraitError, match=said):
        ServerSettings(**{name: value})


def test_case_6_whole_floats():
    """JupyterHub's own setting is a float, so 2.0 is 2."""
    assert ServerSettings(cpu_limit=2.0).cpu_limit == 2


RECIPE = "yarnspawner.singleuser"


@pytest.mark.parametrize(
    ("cmd", "run"),
    [
        (["jupyter-labhub"], [f"python -m {RECIPE}"]),
        (["jupyterhub-singleuser"], [f"python -m {RECIPE}"]),
        ("jupyterhub-singleuser --debug", [f"python -m {RECIPE} --debug"]),
        (["/opt/jupyter/bin/jupyterhub-singleuser"], [f"/opt/jupyter/bin/python -m {RECIPE}"]),
        (["/opt/a b/bin/jupyter-labhub", "--debug"], ["/opt/a b/bin/python", "-m", RECIPE, "--debug"]),
        (["python", "-m", "jupyterhub.singleuser"], ["python", "-m", RECIPE]),
        ("exec python3 -m jupyterhub.singleuser", [f"exec python3 -m {RECIPE}"]),
        (["python -m yarnspawner.jupyter_labhub"], ["python -m yarnspawner.jupyter_labhub"]),
        ("sh /opt/start jupyterhub-singleuser", ["sh /opt/start jupyterhub-singleuser"]),
        (None, [f"python -m {RECIPE}"]),
    ],
)
def test_case_7_commands_of_other_spawners(cmd, run):
    """The commands of other spawners run the recipe, without which the hub never finds the server."""
    assert ServerSettings(cmd=cmd).cmd == run
