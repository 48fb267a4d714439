"""Driver processes: start, calls, log and exit."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_driver import CHECKOUT, FakeHadoop
from yarnspawner.skein_driver import driver_process
from yarnspawner.skein_driver.driver_process import DriverSettings
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.skein_driver.rpc import ClusterUnavailable, Request, RpcError

PING = Request("ping", b"")
LOG = logging.getLogger("test.drivers")


@pytest.fixture
def hadoop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHadoop:
    fake = FakeHadoop(tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    driver_process.clear_classpath_cache()
    return fake


async def started(**settings: object) -> Driver:
    driver = Driver(DriverSettings(**settings), LOG)  # type: ignore[arg-type]
    await driver.start()
    return driver


async def eventually(condition: Callable[[], bool], within: float = 10) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_call_and_close(hadoop: FakeHadoop) -> None:
    """A driver answers a call, and exits when it is closed."""
    driver = await started()
    assert await driver.call(PING, 5) == b""
    assert driver.alive
    await driver.close()
    assert not driver.alive
    assert hadoop.running() == []


async def test_environment_has_no_secrets(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The JVM gets none of the hub's secrets."""
    secrets = [
        "CONFIGPROXY_AUTH_TOKEN",
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_CRYPT_KEY",
        "OAUTH_CLIENT_SECRET",
        "DB_URL",
    ]
    for name in secrets:
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("KRB5CCNAME", "FILE:/tmp/cache")
    driver = await started()
    await driver.close()
    environment = hadoop.started()[0]["environment"]
    assert not set(secrets) & set(environment)
    assert environment["KRB5CCNAME"] == "FILE:/tmp/cache"


async def test_kerberos_configuration(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Java uses the same Kerberos configuration as kinit."""
    monkeypatch.setenv("KRB5_CONFIG", "/site/krb5.conf:/etc/krb5.conf")
    driver = await started()
    await driver.close()
    assert "-Djava.security.krb5.conf=/site/krb5.conf" in hadoop.started()[0]["arguments"]


async def test_keytab(hadoop: FakeHadoop, tmp_path: Path) -> None:
    """The driver logs in with the hub's keytab."""
    keytab = tmp_path / "hub.keytab"
    keytab.touch()
    driver = await started(principal="hub/edge@SITE", keytab=str(keytab))
    await driver.close()
    assert hadoop.started()[0]["arguments"][-4:] == ["--keytab", str(keytab), "--principal", "hub/edge@SITE"]


async def test_class_path(hadoop: FakeHadoop) -> None:
    """Our own files and skein come before YARN's class path, which is cached."""
    for _ in range(2):
        await (await started()).close()
    parts = hadoop.started()[0]["environment"]["CLASSPATH"].split(":")
    assert parts == [str(driver_process.OWN_FILES), str(driver_process.SKEIN_JAR), "/hadoop/one.jar", "/hadoop/two.jar"]
    assert all(Path(part).exists() for part in parts[:2])
    assert hadoop.times_asked_for_classpath() == 1


async def test_class_path_after_failed_start(hadoop: FakeHadoop) -> None:
    """A failed start clears the cached class path."""
    hadoop.behave(start={"exit": 1})
    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            await started()
    assert hadoop.times_asked_for_classpath() == 2


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PATH": "/nonexistent"}, "No `yarn` command on the hub's PATH; install Hadoop's client"),
        ({"JAVA_HOME": "/nonexistent"}, "No Java: JAVA_HOME is /nonexistent, which has no bin/java"),
    ],
)
async def test_missing_programs(
    hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    """The error names the missing program and the remedy."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ClusterUnavailable, match=sentence):
        await started()


async def test_missing_java(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java, the error names JAVA_HOME."""
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(hadoop.folder / "bin"))
    with pytest.raises(ClusterUnavailable, match="No Java: JAVA_HOME is not set"):
        await started()


async def test_failed_yarn_command(hadoop: FakeHadoop) -> None:
    """The error quotes the output of a failed ``yarn classpath``."""
    (hadoop.folder / "bin" / "yarn").write_text("#!/bin/sh\necho 'JAVA_HOME is not set' >&2\nexit 1\n")
    with pytest.raises(ClusterUnavailable, match="classpath` failed: JAVA_HOME is not set"):
        await started()


async def test_missing_keytab(hadoop: FakeHadoop) -> None:
    """The error names the missing keytab."""
    with pytest.raises(ClusterUnavailable, match=r"The keytab /nonexistent/hub\.keytab does not exist"):
        await started(principal="hub", keytab="/nonexistent/hub.keytab")


@pytest.mark.parametrize("settings", [{"principal": "hub"}, {"keytab": "hub.keytab"}])
async def test_principal_needs_keytab(hadoop: FakeHadoop, settings: dict[str, str]) -> None:
    """Principal and keytab must be set together."""
    with pytest.raises(ClusterUnavailable, match="both the principal and the keytab"):
        await started(**settings)


async def test_exit_at_start(hadoop: FakeHadoop) -> None:
    """The error quotes the last cause of the stack trace."""
    hadoop.behave(
        start={
            "exit": 1,
            "say": "26/11/23 00:00:00 ERROR skein.Driver: Error running Driver\n"
            "org.apache.hadoop.security.KerberosAuthException: failure to login\n"
            "\tat org.apache.hadoop.security.UserGroupInformation.doSubjectLogin(UserGroupInformation.java:2065)\n"
            "Caused by: javax.security.auth.login.LoginException: Checksum failed\n"
            "\t... 5 more",
        }
    )
    with pytest.raises(
        ClusterUnavailable, match=r"did not start: javax.security.auth.login.LoginException: Checksum failed$"
    ):
        await started()


async def test_invalid_java_option(hadoop: FakeHadoop) -> None:
    """The error names an invalid Java option."""
    hadoop.behave(
        start={
            "exit": 1,
            "say": "Unrecognized VM option 'Nonsense'\n"
            "Error: Could not create the Java Virtual Machine.\n"
            "Error: A fatal exception has occurred. Program will exit.",
        }
    )
    with pytest.raises(ClusterUnavailable, match="did not start: Unrecognized VM option 'Nonsense'"):
        await started()


async def test_start_timeout(hadoop: FakeHadoop) -> None:
    """A JVM that does not listen in time is killed."""
    hadoop.behave(start={"call_back": False})
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="did not start within 2 s"):
        await started(start_timeout=2.0)
    assert time.monotonic() - began < 6
    assert hadoop.running() == []


async def test_cancelled_start(hadoop: FakeHadoop) -> None:
    """A cancelled start leaves no JVM, and asyncio logs no exception of it."""
    logged: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["message"]))
    hadoop.behave(start={"call_back": False})
    task = asyncio.create_task(started())
    await eventually(lambda: bool(hadoop.running()))
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert hadoop.running() == []
    del task
    gc.collect()
    assert logged == []


async def test_start_does_not_block(hadoop: FakeHadoop) -> None:
    """The start does not block the event loop."""
    hadoop.behave(start={"delay": 2})
    task = asyncio.create_task(started())
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await task.result().close()
    assert longest < 1


async def test_exit_is_detected(hadoop: FakeHadoop, caplog: pytest.LogCaptureFixture) -> None:
    """The JVM's exit is logged, and later calls fail."""
    driver = await started()
    noticed = asyncio.Event()
    driver.on_exit = noticed.set
    os.kill(driver.pid, signal.SIGKILL)
    await asyncio.wait_for(noticed.wait(), 5)
    assert not driver.alive
    assert "exited with status -9" in caplog.text
    with pytest.raises(RpcError, match="UNAVAILABLE"):
        await driver.call(PING, 5)
    await driver.close()


async def test_close_hung_jvm(hadoop: FakeHadoop) -> None:
    """A JVM that hangs is killed."""
    driver = await started()
    os.kill(driver.pid, signal.SIGSTOP)
    with pytest.raises(RpcError, match="DEADLINE_EXCEEDED"):
        await driver.call(PING, 0.5)
    await driver.close()
    assert hadoop.running() == []


async def test_close_fails_calls(hadoop: FakeHadoop) -> None:
    """Closing a driver fails its calls with an error, not with a cancellation."""
    hadoop.behave(delay={"ping": 30})
    driver = await started()
    call = asyncio.create_task(driver.call(PING, 60))
    await eventually(lambda: len(hadoop.calls("ping")) == 1)
    await driver.close()
    with pytest.raises(RpcError, match="UNAVAILABLE"):
        await call


async def test_jvm_log(hadoop: FakeHadoop, caplog: pytest.LogCaptureFixture) -> None:
    """The hub's DEBUG log has the JVM's output, without control characters."""
    caplog.set_level(logging.DEBUG)
    hadoop.behave(start={"say": "26/11/23 00:00:00 WARN ipc.Client: some\x1b[31m trouble"})
    driver = await started()
    await driver.close()
    assert f"driver {driver.pid}: 26/11/23 00:00:00 WARN ipc.Client: some trouble" in caplog.text


async def test_refusal_of_impersonated_user(hadoop: FakeHadoop) -> None:
    """The reason for a refusal is read from the JVM's log."""
    refusal = (
        "26/11/23 00:00:00 DEBUG security.UserGroupInformation: PrivilegedActionException as: {} (auth:PROXY) via hub\n"
        "org.apache.hadoop.yarn.exceptions.YarnException: {}\n"
        "\tat org.apache.hadoop.yarn.client.api.impl.YarnClientImpl.submitApplication(YarnClientImpl.java:362)"
    )
    hadoop.behave(
        fail={"submit": ["INTERNAL", "Failed to submit application, exception:\nnull"]},
        log={"submit": "\n".join(refusal.format(*who) for who in [("alice", "no such queue"), ("bob", "not for bob")])},
    )
    driver = await started()
    with pytest.raises(RpcError, match="YarnException: no such queue"):
        await driver.call(Request("submit", b"", "alice"), 5)
    await driver.close()


HUB = """
import asyncio, logging, os, signal, sys
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.skein_driver.driver_process import DriverSettings

async def main():
    driver = Driver(DriverSettings(), logging.getLogger())
    await driver.start()
    print(driver.pid, flush=True)
    {end}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.abort()",
        "raise SystemExit(3)",
        "os.kill(driver.pid, signal.SIGSTOP)",
    ],
)
async def test_jvm_exits_with_hub(hadoop: FakeHadoop, end: str) -> None:
    """The JVM exits with the hub, even if the hub is killed."""
    hub = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HUB.format(end=end),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    said, _ = await asyncio.wait_for(hub.communicate(), 30)
    assert said.strip().isdigit()
    await eventually(lambda: hadoop.running() == [])


async def test_other_child_does_not_keep_jvm(hadoop: FakeHadoop) -> None:
    """Another child process of the hub does not keep the JVM's input open."""
    driver = await started()
    other = await asyncio.create_subprocess_exec("sleep", "60", close_fds=False)
    try:
        began = time.monotonic()
        await driver.close()
        assert time.monotonic() - began < 2.9  # it exited by itself, without a signal
        assert hadoop.running() == []
    finally:
        other.kill()
        await other.wait()
