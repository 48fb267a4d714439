"""The key-value store of the application that this process runs in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from yarnspawner.common.grpc_import import import_grpc
from yarnspawner.singleuser.imports import use_stdlib_distutils
from yarnspawner.singleuser.key_watch import KeyWatch
from yarnspawner.singleuser.registration import (
    ADDRESS_VARIABLE,
    NotRegistered,
    await_registration,
    registration_pending,
)

# Seconds that the application master may take to answer. It runs on the same machine or a neighbour of it.
_DEADLINE = 5.0


class NotInContainer(Exception):
    """This process does not run in a container that skein started."""


class StoreError(Exception):
    """The application master rejected a request or did not answer in time."""


@dataclass(frozen=True)
class ServiceContainer:
    """A container as the application master knows it."""

    service: str
    state: str
    """``WAITING``, ``REQUESTED``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``KILLED``."""
    exit_message: str
    """YARN's reason of a failure; "" for none."""
    waiting: str = ""
    """What the container waits for, as words that begin a sentence; "" if that is not known."""

    @property
    def active(self) -> bool:
        return self.state in ("WAITING", "REQUESTED", "RUNNING")


class Store:
    """A connection to the application master, with a deadline on every call.

    - it is found through what skein sets in the environment of its containers, the master's script included
    - the folder that the process was started in, and what its prologue did to HOME, do not matter
    - a proxy in the environment does not matter
    """

    def __init__(self, *, lazy: bool = False) -> None:
        """Connect.

        Args:
            lazy: connect at the first request. The imports for it take as long as half of a kernel's start.

        Raises:
            NotInContainer: skein's variables or certificates are not there.
            ImportError: skein is not installed, or it lacks the ``setuptools`` that it needs from Python 3.12 on. If the
                store is lazy, this is raised by the first request.
        """
        if "SKEIN_APPLICATION_ID" not in os.environ:
            raise NotInContainer("this works only in a YARN container that skein has started")
        self.container_id: str | None = os.environ.get("SKEIN_CONTAINER_ID")
        """Skein's id of a service container; None in the master container."""
        self.container_folder: str = _container_folder()
        """Folder of the container's files."""
        if lazy:
            return
        if registration_pending():
            _import_skein()  # and connect at the first request
        else:
            self.connect()

    def connect(self) -> None:
        """Connect, once the application master has registered. Every request does so as well.

        Raises:
            NotInContainer: the address or the certificates are not there, or the application master has ended.
        """
        _ = self._application

    @cached_property
    def _application(self) -> Any:
        skein = _import_skein()
        try:
            connect = _prepared(skein)
            await_registration()
            return connect()
        except (OSError, ValueError, NotRegistered) as error:
            raise NotInContainer(f"the application master's address or certificate is missing: {error}") from error

    def put_at(self, address: str, values: Mapping[str, bytes]) -> None:
        """Set keys at an address, before the application master has registered.

        Raises:
            StoreError: no store of this application answers there.
        """
        skein = _import_skein()
        try:
            with _prepared(skein)(address) as application:
                for key, value in values.items():
                    application.kv._apply_op(skein.kv.put(key, value), timeout=_DEADLINE)  # noqa: SLF001
        except Exception as error:
            raise StoreError(f"{type(error).__name__}: {error}") from error

    def put(self, key: str, value: bytes, *, lasting: bool = False) -> None:
        """Set a key.

        It goes with the service's container that set it, unless it is to last as long as the application.
        """
        from skein import kv

        self._apply(kv.put(key, value, owner=None if lasting else self.container_id))

    def get(self, key: str) -> bytes | None:
        """Return the value of a key; None if it is not set."""
        from skein import kv

        value: bytes | None = self._apply(kv.get(key))
        return value

    def discard(self, key: str) -> None:
        """Remove a key if it is set."""
        from skein import kv

        self._apply(kv.discard(key))

    def watch(self, first: str, last: str, *, removals: bool = False) -> KeyWatch:
        """Return a watch of all keys from one to another, to be opened. Its event loop must be the caller's."""
        return KeyWatch(self._application.asynchronous_channel, first, last, removals=removals)

    def get_prefix(self, prefix: str) -> dict[str, bytes]:
        """Return all keys that begin with a prefix, and their values."""
        from skein import kv

        return dict(self._apply(kv.get_prefix(prefix)))

    def discard_prefix(self, prefix: str) -> None:
        """Remove all keys that begin with a prefix."""
        from skein import kv

        self._apply(kv.discard_prefix(prefix))

    def add_container(self, service: str, env: dict[str, str]) -> str:
        """Request one more container of a service, and return skein's id of it.

        Args:
            service: its name.
            env: variables in addition to the service's. YARN writes them to the container's log folder.
        """
        from skein import proto

        added = self._call("addContainer", proto.AddContainerRequest(service_name=service, env=env))
        return f"{added.service_name}_{added.instance}"

    def kill_container(self, container_id: str) -> None:
        """Kill a container; do nothing if it has ended."""
        from skein import proto

        service, _, instance = container_id.rpartition("_")
        self._call("killContainer", proto.ContainerInstance(service_name=service, instance=int(instance)))

    def containers(self, service: str | None = None, *, ended: bool = False) -> dict[str, ServiceContainer]:
        """Return the service containers by id: of one service or all, and only the active ones unless ``ended``."""
        from skein import proto

        states = ["WAITING", "REQUESTED", "RUNNING", *(["SUCCEEDED", "FAILED", "KILLED"] if ended else [])]
        request = proto.ContainersRequest(services=[service] if service else None, states=states)
        return {
            f"{found.service_name}_{found.instance}": ServiceContainer(
                found.service_name, proto.Container.State.Name(found.state), found.exit_message
            )
            for found in self._call("getContainers", request).containers
        }

    def specification(self) -> Any:
        """Return the :class:`skein.ApplicationSpec` of this application."""
        from skein import ApplicationSpec, proto

        return ApplicationSpec.from_protobuf(self._call("getApplicationSpec", proto.Empty()))

    def fail(self, reason: str) -> None:
        """End the application as FAILED, with a reason that YARN keeps among its diagnostics."""
        from skein import proto

        self._call("shutdown", proto.ShutdownRequest(final_status="FAILED", diagnostics=reason))

    def _apply(self, operation: Any) -> Any:
        # skein's public methods set no deadline.
        try:
            return self._application.kv._apply_op(operation, timeout=_DEADLINE)  # noqa: SLF001
        except Exception as error:
            raise StoreError(f"{type(error).__name__}: {error}") from error

    def _call(self, method: str, request: Any) -> Any:
        try:
            return self._application._call(method, request, timeout=_DEADLINE)  # noqa: SLF001
        except Exception as error:
            raise StoreError(f"{type(error).__name__}: {error}") from error


def _container_folder() -> str:
    """Return the folder of the container's files, wherever the process was started.

    YARN makes a folder on each of the node's disks, and fills one. Skein finds it in the same way.
    """
    container = os.environ.get("CONTAINER_ID", "")
    for disk in os.environ.get("LOCAL_DIRS", "").split(","):
        folder = Path(disk, container)
        if container and all((folder / name).exists() for name in (".skein.crt", ".skein.pem")):
            return str(folder)
    raise NotInContainer("the certificate of the application master is in none of the container's folders")


def _import_skein() -> Any:
    # Late, since nothing is to be slow or break without skein before this is known to be a container.
    import_grpc()
    with use_stdlib_distutils():
        import skein
    return skein


def _prepared(skein: Any) -> Callable[..., Any]:
    """Return what connects to the application master, which may be told its address. The rest takes longer."""
    import grpc
    from skein import proto

    security = skein.Security.from_default()
    certificate, key = (security._get_bytes(kind) for kind in ("cert", "key"))  # noqa: SLF001
    credentials = grpc.ssl_channel_credentials(certificate, key, certificate)
    options = [
        ("grpc.ssl_target_name_override", "skein-internal"),
        ("grpc.default_authority", "skein-internal"),
        # skein's own client would go through $http_proxy, which many sites set for their users.
        ("grpc.enable_http_proxy", 0),
    ]

    class Application(skein.ApplicationClient):
        def __init__(self, address: str = "") -> None:
            # Skein reads its variables when it is imported. A script that has started early imports it before it has them.
            skein.properties.__init__()
            self.address = address or skein.properties.appmaster_address
            if not self.address:
                raise ValueError(f"{ADDRESS_VARIABLE} is not set")
            self.security = security
            self.id = skein.properties.application_id
            self._channel = grpc.secure_channel(self.address, credentials, options)
            self._stub = proto.AppMasterStub(self._channel)

        def asynchronous_channel(self) -> Any:
            return grpc.aio.secure_channel(self.address, credentials, options)

    if registration_pending():
        grpc.insecure_channel("localhost:1").close()  # gRPC starts its threads with the first channel
    return Application
