"""From what a server needs to the application that YARN is asked for."""

import os
import subprocess

import pytest
import skein
from hypothesis import given, settings
from hypothesis import strategies as st

from yarnspawner.launch.specification import (
    ENVIRONMENT_FILE,
    SERVER_SERVICE,
    ServerRequest,
    SpecificationError,
    application_specification,
    environment_file,
    server_script,
    shell_command,
)
from yarnspawner.settings.server import SCRIPT_TEMPLATE
from yarnspawner.skein_driver.application_master import LAUNCHER_OPTIONS, MEMORY
from yarnspawner.state.credentials import Credentials

GIB = 2**30
TOKEN = "5f4dcc3b5aa765d61d8327deb882cf99"


def request(**changes):
    return ServerRequest(
        **{
            "name": "jupyterhub-alice",
            "user": "alice",
            "hub_user": "jupyterhub",
            "queue": "default",
            "memory": 2 * GIB,
            "application_master_memory": GIB // 4,
            "vcores": 1,
            "tags": frozenset({"tag"}),
            "script": "true",
            "environment_path": "/hub/environment",
            "credentials": Credentials(b"certificate", b"key"),
            **changes,
        }
    )


def test_container_resources():
    """The container has the user's cores and GPUs, and memory for the server and the application master."""
    resources = application_specification(request(vcores=3, gpus=1)).master.resources
    assert (resources.memory, resources.vcores, resources.gpus) == (2048 + 256, 3, 1)


def test_memory_is_rounded_up():
    """Memory is rounded up to whole mebibytes."""
    assert application_specification(request(memory=1, application_master_memory=0)).master.resources.memory == 1


def test_runs_as_user():
    """The application runs as the user, and the hub has permission to view and kill it."""
    specification = application_specification(request(queue="q", node_label="gpu"))
    assert (specification.user, specification.queue, specification.node_label) == ("alice", "q", "gpu")
    assert specification.acls.enable
    acls = specification.acls
    assert acls.view_users == acls.modify_users == acls.ui_users == ["jupyterhub"]


def test_hub_finds_its_application():
    """The application has the hub's tags, credentials and files, so the hub finds it and reads its store."""
    jar = skein.File("hdfs:///skein.jar")
    specification = application_specification(request(master_files={"skein.jar": jar}))
    assert specification.tags == {"tag"}
    security = specification.master.security
    assert (security.cert_bytes, security.key_bytes) == (b"certificate", b"key")
    assert specification.master.files["skein.jar"] == jar
    assert specification.services == {}


def test_separate_server_container():
    """A server in its own container and the application master each have their own resources, files and environment."""
    jar = skein.File("hdfs:///skein.jar")
    made = application_specification(
        request(
            server_container="service",
            vcores=3,
            gpus=1,
            node_label="gpu",
            container_image="image:1",
            application_master_memory=GIB,
            files={"data.csv": "/data.csv"},
            master_files={"skein.jar": jar},
        )
    )
    (server,) = made.services.values()
    assert list(made.services) == [SERVER_SERVICE]
    assert (server.resources.memory, server.resources.vcores, server.resources.gpus) == (2048, 3, 1)
    assert set(server.files) == {ENVIRONMENT_FILE, "data.csv"}
    assert (server.script, server.node_label, server.instances) == ("true", "gpu", 1)
    assert server.env["YARN_CONTAINER_RUNTIME_DOCKER_IMAGE"] == "image:1"
    assert (made.master.resources.memory, made.master.resources.vcores) == (1024, 1)
    assert (made.master.files, made.master.script) == ({"skein.jar": jar}, "")
    assert made.master.env == {"JDK_JAVA_OPTIONS": LAUNCHER_OPTIONS}
    assert made.node_label == ""


def test_memory_of_lone_master():
    """The memory on top of the server's is too little for an application master that runs alone."""
    made = application_specification(request(server_container="service", application_master_memory=1))
    assert made.master.resources.memory == MEMORY


def test_an_image_is_passed_to_yarn():
    """YARN's Docker runtime reads the image from two variables; without an image there is neither."""
    assert application_specification(request(container_image="image:1")).master.env == {
        "JDK_JAVA_OPTIONS": LAUNCHER_OPTIONS,
        "YARN_CONTAINER_RUNTIME_TYPE": "docker",
        "YARN_CONTAINER_RUNTIME_DOCKER_IMAGE": "image:1",
    }


def test_java_options_keep_image():
    """The application master's Java options are in addition to the variables of the container's image."""
    made = application_specification(request(container_image="image:1", java_options="-Xmx1g"))
    assert made.master.env["JAVA_TOOL_OPTIONS"] == "-Xmx1g"
    assert "YARN_CONTAINER_RUNTIME_TYPE" in made.master.env


@pytest.mark.parametrize("changes", [{}, {"file_systems": ["hdfs://other:8020"], "log_level": "DEBUG"}])
def test_tokens_and_log_level(changes):
    """File systems and log level reach the application; the defaults are no extra tokens and level INFO."""
    made = application_specification(request(**changes))
    assert (made.name, made.file_systems) == ("jupyterhub-alice", changes.get("file_systems", []))
    assert str(made.master.log_level) == changes.get("log_level", "INFO")
    assert (made.node_label, made.master.resources.gpus) == ("", 0)


def test_single_attempt():
    """An application has one attempt, so no empty server replaces one that died."""
    assert application_specification(request()).max_attempts == 1


def test_secrets_are_private_files():
    """Secrets are files that only this application sees, and not environment variables."""
    master = application_specification(request(private_files={"keyfile.pem": "/hub/key.zip"})).master
    for name in (ENVIRONMENT_FILE, "keyfile.pem"):
        assert (str(master.files[name].type), str(master.files[name].visibility)) == ("FILE", "APPLICATION")
    assert master.env == {"JDK_JAVA_OPTIONS": LAUNCHER_OPTIONS}


def test_kinds_of_files():
    """Files can be paths, URLs, dicts and Skein files."""
    files = {
        "data.csv": "/data.csv",
        "environment": {"source": "hdfs:///environment.tar.gz", "visibility": "public"},
        "other": skein.File("hdfs:///other"),
    }
    localized = application_specification(request(files=files)).master.files
    assert localized["data.csv"].source == "file:///data.csv"
    assert (str(localized["environment"].type), str(localized["environment"].visibility)) == ("ARCHIVE", "PUBLIC")
    assert localized["other"].source == "hdfs:///other"


@pytest.mark.parametrize(
    ("files", "reason"),
    [({ENVIRONMENT_FILE: "/x"}, "the spawner's own"), ({"x": {"surce": "/x"}}, "x"), ({"x": 5}, "x")],
)
def test_invalid_files_are_named(files, reason):
    """The error about an invalid file contains its name."""
    with pytest.raises(SpecificationError, match=reason):
        application_specification(request(files=files))


@pytest.mark.parametrize("own", [{"private_files": {"x": "/hub/x"}}, {"master_files": {"x": skein.File("hdfs:///x")}}])
def test_spawner_files_are_reserved(own):
    """A user's file cannot replace a certificate of the container or a file of the application master."""
    with pytest.raises(SpecificationError, match="'x' is one of the spawner's own"):
        application_specification(request(files={"x": "/x"}, **own))


def test_shell_command():
    """A command in one string is shell code, and a command in several words is quoted."""
    assert shell_command(["python -m x --root=$HOME"], ["a b"]) == "python -m x --root=$HOME 'a b'"
    assert shell_command(["python", "-m", "x; y"], []) == "python -m 'x; y'"


@pytest.mark.parametrize("template", ["{command}", "{}", "{prologue"])
def test_invalid_template_is_refused(template):
    """A script template with an unknown or broken field is refused."""
    with pytest.raises(SpecificationError, match="script_template"):
        server_script(template, user="alice", prologue="", command="", epilogue="")


@pytest.mark.parametrize("name", ["A B", "", "1A", "A-B", "BASH_FUNC_x%%"])
def test_invalid_variable_is_refused(name):
    """A name that no shell variable can have is refused."""
    with pytest.raises(SpecificationError, match="not the name of a variable"):
        environment_file({name: "x"})


def run(tmp_path, command, *, user=None, environment=None, prologue="", epilogue=""):
    """Run a server's script as YARN would, in a container's folder; what it printed and its status."""
    (tmp_path / ENVIRONMENT_FILE).write_text(environment_file(environment or {}))
    user = user or subprocess.check_output(["id", "-un"], text=True).strip()
    script = server_script(SCRIPT_TEMPLATE, user=user, prologue=prologue, command=command, epilogue=epilogue)
    outer = {"PATH": os.environ["PATH"], "JAVA_TOOL_OPTIONS": "-Xshare:auto", "HOME": "/home/"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=outer, capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout, done.returncode


def test_environment_before_prologue(tmp_path):
    """The script sets the environment before it runs the prologue."""
    environment = {"JUPYTERHUB_API_TOKEN": TOKEN}
    assert run(tmp_path, "true", environment=environment, prologue="printenv JUPYTERHUB_API_TOKEN") == (f"{TOKEN}\n", 0)


def test_epilogue_keeps_status(tmp_path):
    """The script exits with the server's status, also after an epilogue."""
    assert run(tmp_path, "(exit 7)", epilogue="echo bye") == ("bye\n", 7)


def test_java_options_are_unset(tmp_path):
    """The application master's Java options do not reach the user's server."""
    assert run(tmp_path, "echo ${JAVA_TOOL_OPTIONS-unset}") == ("unset\n", 0)


def test_home_of_the_user(tmp_path):
    """HOME is the user's home if the container runs as the user."""
    own = subprocess.check_output("getent passwd $(id -un) | cut -d: -f6", shell=True, text=True)
    assert run(tmp_path, "echo $HOME") == (own, 0)


def test_home_of_another_account(tmp_path):
    """HOME is the container's folder if the container runs as another account."""
    assert run(tmp_path, "echo $HOME", user="alice-elsewhere") == (f"{tmp_path}\n", 0)


def test_root_folder_of_the_admin(tmp_path):
    """A root folder that the admin sets is not changed."""
    output = run(tmp_path, "echo $JUPYTERHUB_ROOT_DIR", environment={"JUPYTERHUB_ROOT_DIR": "/data"})
    assert output == ("/data\n", 0)


def test_runtime_folder_is_private(tmp_path):
    """Only the user can open Jupyter's runtime folder."""
    assert run(tmp_path, "stat -c %a $JUPYTER_RUNTIME_DIR") == ("700\n", 0)


def test_runtime_folder_is_exported(tmp_path):
    """Kernels' connection files stay in the container, as the variable is exported."""
    assert run(tmp_path, "printenv JUPYTER_RUNTIME_DIR") == (f"{tmp_path}/.jupyter-runtime\n", 0)


def test_home_missing_on_node(tmp_path, monkeypatch):
    """HOME is the container's folder if the node lacks the user's home, so the server still starts."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "getent").write_text("#!/bin/sh\necho user:x:1:1::/nowhere:/bin/sh\n")
    (programs / "getent").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert run(tmp_path, "echo $HOME") == (f"{tmp_path}\n", 0)


def test_missing_environment_file(tmp_path):
    """A missing environment file ends the script at once with status 1."""
    script = server_script(SCRIPT_TEMPLATE, user="alice", prologue="", command="echo started", epilogue="")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, timeout=20, check=False)
    assert (done.stdout, done.returncode) == (b"", 1)


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
def test_any_value_arrives_unchanged(tmp_path_factory, value):
    """The value of a variable arrives in the container unchanged, whatever characters it has."""
    output, status = run(tmp_path_factory.mktemp("container"), 'printf %s. "$VALUE"', environment={"VALUE": value})
    # Reading a program's output as text makes one newline of each kind.
    assert (output, status) == (value.replace("\r\n", "\n").replace("\r", "\n") + ".", 0)


FAILED = "yarnspawner: the prologue failed with status"


def run_prologue(tmp_path, prologue, command="echo started"):
    """Run a script with a prologue; its output, its errors and its status."""
    (tmp_path / ENVIRONMENT_FILE).write_text("")
    script = server_script(SCRIPT_TEMPLATE, user="nobody", prologue=prologue, command=command, epilogue="")
    outer = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=outer, capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout, done.stderr, done.returncode


@pytest.mark.parametrize(
    ("prologue", "command", "status"),
    [
        ("source /opt/nothing/bin/activate", "source /opt/nothing/bin/activate", 1),
        ("source enviroment/bin/activate\nexport A=1", "source enviroment/bin/activate", 1),
        (". ./nothing; true", ". ./nothing", 1),
        ("cd /nowhere; true", "cd /nowhere", 1),
        ("conda activate base\ntrue", "conda activate base", 127),
        ("no-such-program --now; true", "no-such-program --now", 127),
        ("echo first; (exit 7)", "( exit 7 )", 7),
        ("false # why\n", "false", 1),
        ("mkdir /tmp\nfalse", "false", 1),
        ("export A=1\ngrep -q nothing \\\n  /dev/null", "grep -q nothing /dev/null", 1),
        ("grep nothing <<EOF\ntext\nEOF\n", "grep nothing <<EOF", 1),
    ],
)
def test_failed_prologue(tmp_path, prologue, command, status):
    """A prologue that fails stops the start, and the error contains the failed command and its status."""
    output, errors, found = run_prologue(tmp_path, prologue)
    assert "started" not in output
    assert found == status
    assert f"{FAILED} {status}: {command}\n" in errors


@pytest.mark.parametrize(
    "prologue",
    [
        "",
        "  \n",
        "grep -q nothing /dev/null; export A=1",
        "[ -f ~/.no-such-profile ] && . ~/.no-such-profile",
        "no-such-program || true",
        "if cd /nowhere; then true; fi",
        "source ./inner; true",
        "f() { cd /nowhere; true; }; f",
        "cat <<EOF >/dev/null\ntext\nEOF",
        "set -u; export A=1",
        "mkdir /tmp\n[ -f ~/.no-such-profile ] && . ~/.no-such-profile",
        "mkdir /tmp; [ -f ~/.no-such-profile ] && . ~/.no-such-profile",
        "set -u\nmkdir /tmp\n[[ -f nothing ]] && . nothing # why\n",
        "false\nfalse | true",
    ],
)
def test_allowed_failure_in_prologue(tmp_path, prologue):
    """A failure in a condition, a function or a sourced file of a prologue does not stop the start."""
    (tmp_path / "inner").write_text("cd /nowhere; no-such-program; true\n")
    output, errors, status = run_prologue(tmp_path, prologue)
    assert output.endswith("started\n")
    assert FAILED not in errors
    assert status == 0


def test_prologue_guard_is_removed(tmp_path):
    """The server inherits no variables and no traps from the guard of the prologue."""
    output, _, _ = run_prologue(tmp_path, "export A=1", "set | grep -c ^yarnspawner_; trap -p ERR DEBUG")
    assert output == "0\n"
