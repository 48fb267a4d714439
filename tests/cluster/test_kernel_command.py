"""``yarnspawner kernel`` as alice, where the tutorial does not go: interrupted, refused, with a keytab."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support.cluster_kinds import mostly_on_kerberos
from tests.support.edge import PROMPT, Alice
from tests.support.hub_user import until


@pytest.fixture(params=["simple_cluster", "kerberos_cluster"])
def alice(request: pytest.FixtureRequest) -> Iterator[Alice]:
    home = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="alice-"))
    yield Alice(request.getfixturevalue(request.param), home)
    shutil.rmtree(home, ignore_errors=True)


def heard(process: subprocess.Popen[str], word: str) -> str:
    """What a command says, up to a line that has the word."""
    assert process.stderr
    said = ""
    while word not in said:
        said += process.stderr.readline()
        assert process.poll() is None, said
    return said


def wait_for(alice: Alice, said: str, state: str, seconds: float) -> None:
    """Until the application that is named there is in that state."""
    until(lambda: alice.application(said)["state"] == state, seconds, state)


@mostly_on_kerberos("alice")
@pytest.mark.timeout(600)
def test_interrupted_wait(alice: Alice) -> None:
    """A command that is interrupted while it waits for a container kills its application."""
    process = alice.start("--no-console")
    said = heard(process, "container")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    wait_for(alice, said, "KILLED", 30)


@pytest.mark.timeout(600)
def test_failed_start(alice: Alice) -> None:
    """The command says why a kernel cannot start, and names the command that shows its logs."""
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        status, _, errors = alice.run("--no-console", "--port-range", f"{port - 2}:{port + 2}")
    assert status == 1
    assert "A kernel needs five ports" in errors
    assert "yarnspawner kernel logs application_" in errors
    assert alice.application(errors)["finalStatus"] == "FAILED"


@pytest.mark.timeout(600)
def test_unknown_queue(alice: Alice) -> None:
    """The command says that a queue does not exist."""
    status, _, errors = alice.run("--no-console", "--queue", "nowhere")
    assert status == 1
    assert "yarnspawner: The queue nowhere does not exist.\n" in errors


@mostly_on_kerberos("alice")
@pytest.mark.timeout(600)
def test_refused_gpus(alice: Alice) -> None:
    """On a cluster without GPUs, the command refuses a request for one and names the missing resource."""
    status, _, errors = alice.run("--no-console", "--gpus", "1")
    assert status == 1
    assert "The cluster does not have a resource that the kernel requests: yarn.io/gpu.\n" in errors


@pytest.mark.full
@pytest.mark.timeout(600)
def test_too_large_kernel(alice: Alice) -> None:
    """The command says that a kernel requests more memory than YARN allows."""
    status, _, errors = alice.run("--no-console", "--memory", "500GiB")
    assert status == 1
    assert "The kernel requests more than YARN allows: memory:512000, vCores:1, but the maximum is" in errors


@mostly_on_kerberos("alice")
@pytest.mark.timeout(600)
def test_unknown_application(alice: Alice) -> None:
    """The actions stop, logs and connect report an unknown application in one line."""
    for action, said in (
        ("stop", "YARN knows no application"),
        ("logs", "YARN has no logs of"),
        ("connect", "YARN knows no application"),
    ):
        status, output, errors = alice.run(action, "application_1_0001")
        assert (status, output) == (1, "")
        assert errors.startswith(f"yarnspawner: {said}")
        assert errors.count("\n") == 1


@pytest.mark.full
@pytest.mark.timeout(900)
def test_console_and_own_driver(alice: Alice) -> None:
    """Consoles come and go, Ctrl-C interrupts what the kernel does, and the user's own driver keeps running unused."""
    alice.skein("driver", "start")
    driver = alice.skein("driver", "pid")
    try:
        status, output, errors = alice.run("--no-console")
        assert status == 0, errors
        kernel = alice.application(errors)["id"]
        # Also while it runs.
        status, logs, errors = alice.run("logs", kernel)
        assert status == 0, errors
        assert "RUNNING: kernel_0" in logs

        terminal = alice.console("connect", kernel)
        terminal.sendline("import time; time.sleep(600)")
        time.sleep(3)
        terminal.sendintr()
        terminal.expect("KeyboardInterrupt")
        terminal.expect(PROMPT)
        terminal.sendline("6 * 7")
        terminal.expect(r"Out\[.*?42\r")
        terminal.expect(PROMPT)
        terminal.sendline("quit(keep_kernel=True)")
        terminal.expect(pexpect.EOF)
        assert Path(output.strip()).exists()

        # From a script, whose input is at its end at once.
        status, _, errors = alice.run("connect", kernel)
        assert status == 0, errors
        assert f"The kernel keeps running. To reconnect: yarnspawner kernel connect {kernel}\n" in errors

        terminal = alice.console("connect", kernel)
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)
        assert not Path(output.strip()).exists()
        wait_for(alice, kernel, "FINISHED", 60)
        assert alice.application(kernel)["finalStatus"] == "SUCCEEDED"
        status, _, errors = alice.run("connect", kernel)
        assert (status, errors) == (1, f"yarnspawner: {kernel} has ended: FINISHED / SUCCEEDED.\n")
        assert alice.skein("driver", "pid") == driver
        os.kill(int(driver), 0)
    finally:
        alice.skein("driver", "stop")


@pytest.mark.timeout(600)
def test_keytab_without_ticket(alice: Alice) -> None:
    """A user with a keytab and no ticket starts and stops a kernel."""
    keytab, principal = alice.cluster.keytab("alice"), alice.cluster.principal("alice")
    if keytab is None or principal is None:
        pytest.skip("this is about Kerberos")
    login = ("--principal", principal, "--keytab", str(keytab))
    status, output, errors = alice.run("--no-console", "--require-encryption", *login, ticket=False)
    assert status == 0, errors
    file = Path(output.strip())
    assert file.stat().st_mode & 0o777 == 0o600
    status, _, errors = alice.run("stop", alice.application(errors)["id"], *login, ticket=False)
    assert status == 0, errors
    assert "FINISHED / SUCCEEDED" in errors
    assert not file.exists()


@mostly_on_kerberos("alice")
@pytest.mark.timeout(600)
def test_no_runtime_folder(alice: Alice) -> None:
    """The command starts no application if the folder of the connection file cannot be written."""
    before = len(alice.cluster.applications())
    (alice.home / ".local").touch()
    status, _, errors = alice.run("--no-console")
    assert status == 1
    assert errors.startswith("yarnspawner: The connection file cannot be written, ")
    assert errors.count("\n") == 1
    assert len(alice.cluster.applications()) == before


@pytest.mark.full
@pytest.mark.timeout(600)
def test_unwritable_connection_file(alice: Alice) -> None:
    """The command kills a kernel whose connection file cannot be written."""
    process = alice.start("--no-console")
    said = heard(process, "application_")
    application = alice.application(said)["id"]
    (alice.home / f".local/share/jupyter/runtime/kernel-{application}.json").mkdir()
    _, rest = process.communicate(timeout=200)
    assert process.returncode == 1
    assert f"kernel-{application}.json: Is a directory" in rest
    wait_for(alice, said, "KILLED", 30)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_broken_archive(alice: Alice) -> None:
    """The command says that a file in HDFS is no valid archive."""
    (alice.home / "text.tar.gz").write_text("no archive")
    alice.cluster.hdfs("-put", "-f", str(alice.home / "text.tar.gz"), "/user/alice/text.tar.gz", user="alice")
    status, _, errors = alice.run("--no-console", "--environment", "hdfs:///user/alice/text.tar.gz")
    assert status == 1
    assert "The archive text.tar.gz, which the kernel needs, is broken or incomplete.\n" in errors


@pytest.mark.full
@pytest.mark.timeout(600)
def test_connect_to_killed_kernel(alice: Alice) -> None:
    """A connection to a killed kernel fails with the reason, and removes the connection file."""
    status, output, errors = alice.run("--no-console")
    assert status == 0, errors
    kernel = alice.application(errors)["id"]
    alice.cluster.run(["yarn", "application", "-kill", kernel], user="alice")
    status, _, errors = alice.run("connect", kernel)
    assert status == 1
    assert errors.startswith(
        f"yarnspawner: {kernel} has ended: KILLED / KILLED.\nThe kernel's application was killed by "
    )
    assert not Path(output.strip()).exists()


@pytest.mark.full
@pytest.mark.timeout(600)
def test_rejected_principal(alice: Alice) -> None:
    """The command says that Kerberos rejects the principal with this keytab, and what to check."""
    keytab = alice.cluster.keytab("alice")
    if keytab is None:
        pytest.skip("this is about Kerberos")
    status, _, errors = alice.run("list", "--principal", "nobody", "--keytab", str(keytab), ticket=False)
    assert status == 1
    assert errors.splitlines()[:2] == [
        "yarnspawner: Kerberos rejects this principal with this keytab.",
        "Check --principal and --keytab; `klist -kt FILE` lists the principals of a keytab.",
    ]
