"""The application of a kernel without a hub, and its connection. Pure: no I/O."""

from __future__ import annotations

import ipaddress
import json
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import skein

from yarnspawner.common.kernel_protocol import SECRET_FILE
from yarnspawner.singleuser.listening import PORT_RANGE_VARIABLE
from yarnspawner.skein_driver.application_master import (
    JAVA_OPTIONS,
    MEMORY,
    RESET_MASTER_ENVIRONMENT,
    master_environment,
)

TAG = "yarnspawner-kernel"
"""YARN tag of all applications of kernels, which ``yarnspawner kernel list`` shows."""

KEY_FILE = "connection-keys.json"
"""Name of the private file with the connection's keys in the container's folder."""

_ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".zip", ".tar", ".jar")
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_LARGEST_INFORMATION = 4096


class KernelError(Exception):
    """A kernel cannot be started or used; the message is for the user."""


@dataclass(frozen=True)
class KernelRequest:
    """What to start.

    Attributes:
        name: the application's name in YARN.
        queue: YARN queue.
        memory: memory of the kernel's container in MiB.
        vcores: virtual cores.
        gpus: ``yarn.io/gpu`` resources.
        environment: local path or URL of an archive, which YARN unpacks; or path of an environment that exists on every
            node; "" for the running Python, at the same path on every node.
        public: the archive is readable by everyone, so YARN can cache one copy per node for all users.
        port_range: ``first:last``, or "" for any ports.
    """

    name: str = "kernel"
    queue: str = "default"
    memory: int = 2048
    vcores: int = 1
    gpus: int = 0
    environment: str = ""
    public: bool = False
    port_range: str = ""


def connection_keys(*, encrypt: bool, require_encryption: bool = False) -> dict[str, Any]:
    """Return new keys for a kernel's connection. The kernel recipe reads them from its private file.

    Args:
        encrypt: add a CurveZMQ key pair; needs pyzmq.
        require_encryption: the kernel must not start without encryption.
    """
    keys: dict[str, Any] = {"key": secrets.token_hex(32), "signature_scheme": "hmac-sha256"}
    if encrypt:
        # Deferred: --no-console works without pyzmq.
        import zmq

        public, secret = zmq.curve_keypair()
        keys |= {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
    return keys | {"require_encryption": require_encryption}


def specification(request: KernelRequest, key_file: str, security: skein.Security) -> skein.ApplicationSpec:
    """Return the application of ``yarnspawner kernel``.

    Args:
        request: what to start.
        key_file: local path of the private file with the keys.
        security: credentials of this application only.

    Raises:
        KernelError: the request is invalid.
    """
    arguments = f"kernel --connection-key-file={KEY_FILE}"
    if request.port_range:
        arguments += f" --port-range={shlex.quote(request.port_range)}"
    return _application(request, security, arguments, {KEY_FILE: key_file}, {})


def container_specification(
    request: KernelRequest, secret_file: str, environment: Mapping[str, str], security: skein.Security
) -> skein.ApplicationSpec:
    """Return the application of a kernel that a provisioner starts.

    Args:
        request: what to start.
        secret_file: local path of the private file from which keys are derived.
        environment: the kernel's id and encrypted command. YARN writes them to the container's log folder.
        security: credentials of this application only.

    Raises:
        KernelError: the request is invalid.
    """
    ports = {PORT_RANGE_VARIABLE: request.port_range} if request.port_range else {}
    return _application(request, security, "kernel_container", {SECRET_FILE: secret_file}, {**environment, **ports})


def _application(
    request: KernelRequest,
    security: skein.Security,
    program: str,
    private_files: Mapping[str, str],
    environment: Mapping[str, str],
) -> skein.ApplicationSpec:
    """Return a kernel's application. A service container gives it its exact memory and YARN's own exit status."""
    # Private: skein uploads them with mode 0600 into a folder of mode 0700.
    private = {name: skein.File(path, type="file") for name, path in private_files.items()}
    try:
        kernel = skein.Service(
            resources=skein.Resources(memory=request.memory, vcores=request.vcores, gpus=request.gpus),
            env=dict(environment),
            files={**private, **_files(request)},
            script=_script(request, program),
        )
        return skein.ApplicationSpec(
            name=request.name,
            queue=request.queue,
            tags={TAG},
            # Without ACLs, skein's web page shows the key-value store to everyone.
            acls=skein.ACLs(enable=True),
            max_attempts=1,
            master=skein.Master(
                resources=skein.Resources(memory=MEMORY, vcores=1),
                env=master_environment(JAVA_OPTIONS),
                security=security,
            ),
            services={"kernel": kernel},
        )
    except (TypeError, ValueError) as error:
        raise KernelError(f"This kernel cannot be requested: {error}") from error


def connection_information(published: bytes, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the connection file: the published ports and the client's own keys.

    Raises:
        KernelError: the published document is invalid, or the kernel does not encrypt although it must.
    """
    if len(published) > _LARGEST_INFORMATION:
        raise KernelError(
            f"The kernel published {len(published)} bytes, which is too large for connection information."
        )
    try:
        document = json.loads(published)
        address = str(ipaddress.ip_address(document["ip"]))
        ports = {name: document[name] for name in PORTS}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KernelError("The kernel published invalid connection information.") from None
    if not all(type(port) is int and 0 < port < 65536 for port in ports.values()):
        raise KernelError("The kernel published invalid ports.")
    used = {name: value for name, value in keys.items() if name != "require_encryption"}
    if document.get("encrypted") is not True:
        if keys.get("require_encryption"):
            raise KernelError("The kernel does not encrypt its connection, and --require-encryption was given.")
        used = {name: value for name, value in used.items() if not name.startswith("curve_")}
    return {"transport": "tcp", "ip": address, **ports, **used, "kernel_name": "python3"}


def is_archive(environment: str) -> bool:
    """Return True if the environment is an archive, which YARN unpacks."""
    return environment.lower().endswith(_ARCHIVES)


def _files(request: KernelRequest) -> dict[str, skein.File]:
    if not is_archive(request.environment):
        return {}
    visibility = "public" if request.public else "application"
    return {"environment": skein.File(request.environment, type="archive", visibility=visibility)}


def _script(request: KernelRequest, program: str) -> str:
    python, lines = shlex.quote(sys.executable), [RESET_MASTER_ENVIRONMENT]
    if request.environment:
        folder = "environment" if is_archive(request.environment) else request.environment
        lines.append(f"source {shlex.quote(folder)}/bin/activate")
        python = "python"
    return "\n".join([*lines, f"{python} -m yarnspawner.singleuser.{program}"])
