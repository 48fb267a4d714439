"""Build the application specification of a server from its request. Pure: no I/O, no hub, no cluster."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import skein

from yarnspawner.launch.node_text import NodeText, argument
from yarnspawner.skein_driver.application_master import MEMORY, RESET_MASTER_ENVIRONMENT, master_environment
from yarnspawner.state.credentials import Credentials

MEBIBYTE = 2**20

# The name of the environment file in the container's folder.
ENVIRONMENT_FILE = "yarnspawner.env"

# The service whose container runs the server, if that is not the application master's container.
SERVER_SERVICE = "server"


# Shell code that runs before the admin's script. It runs no program after it has read the environment, whose PATH can be
# anything, and it sets no variable after that: the admin's values win.
_PREAMBLE = """\
# The application master's own options are not those of the user's programs.
{reset}
# The user's own home where the container runs as that user and has it, else the container's folder.
account=$(id -un)
HOME=$(getent passwd "$account" | cut -d: -f6)
if [ "$account" != {user} ] || [ ! -w "$HOME" ]; then HOME=$PWD; fi
export HOME
# One for each server: two servers of a user on one node must not see each other's.
export JUPYTER_RUNTIME_DIR="$PWD/.jupyter-runtime"
mkdir -p -m 700 "$JUPYTER_RUNTIME_DIR"
unset account
# For a command such as `hdfs dfs`, Java reserves gigabytes of addresses by default, and YARN's check of virtual memory (on by
# default) kills the container for them. The node's hadoop-env.sh and the environment below can add to this.
export HADOOP_CLIENT_OPTS="${{HADOOP_CLIENT_OPTS--Xmx512m -XX:CompressedClassSpaceSize=128m -XX:ReservedCodeCacheSize=64m}}"
# The environment has secrets in it, so it travels as a private file: what YARN itself sets is copied to the logs.
. ./{environment_file} || exit 1
"""

# Shell code around the admin's prologue. After a failed prologue, the server would run with any Python of the node.
# Bash calls the ERR trap for each command that fails outside of a condition. Functions, subshells and sourced files
# (which have a longer BASH_SOURCE) count as one command each. Bash calls the DEBUG trap before each command, which
# clears the failure: a failure that another command follows was ignored on purpose.
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
    """Report invalid settings. The message says how to change them."""


@dataclass(frozen=True)
class KernelService:
    """Containers that the running server can add for its kernels. None is there at first.

    Attributes:
        name: the service's name.
        memory: memory of each container in MiB.
        vcores: virtual cores.
        gpus: ``yarn.io/gpu`` resources.
        node_label: node label expression.
        script: the result of :func:`server_script`.
        files: files by name in the container, in addition to the server's: path, URL, ``skein.File`` or its dict.
        private_files: local paths by name in the container.
    """

    name: str
    memory: int
    vcores: int
    gpus: int
    node_label: str
    script: str
    files: Mapping[str, Any]
    private_files: Mapping[str, str]


@dataclass(frozen=True)
class ServerRequest:
    """The request for a server's application.

    Attributes:
        name: the application's name on YARN's pages.
        user: the Hadoop user that it runs as.
        hub_user: the hub's Hadoop user, which may view and kill it.
        queue: YARN's queue.
        memory: memory for the user's own processes, in bytes.
        application_master_memory: additional memory for the application master, in bytes.
        vcores: YARN's virtual cores.
        gpus: ``yarn.io/gpu`` resources.
        node_label: node label expression, "" for the queue's default.
        tags: YARN tags by which the hub finds the application.
        script: the result of :func:`server_script`.
        environment_path: path of a local file with the result of :func:`environment_file`.
        files: further files by name in the container: path, URL, ``skein.File`` or its dict.
        private_files: local paths by name in the container. Only the user can read these files.
        master_files: further files of the application master by name in its container.
        java_options: options of the application master's JVM.
        log_level: log level of the application master.
        server_container: "master", or "service" for a separate container.
        container_image: Docker image of the server's container; "" for none.
        file_systems: URLs of file systems that need a token, in addition to the default one.
        kernels: the containers that the server can add for its kernels.
        credentials: those of the application's key-value store.
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
    kernels: Sequence[KernelService] = ()


def application_specification(request: ServerRequest) -> skein.ApplicationSpec:
    """Return the specification of the application that runs the server.

    Raises:
        SpecificationError: the hub itself uses a file's name, or skein cannot parse a file.
    """
    in_service = request.server_container == "service"
    server = {
        "resources": skein.Resources(
            memory=_mebibytes(request.memory + (0 if in_service else request.application_master_memory)),
            vcores=request.vcores,
            gpus=request.gpus,
        ),
        "files": _files(request, request.files, request.private_files),
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
    master["env"] = {**master["env"], **master_environment(request.java_options)}
    return skein.ApplicationSpec(
        name=request.name,
        queue=request.queue,
        user=request.user,
        tags=set(request.tags),
        file_systems=list(request.file_systems),
        # Without ACLs, skein's web page shows the key-value store to everyone. YARN also hides the application from the
        # hub, which is not its owner.
        acls=skein.ACLs(
            enable=True, view_users=[request.hub_user], modify_users=[request.hub_user], ui_users=[request.hub_user]
        ),
        # A second attempt would silently replace the user's server with a new, empty one.
        max_attempts=1,
        # The label applies to the server. A separate application master runs wherever the queue allows.
        node_label="" if in_service else request.node_label,
        services={
            **({SERVER_SERVICE: skein.Service(**server, node_label=request.node_label)} if in_service else {}),
            **{kernel.name: _kernel_service(request, kernel) for kernel in request.kernels},
        },
        master=skein.Master(
            **master,
            log_level=request.log_level,
            security=skein.Security(cert_bytes=request.credentials.certificate, key_bytes=request.credentials.key),
        ),
    )


def server_script(template: str, *, user: str, prologue: str, command: str, epilogue: str) -> str:
    """Return the script that runs in the container.

    Args:
        template: the admin's template with ``{prologue}``, ``{singleuser_command}`` and ``{epilogue}``.
        user: the Hadoop user.
        prologue: shell code. If it fails, the script stops and names the command on stderr.
        command: shell code that runs the server.
        epilogue: shell code that runs after the server.

    Raises:
        SpecificationError: the template has another field.
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
    preamble = _PREAMBLE.format(
        reset=RESET_MASTER_ENVIRONMENT, environment_file=ENVIRONMENT_FILE, user=shlex.quote(user)
    )
    return preamble + body + "\n"


def shell_command(cmd: list[str], args: Iterable[str]) -> str:
    """Return the server's command as shell code.

    A list of one string already is shell code (``python -m yarnspawner.singleuser``), as in 0.4.0. The words of a
    longer list are quoted. In arguments, the node's variables are filled in.
    """
    words = cmd if len(cmd) == 1 else [shlex.quote(word) for word in cmd]
    return " ".join([*words, *map(argument, args)])


def environment_file(environment: Mapping[str, Any]) -> str:
    """Return the text of a file that sets this environment when a shell sources it.

    In values of type :class:`NodeText`, the shell fills in its own variables.

    Raises:
        SpecificationError: a name is not valid for a shell variable.
    """
    for name in environment:
        if not _VARIABLE_NAME.fullmatch(name):
            raise SpecificationError(f"environment: {name!r} is not the name of a variable.")
    return "".join(f"export {name}={_value(value)}\n" for name, value in sorted(environment.items()))


def _value(value: Any) -> str:
    return value.quoted() if isinstance(value, NodeText) else shlex.quote(str(value))


def _runtime(image: str) -> dict[str, str]:
    """Return YARN's environment variables for a Docker image.

    https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/DockerContainers.html
    """
    if not image:
        return {}
    return {"YARN_CONTAINER_RUNTIME_TYPE": "docker", "YARN_CONTAINER_RUNTIME_DOCKER_IMAGE": image}


def _mebibytes(size: int) -> int:
    return math.ceil(size / MEBIBYTE)


def _kernel_service(request: ServerRequest, kernel: KernelService) -> skein.Service:
    return skein.Service(
        instances=0,
        # By default, the first kernel that fails would end the application, and so the server.
        allow_failures=True,
        max_restarts=0,
        resources=skein.Resources(memory=kernel.memory, vcores=kernel.vcores, gpus=kernel.gpus),
        node_label=kernel.node_label,
        files=_files(request, {**request.files, **kernel.files}, kernel.private_files),
        env=_runtime(request.container_image),
        script=kernel.script,
    )


def _files(request: ServerRequest, shared: Mapping[str, Any], private: Mapping[str, str]) -> dict[str, skein.File]:
    private = {ENVIRONMENT_FILE: request.environment_path, **private}
    if taken := (private.keys() | request.master_files.keys()) & shared.keys():
        raise SpecificationError(f"localize_files: the name {min(taken)!r} is one of the spawner's own.")
    files = {}
    for name, source in shared.items():
        try:
            files[name] = source if isinstance(source, skein.File) else skein.File.from_dict(source)
        except (TypeError, ValueError) as error:
            raise SpecificationError(f"localize_files: {name!r}: {error}") from None
    # Visible to this application's containers alone; skein uploads them with mode 0600 into a folder of mode 0700.
    own = {name: skein.File(path, type="file", visibility="application") for name, path in private.items()}
    return {**files, **own}
