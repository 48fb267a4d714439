"""Choices on a real cluster: what is chosen is what YARN gives, and nobody gets more."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.documentation import ROOT, examples
from tests.support.gateway import read_only
from tests.support.hub_user import END, HubUser, unfinished, until
from tests.support.hubs import log_of, running
from tests.support.profile_forms import (
    CONFIGURATION,
    application,
    application_of,
    choose,
    containers,
    leave,
    post_form,
    refusal,
)
from tests.support.secret_scan import command, containing, environment, processes

PAGE = ROOT / "docs" / "profiles.md"


@pytest.fixture(scope="module")
def hub(simple_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """With the documentation's groups, auth state, hooks and page."""
    folder, pages = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("pages")
    documented = pages / "jupyterhub_config.py"
    own_page = f"c.YarnSpawner.additional_profile_form_template_paths = [{str(pages)!r}]\n"
    documented.write_text("\n".join(["c = get_config()", *examples(PAGE, "Groups, auth state and hooks"), own_page]))
    (form,) = examples(PAGE, "A page of your own", "html")
    (pages / "form.html").write_text(form)
    settings = {"DOCUMENTED_CONFIGURATION": str(documented), "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32)}
    with running(simple_cluster_of_session, folder, configuration=CONFIGURATION, settings=settings) as hub:
        yield hub


@pytest.fixture
def member(hub: Hub, simple_cluster: LocalHadoop) -> Iterator[Callable[[str], HubUser]]:
    """Makes a logged-in user, whose server is stopped in the end."""
    with ExitStack() as stack:

        def make(name: str) -> HubUser:
            user = HubUser(hub.address, name, hub.password)
            stack.callback(leave, user)
            return user

        yield make
    until(lambda: not unfinished(simple_cluster), END, "without applications")


def rounded(memory: int) -> int:
    """As YARN gives it: in steps of yarn.scheduler.minimum-allocation-mb."""
    return -(-memory // 32) * 32


def test_yarn_gives_what_was_chosen(member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """YARN gives the server the memory, the cores and the queue that the user chose."""
    alice = member("alice")
    choose(alice, profile="custom", mem_limit="600 M", cpu_limit=2, queue="small")
    app = application(simple_cluster, "alice")
    assert app["queue"].endswith("small")
    assert containers(simple_cluster, app) == [(rounded(600 + 256), 2)]


def test_default_choice(member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """A user who makes no choice gets the default server."""
    choose(member("bob"))
    assert containers(simple_cluster, application(simple_cluster, "bob")) == [(384 + 256, 1)]


def test_a_form_starts_what_it_says(member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """A submitted form starts a server with the memory and the cores in its fields."""
    alice = member("alice")
    form = {
        "profile": "custom",
        "profile-option-custom--cpu_limit": "3",
        "profile-option-custom--mem_limit--gib": "0.5",
    }
    assert post_form(alice, **form).status_code == 200
    alice.wait_ready()
    assert containers(simple_cluster, application(simple_cluster, "alice")) == [(512 + 256, 3)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"profile": "custom", "profile-option-custom--mem_limit--gib": "90"}, "that the cluster gives to one server"),
        ({"profile": "custom", "profile-option-custom--mem_limit--gib": "900"}, "more than the 100 GiB that you may"),
        ({"profile": "custom", "profile-option-custom--queue": "root.other"}, "root.other is not offered"),
        ({"profile": "small", "mem_limit": "4 G"}, "There is no mem_limit to choose with the profile small"),
        ({"profile": "small", "profile-option-small--keytab": "/etc/passwd"}, "There is no keytab to choose"),
        ({"profile": "large"}, "The profile large is not offered to you"),
    ],
)
def test_forged_form_is_refused(
    member: Callable[[str], HubUser], simple_cluster: LocalHadoop, fields: dict[str, str], reason: str
) -> None:
    """The hub refuses a forged form, shows the reason and the choices, and starts no application."""
    bob = member("bob")
    answer = post_form(bob, **fields)
    assert answer.status_code == 400
    assert reason in answer.text
    assert "Choose a server" in answer.text
    assert not unfinished(simple_cluster)


def test_rest_api_refuses_too(member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """The REST API refuses the same choices as the form, and starts no application."""
    bob = member("bob")
    for _ in range(2):
        assert refusal(bob, profile="custom", mem_limit="90 G").startswith(
            "Memory (mem_limit): 90 GiB is more than the"
        )
        assert refusal(bob, profile="large").startswith("The profile large is not offered to you; choose from small")
        assert "principal" in refusal(bob, principal="hdfs")
    assert not unfinished(simple_cluster)


def test_lists_of_groups(member: Callable[[str], HubUser]) -> None:
    """Users of different groups see different lists of profiles, on the site's own page."""
    pages = {name: member(name)._get(f"/hub/spawn/{name}").text for name in ("alice", "bob")}
    assert 'value="large"' in pages["alice"]
    assert 'value="large"' not in pages["bob"]
    # The site's own page is around it.
    assert "https://wiki.example.com/notebooks" in pages["bob"]
    # The page does not wait for YARN's answer, which is there for the next one.
    bob = member("bob")
    until(lambda: "% free, no application waits" in bob._get("/hub/spawn/bob").text, END, "told")


def test_fields_and_text(member: Callable[[str], HubUser]) -> None:
    """The hub fills in the fields of a profile, and text arrives in the server unchanged."""
    alice = member("alice")
    choose(alice, profile="custom", **{"greeting--unlisted-choice": "good morning"})
    printed = alice.run(
        "import os; print(*(os.environ[n] for n in 'GREETING WHO JSON FROM_PROLOGUE FROM_FILE'.split()), sep='|')"
    )
    assert printed.strip() == 'good morning|alice of analysts|{"a": {"b": 1}}|alice-alice of|a note for alice'


def test_own_container_and_lifetime(hub: Hub, member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """A profile can give the server a separate container and a lifetime, and the hooks run."""
    alice = member("alice")
    alice.ask_to_start(options={"profile": "separate"})
    messages = list(alice.start())
    assert any("The server stops automatically: " in message for message in messages), messages
    app = application(simple_cluster, "alice")
    assert containers(simple_cluster, app) == [(320, 1), (448, 1)]
    # It is the service's container where the notebook runs, not the application master's.
    container = alice.run("import os; print(os.environ['CONTAINER_ID'])").strip()
    assert container.endswith("_000002")
    timeouts = simple_cluster.get(f"{simple_cluster.resource_manager_url}/ws/v1/cluster/apps/{app['id']}/timeouts")
    assert 3300 < timeouts["timeouts"]["timeout"][0]["remainingTimeInSeconds"] <= 3600
    # "1 h" or "59 min", as soon as the machine was.
    assert " left, until " in alice._get("/hub/home").text
    # The hooks have run.
    assert {"interactive", "tried"} <= set(app["applicationTags"].split(","))
    assert "alice starts with 448 MiB" in log_of(hub)
    assert (hub.folder / f"submitted-{app['id']}").read_text() == "alice"
    # It ends in order.
    leave(alice)
    ended = application_of(simple_cluster, app["id"])
    assert (ended["state"], ended["finalStatus"]) == ("FINISHED", "SUCCEEDED")


def test_account_has_one_user(member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """An account belongs to one user of the hub, and no user gets a system account."""
    bob = member("bob")
    choose(bob)
    leave(bob)
    assert "belongs to another user of this hub" in member("bob@b.example").failure()
    assert "'hdfs' is a system account" in member("hdfs@example.com").failure()
    assert not unfinished(simple_cluster)


def test_address_and_group_overrides(member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """An address maps to an account, and the last matching group in the documentation's group_overrides counts."""
    alice = member("alice@example.com")
    alice._get("/hub/spawn?profile=usual")  # a link
    alice.wait_ready()
    app = application(simple_cluster, "alice")
    assert app["queue"].endswith("small")
    assert containers(simple_cluster, app) == [(512 + 256, 2)]
    printed = alice.run("import os; print(*(os.environ[n] for n in 'DATA TEAM WHO'.split()), sep='|')")
    assert printed.strip() == "/data|students|alice@example.com of researchers,students"


def test_auth_state_only_in_server(hub: Hub, member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """Only the server has the auth state's token; test_secrets.py shows that private files are private."""
    alice = member("alice")
    # Whose environment the profile changes as well, so that it is kept for a restart of the hub.
    choose(alice, profile="custom", queue="default")
    token = alice.run("import os; print(os.environ['ACCESS_TOKEN'], end='')")
    assert len(token) == 32
    assert alice.run("print('JUPYTERHUB_CRYPT_KEY' in os.environ)").strip() == "False"
    app = application(simple_cluster, "alice")

    mine = [process for process in processes() if token in environment(process).values()]
    assert {environment(process)["SKEIN_APPLICATION_ID"] for process in mine} == {app["id"]}
    assert [command(process) for process in processes() if token in command(process)] == []
    on_nodes = containing(simple_cluster.directory, token.encode())
    assert {path.name for path in on_nodes if not path.name.startswith("blk_")} == {"yarnspawner.env"}
    store = "import skein; print([*skein.ApplicationClient.from_current().kv.items()])"
    assert token not in alice.run(store)
    assert token not in json.dumps(app)
    # Neither in the hub's log, nor in its database, whoever keeps it there.
    assert containing(hub.folder, token.encode()) == []
    leave(alice)
    logs = simple_cluster.run(["yarn", "logs", "-applicationId", app["id"]], user="alice").stdout
    assert "server" in logs
    assert token not in logs


def test_choice_survives_hub_restart(hub: Hub, member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """The profile's stop_timeout holds after a restart of the hub, and the next start has the hub's own again."""
    alice = member("alice")
    choose(alice, profile="abrupt")
    app = application(simple_cluster, "alice")
    hub.kill()
    hub.start()
    again = member("alice")
    again.wait_ready(timeout=END)
    # Whose server has no time to end in order is ended by YARN; with the hub's own stop_timeout it would have SUCCEEDED.
    leave(again)
    assert application_of(simple_cluster, app["id"])["finalStatus"] == "KILLED"
    # And the next start begins with the hub's own.
    choose(again, profile="small")
    app = application(simple_cluster, "alice")
    leave(again)
    assert application_of(simple_cluster, app["id"])["finalStatus"] == "SUCCEEDED"


@pytest.mark.full
def test_hub_enforces_lifetime(simple_cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The hub kills a server at the end of its lifetime if YARN cannot set that lifetime."""
    folder = tmp_path_factory.mktemp("hub")
    with read_only(simple_cluster.resource_manager_url) as address:
        settings = {"YARNSPAWNER_RESOURCE_MANAGER_URL": address}
        with running(simple_cluster, folder, configuration=CONFIGURATION, settings=settings) as hub:
            alice = HubUser(hub.address, "alice", hub.password)
            choose(alice, profile="brief")
            app = application(simple_cluster, "alice")
            assert f"YARN does not set the lifetime of {app['id']}, so the hub will kill it in time" in log_of(hub)
            # It knows the end of a server's time also when it was down meanwhile.
            hub.kill()
            hub.start()
            until(lambda: not unfinished(simple_cluster, "alice"), 150, "ended by the hub")
            HubUser(hub.address, "alice", hub.password).wait_gone()
    ended = application_of(simple_cluster, app["id"])
    assert ended["finalStatus"] == "KILLED"
    # After its five seconds, and those that YARN would have had.
    assert ended["finishedTime"] - ended["startedTime"] > 60_000


@pytest.mark.full
def test_lifetime_while_hub_is_down(hub: Hub, member: Callable[[str], HubUser], simple_cluster: LocalHadoop) -> None:
    """YARN kills a server at the end of its lifetime although the hub is down."""
    alice = member("alice")
    choose(alice, profile="short")
    app = application(simple_cluster, "alice")
    hub.kill()
    try:
        until(lambda: not unfinished(simple_cluster, "alice"), 100, "ended by YARN")
        assert time.time() * 1000 >= app["startedTime"] + 75_000
    finally:
        hub.start()
