"""The recipes in real containers, submitted with skein itself."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import psutil
import pytest
import skein
from jupyter_client import BlockingKernelClient

from localhadoop import LocalHadoop
from tests.support.cluster_kinds import mostly_on_kerberos
from tests.support.skein_client import MASTER_ENVIRONMENT, skein_client
from tests.unit.singleuser.surroundings import hub
from yarnspawner.common.protocol import ADDRESS_KEY, ERROR_KEY, KERNEL_KEY, STOP_KEY, Address, Failure, StopRequest

# A recipe runs in an application's master or in a service of its own; most of it is the same.
MOSTLY_AS_MASTER = pytest.mark.parametrize(
    "service", [False, pytest.param(True, marks=pytest.mark.full)], ids=["master", "service"]
)
EACH = pytest.mark.parametrize(
    ("cluster", "service"),
    [
        ("simple_cluster", False),
        pytest.param("simple_cluster", True, marks=pytest.mark.full),
        ("kerberos_cluster", False),
        ("kerberos_cluster", True),
    ],
    indirect=["cluster"],
)
SERVER = f"{sys.executable} -m yarnspawner.singleuser"


class Cluster:
    """A cluster, and a skein driver that submits to it as alice."""

    def __init__(self, hadoop: LocalHadoop) -> None:
        self.hadoop = hadoop
        keytab = hadoop.keytab("jupyterhub")
        self.client = skein_client(
            keytab=str(keytab) if keytab else None,
            principal=hadoop.principal("jupyterhub"),
            security=skein.Security.new_credentials(),
            log=False,
        )
        self.as_root = "" if hadoop.kerberos else "--allow-root"

    def submit(self, script: str, *, service: bool = False, **options: Any) -> skein.ApplicationClient:
        """An application whose master, or whose service, runs the script."""
        size = skein.Resources(memory=700, vcores=1)
        role: dict[str, Any]
        if service:
            master = skein.Master(env=MASTER_ENVIRONMENT)
            role = {"services": {"server": skein.Service(resources=size, script=script, **options)}, "master": master}
        else:
            env = {**MASTER_ENVIRONMENT, **options.pop("env", {})}
            role = {"master": skein.Master(resources=size, script=script, env=env, **options)}
        hub_users = {"view_users": ["jupyterhub"], "modify_users": ["jupyterhub"]}
        acls = skein.ACLs(enable=True, ui_users=["jupyterhub"], **hub_users)
        return self.client.submit_and_connect(
            skein.ApplicationSpec(name="recipe", user="alice", acls=acls, max_attempts=1, **role)
        )

    def end(self, application: skein.ApplicationClient, timeout: float = 120) -> skein.model.ApplicationReport:
        """Wait for the application's end."""
        return wait(lambda: self.ended(application), timeout)

    def ended(self, application: skein.ApplicationClient) -> Any:
        report = self.client.application_report(application.id)
        return report if str(report.state) in ("FINISHED", "FAILED", "KILLED") else None


def wait(check: Callable[[], Any], timeout: float = 120) -> Any:
    until = time.monotonic() + timeout
    while not (found := check()):
        assert time.monotonic() < until, f"still nothing after {timeout} s"
        time.sleep(0.2)
    return found


def key(application: skein.ApplicationClient, name: str, timeout: float = 120) -> bytes:
    return wait(lambda: application.kv.get(name), timeout)


@pytest.fixture(scope="module")
def drivers() -> Iterator[dict[str, Cluster]]:
    drivers: dict[str, Cluster] = {}
    yield drivers
    for driver in drivers.values():
        driver.client.close()


@pytest.fixture(params=["simple_cluster", "kerberos_cluster"])
def cluster(request: pytest.FixtureRequest, drivers: dict[str, Cluster]) -> Cluster:
    hadoop = request.getfixturevalue(request.param)
    if request.param not in drivers:
        with mock.patch.dict(os.environ, hadoop.environment()):
            drivers[request.param] = Cluster(hadoop)
    return drivers[request.param]


@pytest.fixture(scope="module")
def environment() -> Iterator[str]:
    """What the hub's script sets, as pieces of shell."""
    with hub() as api:
        variables = {
            "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/user/alice/",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
            "JUPYTERHUB_API_URL": api,
            "JUPYTERHUB_API_TOKEN": "a-token-of-alice",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
            "JUPYTERHUB_USER": "alice",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/alice/oauth_callback",
            "JUPYTERHUB_OAUTH_SCOPES": '["access:servers!server=alice/"]',
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=alice/"]',
        }
        yield "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()) + "\n"


def ask(address: Address, path: str, data: bytes | None = None) -> Any:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{address.port}/user/alice/api{path}", data, {"Authorization": "token a-token-of-alice"}
    )
    with urllib.request.urlopen(asked, timeout=20) as response:  # noqa: S310
        return json.load(response)


@contextmanager
def ending(application: skein.ApplicationClient) -> Iterator[skein.ApplicationClient]:
    try:
        yield application
    finally:
        with suppress(skein.SkeinError):
            application.shutdown("KILLED")
        application.close()


@EACH
def test_server_starts_and_stops(cluster: Cluster, environment: str, service: bool) -> None:
    """A server publishes its address, answers requests, and stops in order after a request in the store."""
    # A prologue may go elsewhere and change HOME, and a site's proxy is for other things than the store.
    script = f"{environment}cd / ; export HOME=/home/ https_proxy=http://127.0.0.1:9\n{SERVER} {cluster.as_root}"
    with ending(cluster.submit(script, service=service)) as application:
        address = Address.from_bytes(key(application, ADDRESS_KEY))
        assert address.host
        assert ask(address, "/kernels", b"{}")["execution_state"]
        application.kv[STOP_KEY] = StopRequest("Asked by a test", 20).to_bytes()
        report = cluster.end(application)
    assert (str(report.state), str(report.final_status)) == ("FINISHED", "SUCCEEDED")


@mostly_on_kerberos("cluster")
@MOSTLY_AS_MASTER
def test_failed_start_gives_reason(cluster: Cluster, environment: str, service: bool) -> None:
    """A server that cannot start publishes the reason before its application ends."""
    with ending(cluster.submit(f"{environment}{SERVER} --ServerApp.port=many", service=service)) as application:
        failure = Failure.from_bytes(key(application, ERROR_KEY))
        assert "many" in failure.message
        application.kv[STOP_KEY] = b"seen"
        report = cluster.end(application)
    assert str(report.final_status) == "FAILED"


@mostly_on_kerberos("cluster")
def test_server_ends_with_master(cluster: Cluster, environment: str) -> None:
    """A server's process ends when its application master is killed."""
    with ending(cluster.submit(f"{environment}{SERVER} {cluster.as_root}")) as application:
        address = Address.from_bytes(key(application, ADDRESS_KEY))
        assert ask(address, "")["version"]
        server = listener(address.port)
        master = next(parent for parent in server.parents() if parent.name() == "java")
        master.kill()
        psutil.wait_procs([server], timeout=15)
        assert not server.is_running()
        report = cluster.end(application)
    assert str(report.state) != "SUCCEEDED"


def listener(port: int) -> psutil.Process:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            return psutil.Process(connection.pid)
    raise AssertionError(f"nobody listens on port {port}")


KERNEL = f"{sys.executable} -m yarnspawner.singleuser.kernel"


@contextmanager
def connected(information: dict[str, Any]) -> Iterator[BlockingKernelClient]:
    client = BlockingKernelClient()
    client.load_connection_info(information)
    client.start_channels()
    client.wait_for_ready(timeout=30)
    yield client
    client.stop_channels()


@EACH
def test_kernel_starts_and_stops(cluster: Cluster, service: bool) -> None:
    """A client reaches a kernel with the connection information that it published, and the kernel ends in order."""
    with ending(cluster.submit(f"cd /\n{KERNEL}", service=service)) as application:
        with connected(json.loads(key(application, KERNEL_KEY))) as client:
            reply = client.execute_interactive("import os; print(os.getuid())", timeout=20)
            assert reply["content"]["status"] == "ok"
            client.shutdown()
        report = cluster.end(application)
    assert (str(report.state), str(report.final_status)) == ("FINISHED", "SUCCEEDED")


@mostly_on_kerberos("cluster")
@MOSTLY_AS_MASTER
def test_kernel_crash_is_reported(cluster: Cluster, service: bool) -> None:
    """A kernel that dies of a signal ends its application, and YARN's diagnostics give the reason."""
    with ending(cluster.submit(KERNEL, service=service)) as application:
        information = json.loads(key(application, KERNEL_KEY))
        with connected(information) as client:
            client.execute("import ctypes; ctypes.string_at(0)")
            report = cluster.end(application)
    assert str(report.final_status) == "FAILED"
    assert "The kernel died of signal 11 (Segmentation fault)." in report.diagnostics


@mostly_on_kerberos("cluster")
@pytest.mark.full  # tests/cluster/test_kernels.py has more of such kernels
def test_kernel_fails_alone(cluster: Cluster) -> None:
    """A kernel among others fails alone: it publishes the reason, and its application goes on."""
    with ending(cluster.submit(KERNEL, service=True, instances=2, allow_failures=True)) as application:
        with connected(json.loads(key(application, KERNEL_KEY))) as client:
            client.execute("import os; os._exit(3)")
            failure = Failure.from_bytes(key(application, KERNEL_KEY + ".error"))
        assert "exit status 3" in failure.message
        assert not cluster.ended(application)
