"""Cases 1 to 8 of public reports: what an admin or user sets wins, and what 0.4.0 took is taken."""

import getpass
import logging
import os
import pwd
import subprocess
from pathlib import Path

import pytest
from jupyterhub.app import JupyterHub
from traitlets import TraitError
from traitlets.config import Config

from yarnspawner import YarnSpawner
from yarnspawner.hub.startup import prepare
from yarnspawner.launch.request import container_environment
from yarnspawner.launch.specification import ENVIRONMENT_FILE, environment_file, server_script, shell_command
from yarnspawner.settings.server import SCRIPT_TEMPLATE, ServerSettings

DOCS = Path(__file__).parents[3] / "docs"

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
        ("mem_limit", 2, "mem_limit must be a size.*not 2 bytes"),
        ("mem_limit", "-2 G", "mem_limit must be a size"),
        ("mem_limit", float("inf"), "mem_limit must be a size"),
        ("mem_limit", "2 GiB", "mem_limit must be a size"),
        ("application_master_memory", "-1 M", "application_master_memory must be a size"),
        ("cpu_limit", 0, "cpu_limit"),
        ("cpu_limit", "two", "cpu_limit must be a whole number"),
        ("gpus", -1, "gpus"),
        ("gpus", 1.5, "gpus must be a whole number"),
    ],
)
def test_case_6_what_cannot_be(name, value, said):
    """A value that cannot be is refused with a plain sentence that names the setting."""
    with pytest.raises(TraitError, match=said):
        ServerSettings(**{name: value})


@pytest.mark.parametrize("in_choice", [False, True])
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"cpu_limit": 0.5}, "cpu_limit must be a whole number"),
        ({"mem_limit": "2 X"}, "mem_limit must be a size"),
        ({"gpus": "two"}, "gpus"),
        ({"port_range": [5000, 4000]}, "port_range: 5000 is above 4000"),
        ({"server_container": "other"}, "server_container"),
        ({"environment": 5}, "environment"),
        ({"queue": 5}, "queue"),
        ({"tags": ["a,b"]}, "tags: 'a,b' is not a tag"),
    ],
)
def test_case_6_profiles(override, said, in_choice):
    """A profile's value that cannot be is refused when the hub starts, with the profile and the setting."""
    with pytest.raises(TraitError, match=rf"profile_list\[0\].*: {said}"):
        YarnSpawner(profile_list=profiles(override, in_choice=in_choice))


@pytest.mark.parametrize("in_choice", [False, True])
@pytest.mark.parametrize(
    "override",
    [
        {"cpu_limit": None, "mem_limit": None},
        {"cpu_limit": "2", "mem_limit": "2 G", "maximum_lifetime": "60"},
        {"cpu_limit": 2.0, "port_range": [4000, 5000]},
        {"environment": {"A": None, "B": "x"}, "localize_files": {"a": None, "b": "hdfs:///b"}},
        {"mem_limit": lambda spawner: "2 G"},
        {"cmd": ["jupyter-labhub"], "prologue": "true"},
    ],
)
def test_case_6_profiles_that_can_be(override, in_choice):
    """What a start accepts, the hub accepts when it starts."""
    assert YarnSpawner(profile_list=profiles(override, in_choice=in_choice)).profile_list


def profiles(override, *, in_choice):
    if not in_choice:
        return [{"display_name": "One", "yarnspawner_override": override}]
    choices = {"a": {"display_name": "A", "yarnspawner_override": override}}
    return [{"display_name": "One", "profile_options": {"o": {"display_name": "O", "choices": choices}}}]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mem_limit": "2 X"}, "mem_limit must be a size"),
        ({"cpu_limit": 0.5}, "cpu_limit must be a whole number"),
        ({"profile_list": profiles({"gpus": 0.5}, in_choice=True)}, "gpus must be a whole number"),
        ({"kernel_profiles": [{"memory": "8 X"}]}, "kernel_profiles"),
        ({"resource_manager_url": "rm:8088"}, "resource_manager_url"),
    ],
)
def test_case_6_when_the_hub_starts(settings, said, caplog):
    """The hub itself does not start, and its log names the setting."""
    hub = JupyterHub(config=Config({"YarnSpawner": settings}), spawner_class=YarnSpawner, log=logging.getLogger("hub"))
    with pytest.raises(SystemExit):
        prepare(hub, YarnSpawner)
    assert said in caplog.text


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
def test_case_7_other_spawners(cmd, run):
    """The commands of other spawners run the recipe, without which the hub never finds the server."""
    assert ServerSettings(cmd=cmd).cmd == run


@pytest.fixture
def in_container(tmp_path):
    """Return a function that runs a server's script in a container's folder and returns what it prints."""

    def run(command, environment, prologue="", args=()):
        (tmp_path / ENVIRONMENT_FILE).write_text(environment_file(environment))
        user = getpass.getuser()
        script = server_script(
            SCRIPT_TEMPLATE, user=user, prologue=prologue, command=shell_command([command], args), epilogue=""
        )
        outer = {"PATH": os.environ["PATH"], "NODE_DATA": "/data", "JAVA_TOOL_OPTIONS": "-x", "MALLOC_ARENA_MAX": "2"}
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=outer, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout + done.stderr

    return run


def sent(spawner):
    """Return the environment that a spawner sends, as far as an admin wrote it."""
    spawner.get_env = lambda: dict(spawner.environment)
    return container_environment(spawner)


HOME = pwd.getpwuid(os.getuid()).pw_dir


@pytest.mark.parametrize(
    ("value", "is_"),
    [
        ("/opt/x/bin:$PATH", "/opt/x/bin:" + os.environ["PATH"]),
        ("$HOME/data", f"{HOME}/data"),
        ("${NODE_DATA}/x y", "/data/x y"),
        (r"\$HOME", "$HOME"),
        ("{{NODE_DATA}}/x:{{OF_NO_NODE}}", "/data/x:{{OF_NO_NODE}}"),
        ("a$NODE_DATA$HOME", f"a/data{HOME}"),
        ("5$ {x} ${HOME:-y} $1 {{}}", "5$ {x} ${HOME:-y} $1 {{}}"),
        ("$OF_NO_NODE ${NOR_THIS}", "$OF_NO_NODE ${NOR_THIS}"),
        ("$(id) `id` \"'; id #", "$(id) `id` \"'; id #"),
    ],
)
async def test_case_1_variables_of_the_node(spawner_of, in_container, value, is_):
    """The node's variables are filled in as under 0.4.0, and nothing else is code."""
    environment = sent(spawner_of(environment={"PATH" if "PATH" in value else "VALUE": value}))
    assert in_container("echo $PATH" if "PATH" in value else 'echo "$VALUE"', environment) == f"{is_}\n"


async def test_case_1_value_of_a_callable(spawner_of, in_container):
    """A callable's value is an admin's as well, but no template."""
    spawner = spawner_of(environment={"VALUE": lambda spawner: "$HOME/{username}"})
    spawner.get_env = lambda: {"VALUE": "$HOME/{username}"}
    assert in_container('echo "$VALUE"', container_environment(spawner)) == f"{HOME}/{{username}}\n"


async def test_case_1_path_of_a_user(spawner_of, in_container):
    """A PATH without the system's programs breaks no command of the script's own."""
    environment = sent(spawner_of(environment={"PATH": "/nowhere"}))
    assert in_container("echo $HOME $PATH", environment) == f"{HOME} /nowhere\n"


async def test_case_1_other_values_win(spawner_of, in_container):
    """HOME and the runtime folder that an admin sets are not overridden."""
    own = {"HOME": "/data/home", "JUPYTER_RUNTIME_DIR": "/run/jupyter", "MALLOC_ARENA_MAX": "8"}
    environment = sent(spawner_of(environment=own))
    output = in_container("echo $HOME $JUPYTER_RUNTIME_DIR $MALLOC_ARENA_MAX", environment)
    assert output == "/data/home /run/jupyter 8\n"


def test_case_2_arguments(in_container):
    """Quotes in an argument and the node's variables mean what they meant to 0.4.0's shell."""
    args = ['--ServerApp.contents_manager_class="hdfscm.HDFSContentsManager"', "--ServerApp.root_dir=$HOME/work", "a b"]
    output = in_container("printf '[%s]'", {}, args=args)
    assert (
        output
        == f"[--ServerApp.contents_manager_class=hdfscm.HDFSContentsManager][--ServerApp.root_dir={HOME}/work][a b]"
    )


@pytest.mark.parametrize(
    ("value", "is_"), [("./environment/etc/spark", "/environment/etc/spark"), ("./a:./b", "/a:{folder}/b")]
)
async def test_case_5_paths_in_the_container(spawner_of, in_container, tmp_path, value, is_):
    """A path that begins with ./ is one of the container's folder, wherever kernels run."""
    environment = sent(spawner_of(environment={"SPARK_CONF_DIR": value}))
    output = in_container("cd / && echo $SPARK_CONF_DIR", environment)
    assert output == f"{tmp_path}{is_}\n".format(folder=tmp_path)


async def test_case_8_wrapspawner():
    """The documentation says what to use instead of ProfilesSpawner."""
    text = " ".join((DOCS / "profiles.md").read_text().split())
    assert "wrapspawner" in text and "Use `profile_list` instead" in text
