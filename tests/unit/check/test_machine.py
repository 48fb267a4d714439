"""What the check says about the hub's own machine, when something is missing there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.check.conftest import Answers
from yarnspawner.check import kerberos, machine
from yarnspawner.check.result import Mark, Step, Unknown, ok
from yarnspawner.cli.check import _chosen, check
from yarnspawner.cli.hub import HubConfigError
from yarnspawner.hadoop.configuration import HadoopConfiguration


async def test_no_java(context: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable to set is named where Java is missing."""
    monkeypatch.setenv("JAVA_HOME", "/usr/lib/jvm/nothing")
    result = await machine.java(context)
    assert (result.mark, result.fixes[0].name) == (Mark.WRONG, "JAVA_HOME")
    assert "/usr/lib/jvm/nothing" in result.finding


async def test_broken_java(context: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java that does not run is wrong, and what it printed is shown."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'libjli.so: cannot open shared object file' >&2\nexit 127\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    result = await machine.java(context)
    assert result.mark is Mark.WRONG
    assert "libjli.so" in result.finding


async def test_no_commands(context: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of Hadoop's commands that are missing are named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = await machine.commands(context)
    assert result.mark is Mark.WRONG
    assert "yarn, hadoop, hdfs" in result.finding


async def test_no_configuration(context: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without Hadoop's files is wrong, and so is one with only some of them."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    result = await machine.configuration(context)
    assert (result.mark, result.fixes[0].name) == (Mark.WRONG, "HADOOP_CONF_DIR")
    (tmp_path / "core-site.xml").write_text("<configuration/>")
    result = await machine.configuration(context)
    assert result.mark is Mark.WRONG
    assert "hdfs-site.xml, yarn-site.xml" in result.finding


async def test_half_an_identity(context: Answers) -> None:
    """A principal without a keytab is wrong."""
    result = await machine.identity(context)
    assert (result.mark, result.fixes[0].name) == (Mark.WRONG, "c.YarnSpawner.keytab")


async def test_simple_authentication(context: Answers) -> None:
    """Without Kerberos, there is a warning, and Kerberos' own steps are not used."""
    context.access.principal = ""  # type: ignore[misc]
    context.__dict__["_configuration"] = HadoopConfiguration({"hadoop.security.authentication": "simple"})
    assert (await machine.identity(context)).mark is Mark.WARNING


async def test_no_keytab(context: Answers, tmp_path: Path) -> None:
    """A keytab that does not exist is wrong, with the command that makes it."""
    context.access.keytab = str(tmp_path / "hub.keytab")  # type: ignore[misc]
    result = await kerberos.keytab(context)
    assert result.mark is Mark.WRONG
    assert result.commands == (f'kadmin -q "ktadd -k {tmp_path}/hub.keytab jupyterhub@EXAMPLE.COM"',)


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("kinit: Cannot contact any KDC for realm 'EXAMPLE.COM' while getting initial credentials", "[realms] kdc"),
        ("kinit: Client 'hub@EXAMPLE.COM' not found in Kerberos database while getting", "addprinc -randkey"),
        ("kinit: Preauthentication failed while getting initial credentials", "ktadd -k"),
        ("kinit: Clock skew too great while getting initial credentials", "chronyc"),
    ],
)
def test_reasons(context: Answers, reason: str, says: str) -> None:
    """Each of kinit's reasons has its own remedy."""
    result = kerberos._explain(reason, context)
    assert result.mark is Mark.WRONG
    assert says in f"{result.fixes} {result.commands}"


async def test_setting_of_a_user(answers: Callable[..., Answers]) -> None:
    """A setting that depends on the user is unknown without one."""
    context = answers(queue="root.users.{username}")
    context.user = ""
    with pytest.raises(Unknown, match="Name one with --user"):
        await context.setting("queue")
    with pytest.raises(Unknown, match="Name one with --user"):
        context.need_user()


def test_only() -> None:
    """Steps are chosen by their own names or their group's; an unknown name is refused."""

    async def nothing(context: Any) -> Any:
        return ok("")

    steps = [Step("Queue", "Size", nothing), Step("Queue", "ACL", nothing), Step("HDFS", "NameNode", nothing)]
    assert _chosen(steps, []) == steps
    assert [step.name for step in _chosen(steps, ["queue"])] == ["Size", "ACL"]
    assert [step.name for step in _chosen(steps, ["acl", "NameNode"])] == ["ACL", "NameNode"]
    with pytest.raises(HubConfigError, match="'gpu'"):
        _chosen(steps, ["gpu"])


async def test_context_closes(context: Answers) -> None:
    """Nothing has to have been started for the context to close."""
    closed = []

    async def close() -> None:
        closed.append(True)

    context.access.reflector = SimpleNamespace(close=close)  # type: ignore[misc]
    context.access.cluster = SimpleNamespace(close=close)  # type: ignore[misc]
    await context.close()
    assert closed == [True, True]


@pytest.mark.parametrize(
    ("bind", "url", "mark", "fix"),
    [
        ("http://127.0.0.1:8081/hub/", "http://127.0.0.1:8081/hub/", Mark.OK, None),
        ("http://*:8081/hub/", "http://127.0.0.1:8081/hub/", Mark.OK, None),
        ("http://*:8081/hub/", "http://hub.invalid:8081/hub/", Mark.WRONG, "c.JupyterHub.hub_connect_ip"),
        ("http://hub.invalid:8081/hub/", "http://127.0.0.1:8081/hub/", Mark.WRONG, "c.JupyterHub.hub_ip"),
    ],
)
async def test_hub_address(context: Answers, bind: str, url: str, mark: Mark, fix: str | None) -> None:
    """Both of the hub's addresses must be known; a loopback address is fine only for a cluster on the same machine."""
    context.hub = SimpleNamespace(hub=SimpleNamespace(bind_url=bind, url=url))
    result = await machine.hub_address(context)
    assert result.mark is mark
    assert fix is None or fix in [found.name for found in result.fixes]
    context.access.resource_manager_url = "http://rm.example.com:8088"  # type: ignore[misc]
    assert (await machine.hub_address(context)).mark is Mark.WRONG


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c.YarnSpawner.queue = (", "SyntaxError"),
        ('c.YarnSpawner.mem_limit = "lots"', "TraitError: mem_limit"),
        ("raise RuntimeError('no database')", "RuntimeError: no database"),
        ('c.JupyterHub.spawner_class = "simple"', "not YarnSpawner"),
    ],
)
def test_broken_configuration(tmp_path: Path, line: str, says: str) -> None:
    """A configuration file that cannot be used is named, with the reason, and without a traceback."""
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(f'c.JupyterHub.spawner_class = "yarn"\n{line}\n')
    options = argparse.Namespace(config=str(file), principal="", keytab="")
    with pytest.raises(HubConfigError, match=says):
        check(options)
