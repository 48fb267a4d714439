"""Cases 9 to 11 of public reports: names that differ between hub, Kerberos, Hadoop and node."""

import logging
import socket
from types import SimpleNamespace

import pytest
from traitlets import TraitError

from yarnspawner.hadoop import name_rules
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hadoop.name_rules import mapped_account
from yarnspawner.launch.hooks import SettingFailed
from yarnspawner.launch.request import localized_files, resolve_hadoop_user, resolve_setting, resolve_shell
from yarnspawner.settings.hub import HubSettings

PRINCIPAL = "jupyterhub/hub.example.com@EXAMPLE.COM"
LOG = logging.getLogger("test")


@pytest.mark.parametrize("name", ["first.last", "a.b.c", "alice"])
async def test_case_9_queue_with_dots(spawner_of, name):
    """For a name with dots, the documented example gives the queue that Hadoop itself would give."""
    queue = await resolve_setting(spawner_of(name, queue="root.users.{queue_username}"), "queue")
    assert queue == "root.users." + name.replace(".", "_dot_")


@pytest.mark.parametrize(
    ("name", "hadoop_user", "queue"),
    [
        ("first.last@example.com", lambda spawner: spawner.user.name.partition("@")[0], "first_dot_last"),
        ("alice@example.com", "svc.{username}", "svc_dot_alice@example_dot_com"),
        ("first.last", "{username}", "first_dot_last"),
        ("First.Last", "{unescaped_username}", "First_dot_Last"),
        ("alice", lambda spawner: None, "alice"),
    ],
)
async def test_case_9_queue_of_hadoop_user(spawner_of, name, hadoop_user, queue):
    """A user's queue has the name of the Hadoop user, which is all that YARN knows, in all templates."""

    async def later(spawner):
        return hadoop_user(spawner)

    written = "root.{queue_username}"
    spawner = spawner_of(
        name,
        ["g"],
        hadoop_user=hadoop_user,
        queue=written,
        prologue="echo {queue_username}",
        localize_files={"a": "hdfs:///{queue_username}"},
        queue_choices=[written, "default"],
    )
    for mapping in (hadoop_user, later) if callable(hadoop_user) else (hadoop_user,):
        spawner.hadoop_user = mapping
        assert await resolve_setting(spawner, "queue") == f"root.{queue}"
        assert await resolve_shell(spawner, "prologue") == f"echo {queue}"
        assert await localized_files(spawner) == {"a": f"hdfs:///{queue}"}
        assert f"root.{queue}" in await spawner.get_options_form()


@pytest.mark.parametrize("setting", ["queue", "node_label", "application_name"])
async def test_case_9_callables(spawner_of, setting):
    """Where a template is allowed, a callable is as well."""

    async def of_user(spawner):
        return f"of-{spawner.user.name}"

    assert await resolve_setting(spawner_of("first.last", **{setting: of_user}), setting) == "of-first.last"
    assert await resolve_setting(spawner_of("bob", **{setting: lambda s: s.user.name}), setting) == "bob"


async def test_case_9_a_callable_that_fails(spawner_of):
    """The message names the setting."""
    with pytest.raises(SettingFailed, match="setting queue returned NoneType"):
        await resolve_setting(spawner_of(queue=lambda spawner: None), "queue")


@pytest.mark.parametrize("setting", ["prologue", "epilogue"])
async def test_case_9_callables_of_shell(spawner_of, setting):
    """A callable returns shell commands as they are."""

    async def of_user(spawner):
        return f"echo {{username}} {spawner.user.name}"

    spawner = spawner_of(**{setting: of_user})
    assert await resolve_shell(spawner, setting) == "echo {username} alice"
    spawner.set_trait(setting, lambda s: "true")
    assert await resolve_shell(spawner, setting) == "true"
    spawner.set_trait(setting, lambda s: 5)
    with pytest.raises(SettingFailed, match=f"setting {setting} returned int"):
        await resolve_shell(spawner, setting)


async def test_case_9_callable_of_files(spawner_of):
    """A callable returns the files of a user; a profile adds to them."""

    async def of_user(spawner):
        return {"a": f"hdfs:///user/{spawner.user.name}"}

    spawner = spawner_of(
        localize_files=of_user,
        profile_list=[{"display_name": "One", "yarnspawner_override": {"localize_files": {"b": "hdfs:///b"}}}],
    )
    assert await localized_files(spawner) == {"a": "hdfs:///user/alice"}
    await spawner._run_apply_user_options({})
    assert await localized_files(spawner) == {"a": "hdfs:///user/alice", "b": "hdfs:///b"}
    spawner.localize_files = lambda s: []
    with pytest.raises(SettingFailed, match="setting localize_files returned list, not a dict"):
        await localized_files(spawner)


async def test_case_9_callables_of_groups(spawner_of):
    """The queues of groups may be callables, each or all."""

    async def all_queues(spawner):
        return {"g": lambda s: f"root.{s.user.name}"}

    spawner = spawner_of(groups=["g"])
    for queues in (all_queues, {"g": lambda s: f"root.{s.user.name}"}, {"g": "root.{username}"}):
        spawner.group_queues = queues
        await spawner._run_apply_user_options({})
        assert await resolve_setting(spawner, "queue") == "root.alice"
    for wrong in (lambda s: ["root"], {"g": lambda s: 5}):
        spawner.group_queues = wrong
        with pytest.raises(SettingFailed, match="setting group_queues returned"):
            await spawner._run_apply_user_options({})


async def test_case_9_callable_on_page(spawner_of):
    """The options page shows the queue that a callable returns, and a start uses it."""
    spawner = spawner_of(queue=lambda s: f"root.{s.user.name}", mem_limit_choices=["1 G", "2 G"])
    assert "root.alice" in await spawner.get_options_form()
    await spawner._run_apply_user_options({})
    assert await resolve_setting(spawner, "queue") == "root.alice"


@pytest.mark.parametrize(
    ("principal", "is_"),
    [
        ("jupyterhub/_HOST@EXAMPLE.COM", f"jupyterhub/{socket.getfqdn().lower()}@EXAMPLE.COM"),
        ("jupyterhub@EXAMPLE.COM", "jupyterhub@EXAMPLE.COM"),
        (None, None),
    ],
)
def test_case_10_host_in_the_principal(principal, is_):
    """_HOST is this machine's name, as in Hadoop's own settings."""
    assert HubSettings(principal=principal).principal == is_


@pytest.mark.parametrize("name", [PRINCIPAL, "jupyterhub@EXAMPLE.COM", "jupyterhub,yarn", "a b"])
def test_case_10_no_principal(name):
    """YARN would never find the hub by a principal, so the setting refuses one."""
    with pytest.raises(TraitError, match=r"hub_hadoop_user: .* is not a short name"):
        HubSettings(hub_hadoop_user=name)
    assert HubSettings(hub_hadoop_user=" svc_jupyterhub ").hub_hadoop_user == "svc_jupyterhub"


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """Return a function that writes a rule, and what `hadoop kerbname` prints."""
    name_rules._ask_hadoop.cache_clear()
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(rule, answer):
        property_ = f"<property><name>hadoop.security.auth_to_local</name><value>{rule}</value></property>"
        (tmp_path / "core-site.xml").write_text(f"<configuration>{property_}</configuration>")
        (tmp_path / "hadoop").write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / "hadoop").chmod(0o755)

    yield write
    name_rules._ask_hadoop.cache_clear()


def test_case_10_hadoop_renames_the_hub(rules):
    """The hub's Hadoop user is what Hadoop's own rules make of the principal."""
    rules("RULE:[2:$1](jupyterhub)s/.*/svc_jupyter/", 'echo "Name: $2 to svc_jupyter"')
    assert mapped_account(PRINCIPAL, LOG) == "svc_jupyter"


def test_case_10_no_rules(rules):
    """Without rules, nothing is asked."""
    rules("DEFAULT", "exit 1")
    assert mapped_account(PRINCIPAL, LOG) == "jupyterhub"


def test_case_10_no_answer(rules, caplog):
    """If Hadoop does not answer, the log names the setting."""
    rules("RULE:[2:$1](jupyterhub)s/.*/svc_jupyter/", "exit 1")
    assert mapped_account(PRINCIPAL, LOG) == "jupyterhub"
    assert "hub_hadoop_user" in caplog.text


async def test_case_10_setting(spawner_of):
    """The setting decides, and reaches the applications' ACLs through the hub's access."""
    assert spawner_of(hub_hadoop_user="svc").hub_context.access.hub_user == "svc"


@pytest.fixture
def uids(monkeypatch):
    """Give accounts of this machine low uids."""
    known = {"veteran": 612, "spark": 480, "alice": 1000}

    def getpwnam(name):
        return SimpleNamespace(pw_uid=known[name])

    monkeypatch.setattr("yarnspawner.hadoop.accounts.pwd.getpwnam", getpwnam)


async def test_case_11_low_uids(spawner_of, uids):
    """A setting allows people with a low uid; without it, the message names the setting."""
    assert await resolve_hadoop_user(spawner_of("veteran", lowest_uid=500), hub_user="hub") == "veteran"
    with pytest.raises(IdentityRefused, match=r"uid 612.*lowest_uid"):
        await resolve_hadoop_user(spawner_of("alice", hadoop_user="veteran"), hub_user="hub")


async def test_case_11_system_accounts(spawner_of, uids):
    """A setting allows accounts like spark; without it, the message names the setting."""
    allowed = spawner_of("spark", allowed_system_accounts={"spark"})
    assert await resolve_hadoop_user(allowed, hub_user="hub") == "spark"
    assert "spark" in allowed.hub_context.access.allowed_system_accounts
    with pytest.raises(IdentityRefused, match="allowed_system_accounts"):
        await resolve_hadoop_user(spawner_of("alice", hadoop_user="spark"), hub_user="hub")
    with pytest.raises(IdentityRefused, match="system account"):
        await resolve_hadoop_user(allowed, hub_user="spark")


@pytest.mark.parametrize("name", ["root", "hdfs", "YARN"])
def test_case_11_superusers(name):
    """No setting allows a superuser."""
    with pytest.raises(TraitError, match="no server may run as"):
        HubSettings(allowed_system_accounts={name})
