from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_driver import CHECKOUT, FakeHadoop
from yarnspawner.skein_driver import driver_process as launch
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
    launch.forget_classpath()
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


async def test_a_driver_answers_and_leaves_when_closed(hadoop: FakeHadoop) -> None:
    driver = await started()
    assert await driver.call(PING, 5) == b""
    assert driver.alive
    await driver.close()
    assert not driver.alive
    assert hadoop.running() == []


async def test_the_hubs_secrets_do_not_reach_the_jvm(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_java_uses_the_kerberos_configuration_that_kinit_uses(
    hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CONFIG", "/site/krb5.conf:/etc/krb5.conf")
    driver = await started()
    await driver.close()
    assert "-Djava.security.krb5.conf=/site/krb5.conf" in hadoop.started()[0]["arguments"]


async def test_a_driver_logs_in_with_the_hubs_keytab(hadoop: FakeHadoop, tmp_path: Path) -> None:
    keytab = tmp_path / "hub.keytab"
    keytab.touch()
    driver = await started(principal="hub/edge@SITE", keytab=str(keytab))
    await driver.close()
    assert hadoop.started()[0]["arguments"][-4:] == ["--keytab", str(keytab), "--principal", "hub/edge@SITE"]


async def test_its_class_path_is_yarns_after_our_own_files_and_skein(hadoop: FakeHadoop) -> None:
    for _ in range(2):
        await (await started()).close()
    parts = hadoop.started()[0]["environment"]["CLASSPATH"].split(":")
    assert parts == [str(launch.OWN_FILES), str(launch.SKEIN_JAR), "/hadoop/one.jar", "/hadoop/two.jar"]
    assert all(Path(part).exists() for part in parts[:2])
    assert hadoop.times_asked_for_classpath() == 1


async def test_a_failed_start_asks_yarn_for_its_jars_again(hadoop: FakeHadoop) -> None:
    hadoop.behave(start={"exit": 1})
    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            await started()
    assert hadoop.times_asked_for_classpath() == 2


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PATH": "/nonexistent"}, "No `yarn` command on the hub's PATH; install Hadoop's client"),
        ({"JAVA_HOME": "/nonexistent"}, "No Java: JAVA_HOME is /nonexistent, where there is no bin/java"),
    ],
)
async def test_what_is_missing_is_named(
    hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ClusterUnavailable, match=sentence):
        await started()


async def test_without_any_java_the_hub_is_told_to_set_java_home(
    hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(hadoop.folder / "bin"))
    with pytest.raises(ClusterUnavailable, match="No Java: JAVA_HOME is not set"):
        await started()


async def test_a_yarn_command_that_fails_is_quoted(hadoop: FakeHadoop) -> None:
    (hadoop.folder / "bin" / "yarn").write_text("#!/bin/sh\necho 'JAVA_HOME is not set' >&2\nexit 1\n")
    with pytest.raises(ClusterUnavailable, match="classpath` failed: JAVA_HOME is not set"):
        await started()


async def test_a_keytab_that_is_not_there_is_named(hadoop: FakeHadoop) -> None:
    with pytest.raises(ClusterUnavailable, match=r"The keytab /nonexistent/hub\.keytab does not exist"):
        await started(principal="hub", keytab="/nonexistent/hub.keytab")


@pytest.mark.parametrize("settings", [{"principal": "hub"}, {"keytab": "hub.keytab"}])
async def test_a_principal_without_keytab_is_refused(hadoop: FakeHadoop, settings: dict[str, str]) -> None:
    with pytest.raises(ClusterUnavailable, match="both the principal and the keytab"):
        await started(**settings)


async def test_a_jvm_that_leaves_at_once_is_quoted_with_the_cause(hadoop: FakeHadoop) -> None:
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


async def test_a_java_option_that_does_not_exist_is_named(hadoop: FakeHadoop) -> None:
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


async def test_a_jvm_that_never_listens_is_given_up_and_ended(hadoop: FakeHadoop) -> None:
    hadoop.behave(start={"call_back": False})
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="did not start within 2 s"):
        await started(start_timeout=2.0)
    assert time.monotonic() - began < 6
    assert hadoop.running() == []


async def test_a_start_that_is_cancelled_leaves_no_jvm(hadoop: FakeHadoop) -> None:
    hadoop.behave(start={"call_back": False})
    task = asyncio.create_task(started())
    await eventually(lambda: bool(hadoop.running()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hadoop.running() == []


async def test_the_event_loop_is_free_while_a_driver_starts(hadoop: FakeHadoop) -> None:
    hadoop.behave(start={"delay": 2})
    task = asyncio.create_task(started())
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await task.result().close()
    assert longest < 1


async def test_the_end_of_a_jvm_is_noticed_and_logged_with_its_last_words(
    hadoop: FakeHadoop, caplog: pytest.LogCaptureFixture
) -> None:
    driver = await started()
    noticed = asyncio.Event()
    driver.on_exit = noticed.set
    os.kill(driver.pid, signal.SIGKILL)
    await asyncio.wait_for(noticed.wait(), 5)
    assert not driver.alive
    assert "left with status -9" in caplog.text
    with pytest.raises(RpcError, match="UNAVAILABLE"):
        await driver.call(PING, 5)
    await driver.close()


async def test_a_stopped_jvm_is_ended_all_the_same(hadoop: FakeHadoop) -> None:
    driver = await started()
    os.kill(driver.pid, signal.SIGSTOP)
    with pytest.raises(RpcError, match="DEADLINE_EXCEEDED"):
        await driver.call(PING, 0.5)
    await driver.close()
    assert hadoop.running() == []


async def test_calls_in_flight_fail_when_the_driver_is_closed_and_are_not_cancelled(hadoop: FakeHadoop) -> None:
    hadoop.behave(delay={"ping": 30})
    driver = await started()
    call = asyncio.create_task(driver.call(PING, 60))
    await eventually(lambda: len(hadoop.calls("ping")) == 1)
    await driver.close()
    with pytest.raises(RpcError, match="UNAVAILABLE"):
        await call


async def test_the_jvms_log_is_in_the_hubs_debug_log(hadoop: FakeHadoop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hadoop.behave(start={"say": "26/11/23 00:00:00 WARN ipc.Client: some\x1b[31m trouble"})
    driver = await started()
    await driver.close()
    assert f"driver {driver.pid}: 26/11/23 00:00:00 WARN ipc.Client: some [31m trouble" in caplog.text


async def test_the_reason_for_a_refusal_is_found_in_the_jvms_log(hadoop: FakeHadoop) -> None:
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
async def test_no_jvm_is_left_however_the_hub_ends(hadoop: FakeHadoop, end: str) -> None:
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


async def test_another_child_of_the_hub_does_not_keep_the_jvm_alive(hadoop: FakeHadoop) -> None:
    driver = await started()
    other = await asyncio.create_subprocess_exec("sleep", "60", close_fds=False)
    try:
        began = time.monotonic()
        await driver.close()
        assert time.monotonic() - began < 2.9  # of its own accord, not since it was made to
        assert hadoop.running() == []
    finally:
        other.kill()
        await other.wait()
