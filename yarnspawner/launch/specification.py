"""From what a server needs to the application that YARN is asked for. Pure: no I/O, no hub, no cluster."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import skein

from yarnspawner.skein_driver.application_master import MEMORY
from yarnspawner.state.credentials import Credentials

MEBIBYTE = 2**20

# The name under which the environment's file is found in the container's folder.
ENVIRONMENT_FILE = "yarnspawner.env"

# The service whose container runs the server, where that is not the application master's own.
SERVER_SERVICE = "server"


# What comes before the admin's own script.
_PREAMBLE = """\
# The application master's own Java options are not those of the user's programs.
unset JAVA_TOOL_OPTIONS
# The environment has secrets in it, so it travels as a private file: what YARN itself sets is copied to the logs.
. ./{environment_file} || exit 1
# The user's own home where the container runs as that user and has it, else the container's folder.
account=$(id -un)
HOME=$(getent passwd "$account" | cut -d: -f6)
if [ "$account" != {user} ] || [ ! -w "$HOME" ]; then HOME=$PWD; fi
export HOME JUPYTERHUB_ROOT_DIR="${{JUPYTERHUB_ROOT_DIR:-$HOME}}"
# One for each server: two servers of a user on one node must not see each other's.
export JUPYTER_RUNTIME_DIR="$PWD/.jupyter-runtime"
mkdir -p -m 700 "$JUPYTER_RUNTIME_DIR"
unset account
"""

# Around the admin's prologue. Bash calls the ERR trap for each command that fails outside of a condition; functions,
# subshells and sourced files (whose BASH_SOURCE is longer) are one command each. It calls the DEBUG trap before each: a
# failure that another command follows was passed over, whatever status a condition at the prologue's end leaves. What runs
# after a prologue that did not do its work would be whatever Python the node has.
_BEFORE_PROLOGUE = """\
yarnspawner_prologue_failed() {
    echo "yarnspawner: the prologue failed with status $1: $2" >&2
    exit "$1"
}
yarnspawner_command_failed() {
    [ "$3" -le "$yarnspawner_depth" ] || return 0
    yarnspawner_error=("$1" "$2")
    case "$1:${2%%[[:space:]]*}" in
    126:* | 127:* | *:source | *:. | *:cd | *:conda | *:mamba | *:micromamba | *:module) yarnspawner_prologue_failed "$1" "$2" ;;
    esac
}
yarnspawner_error=(0 "")
yarnspawner_depth=${#BASH_SOURCE[@]}
trap 'yarnspawner_command_failed $? "$BASH_COMMAND" ${#BASH_SOURCE[@]}' ERR
trap '[[ $BASH_COMMAND = yarnspawner_* ]] || yarnspawner_error=(0 "")' DEBUG
"""
_AFTER_PROLOGUE = """
yarnspawner_status=$?
yarnspawner_last=("${yarnspawner_error[@]}")
trap - ERR DEBUG
if [ $yarnspawner_status != 0 ] && [ $yarnspawner_status = "${yarnspawner_last[0]}" ]; then
    yarnspawner_prologue_failed "${yarnspawner_last[@]}"
fi
unset -f yarnspawner_prologue_failed yarnspawner_command_failed
unset yarnspawner_error yarnspawner_last yarnspawner_depth yarnspawner_status
"""

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SpecificationError(ValueError):
    """Settings from which no application can be made, with what to change."""


@dataclass(frozen=True)
class ServerRequest:
    """All that decides how a server's application looks.

    Attributes:
        name: the application's, on YARN's pages.
        user: the Hadoop user it runs as.
        hub_user: the hub's Hadoop user, who may see and end it.
        queue: YARN's queue.
        memory: of the user's own processes, in bytes.
        application_master_memory: what the container has on top of that for the application master, in bytes.
        vcores: YARN's virtual cores.
        gpus: ``yarn.io/gpu`` resources.
        node_label: node label expression, "" for the queue's default.
        tags: by which the hub finds the application again.
        script: as :func:`server_script` makes it.
        environment_path: local file with the server's environment, as :func:`environment_file` makes it.
        files: what else is localized: name in the container to path or URL, ``skein.File`` or its dict.
        private_files: name in the container to local path; readable for the user alone.
        master_files: what else the application master finds in its container, as ``files``.
        java_options: for the application master's JVM.
        log_level: of the application master.
        server_container: "master", or "service" for a container beside the application master's.
        container_image: Docker image of the server's container, "" for none.
        file_systems: URLs of those that a token is wanted for, beside the default one.
        credentials: of this application's key-value store.
    """

    name: str
    user: str
    hub_user: str
    queue: str
    memory: int
    application_master_memory: int
    vcores: int
    tags: frozenset[str]
    script: str
    environment_path: str
    credentials: Credentials
    gpus: int = 0
    node_label: str = ""
    files: Mapping[str, Any] = field(default_factory=dict)
    private_files: Mapping[str, str] = field(default_factory=dict)
    master_files: Mapping[str, skein.File] = field(default_factory=dict)
    java_options: str = ""
    log_level: str = "INFO"
    server_container: str = "master"
    container_image: str = ""
    file_systems: Sequence[str] = ()


def application_specification(request: ServerRequest) -> skein.ApplicationSpec:
    """The application that runs the server.

    Raises:
        SpecificationError: a file's name that the hub uses itself, or a file that skein cannot make sense of.
    """
    in_service = request.server_container == "service"
    server = {
        "resources": skein.Resources(
            memory=_mebibytes(request.memory + (0 if in_service else request.application_master_memory)),
            vcores=request.vcores,
            gpus=request.gpus,
        ),
        "files": _files(request),
        "env": _runtime(request.container_image),
        "script": request.script,
    }
    beside = {
        "resources": skein.Resources(
            memory=_mebibytes(max(request.application_master_memory, MEMORY * MEBIBYTE)), vcores=1
        )
    }
    master = {"env": {}, "files": {}, **(beside if in_service else server)}
    master["files"] = {**master["files"], **request.master_files}
    if request.java_options:
        master["env"] = {**master["env"], "JAVA_TOOL_OPTIONS": request.java_options}
    return skein.ApplicationSpec(
        name=request.name,
        queue=request.queue,
        user=request.user,
        tags=set(request.tags),
        file_systems=list(request.file_systems),
        # Without them skein's web page shows the key-value store to everyone, and YARN hides the application from
        # the hub, which is not its owner.
        acls=skein.ACLs(
            enable=True, view_users=[request.hub_user], modify_users=[request.hub_user], ui_users=[request.hub_user]
        ),
        # A second attempt would be a new, empty server in place of the user's.
        max_attempts=1,
        # The label is the server's: an application master beside it runs wherever the queue lets it.
        node_label="" if in_service else request.node_label,
        services={SERVER_SERVICE: skein.Service(**server, node_label=request.node_label)} if in_service else {},
        master=skein.Master(
            **master,
            log_level=request.log_level,
            security=skein.Security(cert_bytes=request.credentials.certificate, key_bytes=request.credentials.key),
        ),
    )


def server_script(template: str, *, user: str, prologue: str, command: str, epilogue: str) -> str:
    """The script that runs in the container.

    Args:
        template: the admin's, with ``{prologue}``, ``{singleuser_command}`` and ``{epilogue}``.
        user: the Hadoop user.
        prologue, command, epilogue: pieces of shell. A prologue that fails ends the script, as the help of
            ``prologue`` says, with a line on stderr that names the command.

    Raises:
        SpecificationError: the template has a field that is none of these.
    """
    if prologue.strip():
        prologue = f"{_BEFORE_PROLOGUE}{prologue}{_AFTER_PROLOGUE}"
    try:
        body = template.format(prologue=prologue, singleuser_command=command, epilogue=epilogue)
    except (KeyError, IndexError, ValueError) as error:
        raise SpecificationError(
            f"script_template cannot be filled in ({error!r}): its fields are {{prologue}}, {{singleuser_command}}"
            " and {epilogue}, and other braces are doubled."
        ) from None
    return _PREAMBLE.format(environment_file=ENVIRONMENT_FILE, user=shlex.quote(user)) + body + "\n"


def shell_command(cmd: list[str], args: Iterable[str]) -> str:
    """The server's command as a piece of shell.

    A single string is shell already (``python -m yarnspawner.singleuser``), as it was in 0.4.0; the words of a longer
    list, and the arguments, are quoted.
    """
    words = cmd if len(cmd) == 1 else [shlex.quote(word) for word in cmd]
    return " ".join([*words, *(shlex.quote(argument) for argument in args)])


def environment_file(environment: Mapping[str, Any]) -> str:
    """A file that sets this environment when a shell sources it.

    Raises:
        SpecificationError: a name that no shell variable can have.
    """
    for name in environment:
        if not _VARIABLE_NAME.fullmatch(name):
            raise SpecificationError(f"environment: {name!r} is not the name of a variable.")
    return "".join(f"export {name}={shlex.quote(str(value))}\n" for name, value in sorted(environment.items()))


def _runtime(image: str) -> dict[str, str]:
    """YARN's variables for a Docker image.

    https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/DockerContainers.html
    """
    if not image:
        return {}
    return {"YARN_CONTAINER_RUNTIME_TYPE": "docker", "YARN_CONTAINER_RUNTIME_DOCKER_IMAGE": image}


def _mebibytes(size: int) -> int:
    return math.ceil(size / MEBIBYTE)


def _files(request: ServerRequest) -> dict[str, skein.File]:
    private = {ENVIRONMENT_FILE: request.environment_path, **request.private_files}
    if taken := (private.keys() | request.master_files.keys()) & request.files.keys():
        raise SpecificationError(f"localize_files: the name {min(taken)!r} is one of the spawner's own.")
    files = {}
    for name, source in request.files.items():
        try:
            files[name] = source if isinstance(source, skein.File) else skein.File.from_dict(source)
        except (TypeError, ValueError) as error:
            raise SpecificationError(f"localize_files: {name!r}: {error}") from None
    # Visible to this application's containers alone; skein uploads them with mode 0600 into a folder of mode 0700.
    own = {name: skein.File(path, type="file", visibility="application") for name, path in private.items()}
    return {**files, **own}
