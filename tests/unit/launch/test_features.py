"""What goes with a submission: templates, accounts, hooks, and the end of a server's time."""

import time
from datetime import datetime, timezone

import pytest
import skein
from jupyterhub import orm
from sqlalchemy import text
from traitlets import TraitError

from yarnspawner import YarnSpawner
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hub.account_registry import AccountRegistry
from yarnspawner.launch.hooks import apply_spec_hook
from yarnspawner.launch.request import build_request, localized_files, resolve_hadoop_user
from yarnspawner.launch.specification import ENVIRONMENT_FILE, application_specification
from yarnspawner.skein_driver.application_master import HEARTBEAT_JAR
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.lifetime import has_exceeded_lifetime, set_lifetime, time_left

CREDENTIALS = Credentials(b"certificate", b"key")


async def specification(spawner, **paths):
    server = ServerState.new("alice", "default", CREDENTIALS)
    request = await build_request(
        spawner,
        server,
        CREDENTIALS,
        {ENVIRONMENT_FILE: "/e", **paths},
        files=await localized_files(spawner),
        skein_jar="",
        hub_id="hub",
        hub_user="hub",
    )
    return application_specification(request)


async def hooked(spawner, specification):
    return await apply_spec_hook(spawner.modify_spec_hook, spawner, specification, spawner.log)


async def limited(spawner):
    return await set_lifetime(SUBMITTED, spawner.maximum_lifetime, spawner.resource_manager, spawner.log)


async def test_heartbeat_file(spawner_of):
    """The heartbeat is a file of the application master, and not of the server."""
    made = await specification(spawner_of(server_container="service"), **{HEARTBEAT_JAR: "/hub/heartbeat.jar"})
    assert made.master.files[HEARTBEAT_JAR].source == "file:///hub/heartbeat.jar"
    assert HEARTBEAT_JAR not in made.services["server"].files


# -- Templates


async def test_templates_are_filled_in(spawner_of):
    """The templates of a server's settings get the user's name and groups."""
    spawner = spawner_of(
        "alice@example.com",
        groups=["b", "a"],
        application_name="{unescaped_username} in {groups}",
        node_label="{groups}",
        prologue="cd /data/{username}; export A=${A:-1} B={unescaped_username}",
        localize_files={
            "a": "hdfs:///user/{username}/a",
            "b": {"source": "hdfs:///{groups}/b", "visibility": "public"},
        },
        cmd=["echo '{username}'"],
    )
    made = await specification(spawner)
    assert (made.name, made.node_label) == ("alice@example.com in a,b", "a,b")
    assert "cd /data/alice@example.com; export A=${A:-1} B=alice@example.com\n" in made.master.script
    assert made.master.files["a"].source == "hdfs:///user/alice@example.com/a"
    assert made.master.files["b"].source == "hdfs:///a,b/b"
    assert "echo '{username}'" in made.master.script


async def test_name_is_quoted_for_shells(spawner_of):
    """A name with characters that a shell interprets stays one word of a script."""
    made = await specification(spawner_of("o'brien $(id)", prologue="echo {unescaped_username}"))
    assert """echo 'o'"'"'brien $(id)'\n""" in made.master.script


# -- Containers


async def test_service_container(spawner_of):
    """In its own container, the server gets the resources and the script, and the application master stays small."""
    spawner = spawner_of(server_container="service", mem_limit="2 G", cpu_limit=3, gpus=1, node_label="gpu")
    made = await specification(spawner)
    server = made.services["server"]
    assert (server.resources.memory, server.resources.vcores, server.resources.gpus) == (2048, 3, 1)
    assert (made.master.resources.memory, made.master.resources.vcores) == (256, 1)
    assert (server.node_label, made.node_label) == ("gpu", "")
    assert "singleuser" in server.script
    assert ENVIRONMENT_FILE in server.files
    assert made.master.script == ""
    assert (server.instances, server.max_restarts, server.allow_failures) == (1, 0, False)
    assert server.env == {}
    assert "JAVA_TOOL_OPTIONS" in made.master.env


async def test_application_master_minimum(spawner_of):
    """An application master next to a service container has the memory that it needs, without a setting."""
    made = await specification(spawner_of(server_container="service", application_master_memory=0))
    assert made.master.resources.memory == 256


@pytest.mark.parametrize("container", ["master", "service"])
async def test_container_image(spawner_of, container):
    """YARN's variables request the image for the container in which the server runs."""
    made = await specification(spawner_of(server_container=container, container_image="example.com/jupyter:1"))
    runs = made.services["server"] if container == "service" else made.master
    assert runs.env["YARN_CONTAINER_RUNTIME_TYPE"] == "docker"
    assert runs.env["YARN_CONTAINER_RUNTIME_DOCKER_IMAGE"] == "example.com/jupyter:1"
    assert container == "master" or "YARN_CONTAINER_RUNTIME_TYPE" not in made.master.env


async def test_file_systems_and_log_level(spawner_of):
    """The specification contains further file systems and the log level of the application master."""
    made = await specification(spawner_of(file_systems=["hdfs://other:8020"], application_master_log_level="DEBUG"))
    assert made.file_systems == ["hdfs://other:8020"]
    assert str(made.master.log_level) == "DEBUG"


# -- Who is who


@pytest.mark.parametrize(
    ("name", "mapping", "account"),
    [
        ("alice", "{username}", "alice"),
        ("alice@example.com", lambda spawner: spawner.user.name.partition("@")[0], "alice"),
        (
            "auth0|5f7c8ec7c33c6c004bbafe82",
            lambda spawner: f"u_{spawner.user.name.rpartition('|')[2][:12]}",
            "u_5f7c8ec7c33c",
        ),
        ("248289761001", "oidc_{unescaped_username}", "oidc_248289761001"),
    ],
)
async def test_names_are_mapped(spawner_of, name, mapping, account):
    """A template or a function maps the names of other directories to Hadoop accounts."""
    assert await resolve_hadoop_user(spawner_of(name, hadoop_user=mapping), hub_user="jupyterhub") == account


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        ("hdfs@example.com", lambda spawner: spawner.user.name.partition("@")[0]),
        ("jupyterhub@example.com", lambda spawner: spawner.user.name.partition("@")[0]),
        ("alice@example.com", "{username}"),
        ("alice@other.example", lambda spawner: spawner.user.name.removesuffix("@example.com")),
        ("auth0|5f7c8ec7", "{unescaped_username}"),
        ("auth0|5f7c8ec7", "{username}"),
        ("@example.com", lambda spawner: spawner.user.name.partition("@")[0]),
        ("alice", lambda spawner: None),
    ],
)
async def test_refused_accounts(spawner_of, name, mapping):
    """A system account, the hub's account, an invalid name and no name at all are refused."""
    with pytest.raises(IdentityRefused):
        await resolve_hadoop_user(spawner_of(name, hadoop_user=mapping), hub_user="jupyterhub")


def end(spawner):
    """What JupyterHub does when a server has ended."""
    spawner.clear_state()
    spawner.orm_spawner.state = spawner.get_state()
    spawner.user.db.commit()


async def test_account_of_first_user(spawner_of):
    """An account belongs to the first user who had it, and other users are refused."""
    first, second = spawner_of("alice@a.example"), spawner_of("alice@b.example")
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)
    end(first)
    with pytest.raises(IdentityRefused, match="'alice' belongs to another user of this hub"):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)
    second.hub_context.accounts.reserve("alice2", second.user, shared=second.shared_hadoop_users)
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)


async def test_claim_outlasts_named_server(spawner_of):
    """An account remains its user's when the server that ran as it is deleted."""
    first, second = spawner_of("alice@a.example"), spawner_of("alice@b.example")
    user = first.user
    user.db.add(orm.Spawner(name="lab", user=user.orm_user))
    user.db.commit()
    named = user.spawners["lab"]
    named.hub_context.accounts.reserve("alice", named.user, shared=named.shared_hadoop_users)
    end(named)
    await named.delete_forever()
    user.db.delete(named.orm_spawner)
    user.db.commit()
    AccountRegistry._of_databases.clear()  # the hub restarts
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_claim_outlasts_renamed_server(spawner_of):
    """An account remains its user's when the default server is renamed and then deleted."""
    first, second = spawner_of("alice@a.example"), spawner_of("alice@b.example")
    user = first.user
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)
    end(first)
    first.orm_spawner.name = "lab"
    user.db.commit()
    user.spawners.pop("")
    named = user.spawners["lab"]
    await named.delete_forever()
    user.db.delete(named.orm_spawner)
    user.db.commit()
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_a_claim_counts_at_once(spawner_of):
    """Of two users who start at the same moment, the second is refused, and the first keeps the account."""
    first, second = spawner_of("a"), spawner_of("b")
    with first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users) as keep:
        with (
            pytest.raises(IdentityRefused),
            second.hub_context.accounts.reserved("alice", second.user, shared=second.shared_hadoop_users),
        ):
            pass
        keep()
    with first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users):
        pass
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_failed_start_releases_claim(spawner_of):
    """A start that fails before it submits anything leaves the account to others."""
    first, second = spawner_of("a"), spawner_of("b")
    with (
        pytest.raises(ZeroDivisionError),
        first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users),
    ):
        raise ZeroDivisionError
    second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_claim_of_other_start_is_kept(spawner_of):
    """A start that fails does not release an account that another start of the same user has claimed."""
    first, second = spawner_of("a"), spawner_of("b")
    with (
        first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users),
        pytest.raises(ZeroDivisionError),
        first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users),
    ):
        raise ZeroDivisionError
    with (
        first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users),
        first.hub_context.accounts.reserved("alice", first.user, shared=first.shared_hadoop_users) as keep,
    ):
        keep()
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_claim_of_earlier_version(spawner_of):
    """A state of an earlier version has only the last server's account; this claim survives a failed start."""
    first, second = spawner_of("a"), spawner_of("b")
    first.orm_spawner.state = {"hadoop_user": "alice"}
    first.user.db.commit()
    AccountRegistry._of_databases.clear()
    for account in ("alice", "other"):
        with (
            pytest.raises(ZeroDivisionError),
            first.hub_context.accounts.reserved(account, first.user, shared=first.shared_hadoop_users),
        ):
            raise ZeroDivisionError
    end(first)
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)
    second.hub_context.accounts.reserve("other", second.user, shared=second.shared_hadoop_users)


async def test_deleted_user_frees_account(spawner_of):
    """The account of a user whom the hub has deleted is free."""
    first, second = spawner_of("a"), spawner_of("b")
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)
    end(first)
    first.user.db.delete(first.user.orm_user)
    first.user.db.commit()
    second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_renamed_user_frees_account(spawner_of):
    """The account of a user's former name is free, but not while a server still runs as it."""
    first, second = spawner_of("alice"), spawner_of("bob")
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)
    first.orm_spawner.state = {**first.get_state(), "hadoop_user": "alice"}
    first.user.orm_user.name = "alice2"
    first.user.db.commit()
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)
    end(first)
    second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_broken_state_is_skipped(spawner_of, database, caplog):
    """A broken row of the database does not stop other users' starts, and the log reports it once."""
    first, second = spawner_of("eve"), spawner_of("zoe")
    second.hub_context.accounts.reserve("zoe", second.user, shared=second.shared_hadoop_users)
    database.execute(text("update spawners set state = '{broken' where user_id = :id"), {"id": second.user.id})
    database.commit()
    AccountRegistry._of_databases.clear()
    for _ in range(2):
        first.hub_context.accounts.reserve("eve", first.user, shared=first.shared_hadoop_users)
    assert len([record for record in caplog.records if "is broken" in record.getMessage()]) == 1


async def test_shared_account(spawner_of):
    """Several users can have an account that the admin lists as shared."""
    for name in ("a", "b"):
        spawner = spawner_of(name, shared_hadoop_users={"teaching"})
        spawner.hub_context.accounts.reserve("teaching", spawner.user, shared=spawner.shared_hadoop_users)
        end(spawner)


# -- Hooks


async def test_specification_hooks(spawner_of):
    """An async hook can change the specification in place, and a plain hook can return another one."""

    async def add_tag(spawner, spec):
        spec.tags.add(f"of-{spawner.user.name}")

    def replace(_spawner, spec):
        return skein.ApplicationSpec.from_dict({**spec.to_dict(), "name": "other"})

    made = await specification(spawner_of())
    assert (await hooked(spawner_of("carl", modify_spec_hook=replace), made)).name == "other"
    changed = await hooked(spawner_of("dora", modify_spec_hook=add_tag), made)
    assert "of-dora" in changed.tags
    assert await hooked(spawner_of("emil"), made) is made


async def test_auth_state_in_environment(spawner_of):
    """A hook can put values of auth_state into the server's environment."""

    def hook(spawner, auth_state):
        spawner.environment = {"TOKEN_OF": auth_state["upstream"]}

    spawner = spawner_of(auth_state_hook=hook)
    await spawner.run_auth_state_hook({"upstream": "example"})
    assert spawner.environment == {"TOKEN_OF": "example"}


# -- The end of a server's time

SUBMITTED = ServerState.new("alice", "default", CREDENTIALS).with_application_id("application_1_0001")


async def test_lifetime_is_set_in_yarn(spawner_of, lifetimes):
    """YARN gets the time at which a server with a maximum lifetime must end."""
    server = await limited(spawner_of(maximum_lifetime=3600))
    ((application_id, timeout),) = lifetimes
    assert (application_id, timeout["type"]) == ("application_1_0001", "LIFETIME")
    expiry = datetime.strptime(timeout["expiryTime"], "%Y-%m-%dT%H:%M:%S.000%z")
    assert abs((expiry - datetime.now(timezone.utc)).total_seconds() - 3600) < 30
    assert abs(server.ends - time.time() - 3600) < 30
    assert not has_exceeded_lifetime(server)


async def test_lifetime_without_yarn(spawner_of, caplog):
    """If YARN does not accept the end time, the hub stores it and detects an exceeded lifetime."""
    spawner = spawner_of(maximum_lifetime=3600, resource_manager_url="http://127.0.0.1:1")
    server = await limited(spawner)
    assert server.ends
    assert has_exceeded_lifetime(server.with_end_time(time.time() - 61))


async def test_no_lifetime(spawner_of, lifetimes):
    """Without a maximum lifetime, a server has no end time, and YARN gets none."""
    server = await limited(spawner_of())
    assert (server, lifetimes) == (SUBMITTED, [])
    assert not has_exceeded_lifetime(server)
    assert time_left(server.ends) == ""


def test_text_of_time_left():
    """The remaining time is shown in hours and minutes, with the time of its end."""
    assert time_left(time.time() + 3 * 3600 + 300).startswith("3 h 05 min left, until 20")
    assert time_left(time.time() + 300).startswith("5 min left, until 20")


# -- Settings


@pytest.mark.parametrize(
    "settings",
    [{"server_container": "other"}, {"maximum_lifetime": -1}, {"application_master_log_level": "LOUD"}],
)
def test_invalid_settings(settings):
    """An invalid container, lifetime or log level is refused."""
    with pytest.raises(TraitError):
        YarnSpawner(**settings)


async def test_account_of_stored_state(spawner_of):
    """An account in a stored state is still its user's after the hub has restarted."""
    first, second = spawner_of("alice@a.example"), spawner_of("alice@b.example")
    first.orm_spawner.state = {"hadoop_user": "alice"}
    first.user.db.commit()
    with pytest.raises(IdentityRefused):
        second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_account_given_up_is_free(spawner_of):
    """A user whose servers now run as another account leaves the first one to others."""
    first, second = spawner_of("alice@a.example"), spawner_of("alice@b.example")
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)
    first.orm_spawner.state = {"hadoop_user": "alice2"}
    first.user.db.commit()
    second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)


async def test_account_without_row_is_free(spawner_of):
    """An account is free when the row of its user's server is deleted from the database."""
    first, second = spawner_of("alice@a.example"), spawner_of("alice@b.example")
    first.hub_context.accounts.reserve("alice", first.user, shared=first.shared_hadoop_users)
    end(first)
    first.user.db.delete(first.orm_spawner)
    first.user.db.commit()
    second.hub_context.accounts.reserve("alice", second.user, shared=second.shared_hadoop_users)
