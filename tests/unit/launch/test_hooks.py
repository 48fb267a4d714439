"""What an admin wrote and raises an exception is named: to the user in a sentence, to the log with a traceback."""

import asyncio
import time

import pytest
from jupyterhub.utils import maybe_future
from tornado import web

from tests.support.one_application import OneApplication
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.hooks import SettingFailed, call_hook
from yarnspawner.launch.recovery import Phase
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState


def broken(*_):
    raise TimeoutError("the directory did not answer")


def refusing(*_):
    raise web.HTTPError(403, "no auth_state")


async def broken_later(*_):
    broken()


@pytest.fixture
def refused(caplog):
    """Awaits what must fail, and asserts that user and log are told of the setting."""

    async def check(awaitable, name):
        with pytest.raises(StartFailed) as error:
            await awaitable
        said = error.value.jupyterhub_message
        assert said.startswith(f"The hub's setting {name} raised TimeoutError: the directory did not answer.")
        assert any(record.exc_info and name in record.getMessage() for record in caplog.records)

    return check


@pytest.mark.parametrize("hadoop_user", [broken, broken_later])
async def test_hadoop_user(spawner_of, refused, hadoop_user):
    """A callable that raises a TimeoutError is not reported as a start that took too long."""
    await refused(spawner_of(hadoop_user=hadoop_user).start(), "hadoop_user")


@pytest.mark.parametrize("name", ["profile_list", "mem_limit_choices", "group_overrides"])
@pytest.mark.parametrize("function", [broken, broken_later])
async def test_choices(spawner_of, refused, name, function):
    """A callable of the page is named on the page, and at a start."""
    spawner = spawner_of(**{name: function})
    if name == "group_overrides":
        await refused(spawner.apply_group_overrides(), name)
    else:
        await refused(spawner.user_choices.apply({}), name)
        await refused(spawner.get_options_form(), name)
        await refused(spawner.run_options_from_form({}), name)


async def test_override(spawner_of, refused):
    """A callable inside of a profile's or a group's override is named by the list that it is in."""
    profile = {"display_name": "A", "yarnspawner_override": {"mem_limit": broken}}
    await refused(spawner_of("a", profile_list=[profile]).user_choices.apply({}), "profile_list (mem_limit)")
    groups = {"first": {"groups": ["g"], "spawner_override": {"mem_limit": broken}}}
    await refused(
        spawner_of("b", groups=["g"], group_overrides=groups).apply_group_overrides(), "group_overrides (first)"
    )


@pytest.mark.parametrize("function", [broken, broken_later])
async def test_jupyterhubs_hooks(spawner_of, refused, function):
    """JupyterHub's own hooks are named as well."""
    names = ["auth_state_hook", "pre_spawn_hook", "options_form", "apply_user_options"]
    spawner = spawner_of(**dict.fromkeys(names, function))
    await refused(spawner.run_auth_state_hook({}), "auth_state_hook")
    await refused(maybe_future(spawner.run_pre_spawn_hook()), "pre_spawn_hook")
    await refused(spawner.get_options_form(), "options_form")
    await refused(spawner._run_apply_user_options({}), "apply_user_options")


async def test_environment(spawner_of, refused):
    """JupyterHub lets a variable of the environment be a callable."""
    spawner = spawner_of()
    spawner.get_env = broken  # where JupyterHub calls it
    await refused(spawner.start(), "environment")


async def test_hook_that_speaks_to_users(spawner_of):
    """A hook's own HTTPError reaches the user as it is."""

    def full(spawner):
        raise web.HTTPError(403, "Not on Sundays")

    with pytest.raises(web.HTTPError, match="Not on Sundays"):
        await spawner_of(pre_spawn_hook=full).run_pre_spawn_hook()


async def test_what_it_returns(spawner_of):
    """A hook that raises nothing is called, and what it returns is given back, awaited if need be."""

    async def later(one):
        return one

    log = spawner_of().log
    assert await call_hook("x", later, 1, log=log) == 1
    assert await call_hook("x", str, 1, log=log) == "1"


@pytest.mark.parametrize("setting", ["hadoop_user", "queue"])
async def test_template(spawner_of, setting):
    """A template with an unknown field is named."""
    with pytest.raises(StartFailed, match=f"{setting}: in the template") as error:
        await spawner_of(**{setting: "x{nobody}"}).start()
    assert "unknown field" in error.value.jupyterhub_message


@pytest.mark.parametrize("name", ["principal", "keytab", "hub_id", "state_secret", "sweep_grace", "shared_folder"])
async def test_hub_settings_of_a_group(spawner_of, name):
    """A group's override changes nothing of the hub's, and nothing else then either."""
    override = {"mem_limit": "5 G", name: "other"}
    spawner = spawner_of(groups=["g"], group_overrides={"1": {"groups": ["g"], "spawner_override": override}})
    before, access = getattr(spawner, name), spawner.hub_context.access
    with pytest.raises(SettingFailed, match=f"group_overrides changes {name}"):
        await spawner.apply_group_overrides()
    assert (getattr(spawner, name), spawner.hub_context.access) == (before, access)
    assert spawner.mem_limit != 5 * 2**30


@pytest.mark.parametrize("written", [{"1": {}}, {"1": "x"}, [1], {"1": {"groups": ["g"], "spawner_override": 5}}])
async def test_group_overrides_that_are_none(spawner_of, written):
    """A callable that returns something else than group overrides is named."""
    spawner = spawner_of(groups=["g"], group_overrides=lambda spawner: written)
    with pytest.raises(SettingFailed, match="group_overrides"):
        await spawner.apply_group_overrides()


async def test_no_hadoop_configuration(spawner_of, monkeypatch, tmp_path):
    """Without Hadoop's configuration a start says which folder has none."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    spawner = spawner_of(resource_manager_url="")
    for start in (spawner.user_choices.apply({}), spawner.start()):
        with pytest.raises(SettingFailed, match=f"cannot find its cluster: {tmp_path} has no Hadoop configuration"):
            await start
    spawner.hub_context.access.__dict__["resource_manager"] = spawner_of(
        "bob"
    ).hub_context.access.resource_manager  # for the fixture's end


async def test_lost_state(spawner_on, monkeypatch):
    """A lost server counts as running while hadoop_user cannot tell whose it is; a claim tells as well."""
    spawner = spawner_on(OneApplication())
    spawner.recovery.phase = Phase.UNREADABLE
    for hadoop_user in (refusing, broken):
        spawner.hadoop_user = hadoop_user
        assert await spawner.poll() is None
    spawner.hub_context.accounts.reserve("alice", spawner.user, shared=spawner.shared_hadoop_users)
    asked = []

    async def find(tag, user):
        asked.append(user)

    monkeypatch.setattr(spawner.hub_context.access.reflector, "find", find)
    assert await spawner.poll() == 0
    assert set(asked) == {"alice"}


async def test_start_that_takes_too_long(spawner_of):
    """A start that takes too long is reported as that, and nothing of it continues."""
    ended = []

    async def slow(spawner):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(spawner)

    spawner = spawner_of(hadoop_user=slow, start_timeout=1)
    began = time.monotonic()
    with pytest.raises(StartFailed, match="did not start within 1 seconds"):
        await spawner.start()
    assert ended == [spawner]
    assert time.monotonic() - began < 5


async def test_cancelled_start(spawner_of):
    """A start that is cancelled cancels what it waits for."""
    started, ended = asyncio.Event(), []

    async def slow(spawner):
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(spawner)

    spawner = spawner_of(hadoop_user=slow)
    start = asyncio.ensure_future(spawner.start())
    await started.wait()
    start.cancel()
    await asyncio.wait([start])
    assert start.cancelled()
    assert ended == [spawner]


async def test_stored_state_stays(spawner_of):
    """A failed claim leaves what is stored of a user's servers as it was."""
    spawner = spawner_of(hadoop_user="root")
    spawner.record.update(ServerState.new("alice", "default", Credentials.new()))
    before = spawner.orm_spawner.state
    with pytest.raises(StartFailed, match="system account"):
        await spawner.start()
    assert spawner.orm_spawner.state == before


@pytest.mark.parametrize("attribute", ["jupyterhub_message", "jupyterhub_html_message"])
async def test_message_for_users(attribute, caplog):
    """An exception with one of JupyterHub's messages for users is raised as it is."""
    error = RuntimeError("quota")
    setattr(error, attribute, "Your quota is used up.")

    def hook():
        raise error

    with pytest.raises(RuntimeError) as raised:
        await call_hook("pre_spawn_hook", hook, log=None)
    assert raised.value is error
