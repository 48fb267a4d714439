"""Which applications nobody owns."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yarnspawner.skein_driver import Report
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.orphans import OwnedServers, ServerKey, is_ours, orphans, too_many
from yarnspawner.yarn.tags import hub_tag, server_tags

HUB = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SERVER = ServerState.new("alice", "default", Credentials(b"", b""), hub=HUB)


def tags(start=SERVER.start_id, user="alice", server="", hub=HUB):
    return server_tags(hub, user, server, start)


def application(number=1, **facts):
    defaults = {"user": "alice", "state": "RUNNING", "tags": tags(), "started": NOW - timedelta(hours=1)}
    return Report(f"application_1_{number:04}", **{**defaults, **facts})


def owned_by(*states, has_server=True, user="alice"):
    owned = OwnedServers()
    for state in states:
        # JupyterHub keeps the state as JSON.
        kept = json.loads(json.dumps(state.public_dict() if isinstance(state, ServerState) else state))
        owned.add(ServerKey(user), kept, hub_id=HUB, has_server=has_server)
    return owned


def swept(*reports, owned=None, **facts):
    choices = {"hub_id": HUB, "hub_user": "jupyterhub", "now": NOW, "grace": 60.0, **facts}
    return [report.id for report in orphans(reports, owned or OwnedServers(), **choices)]


def test_unowned_is_orphan():
    """An application without an owner is an orphan."""
    assert swept(application()) == ["application_1_0001"]


def test_owned_is_no_orphan():
    """A server's application is no orphan, and its owner is known."""
    owned = owned_by(SERVER.with_application_id("application_1_0001"))
    assert swept(application(), owned=owned) == []
    assert owned.owner(application()) == ServerKey("alice")


def test_pending_start_owns():
    """A start that was recorded before its submission owns its application."""
    assert swept(application(), owned=owned_by(SERVER)) == []


def test_second_application():
    """A second application of a start whose submission succeeded is an orphan."""
    assert swept(application(2), owned=owned_by(SERVER.with_application_id("application_1_0001"))) == [
        "application_1_0002"
    ]


def test_stopping_server_owns():
    """A stopping server still owns its application; the stop kills it, not the sweep."""
    assert (
        swept(application(), owned=owned_by(SERVER.with_application_id("application_1_0001").with_stop_requested()))
        == []
    )


def test_leftover_state():
    """A state whose server no longer exists owns nothing."""
    owned = owned_by(SERVER.with_application_id("application_1_0001"), has_server=False)
    assert swept(application(), owned=owned) == ["application_1_0001"]


def test_version_0_4_0_is_owned():
    """The application in a state of version 0.4.0 has an owner."""
    assert swept(application(), owned=owned_by({"app_id": "application_1_0001"})) == []


@pytest.mark.parametrize(
    "state",
    [
        "broken",
        [1],
        {"version": 9},
        {"version": 1, "application_id": 5},
        {"version": 1, "start_id": []},
        {"version": 1, "start_id": [1]},
        {"version": 1, "start_id": "a", "hadoop_user": [1]},
    ],
)
def test_unreadable_state(state):
    """A user with an unreadable state loses no application, but other users' orphans are found."""
    owned = owned_by(state)
    assert swept(application(), owned=owned) == []
    bobs = application(2, user="bob", tags=tags(user="bob"))
    assert swept(application(), bobs, owned=owned) == ["application_1_0002"]


def test_other_hubs_are_ignored():
    """The applications of other hubs and those without tags are no orphans."""
    assert swept(application(tags=tags(hub="f" * 32))) == []
    assert swept(application(tags=frozenset())) == []


def test_ended_or_new_is_ignored():
    """Applications that have ended, are younger than the grace time, or have no start time are no orphans."""
    assert swept(application(state="KILLED")) == []
    assert swept(application(started=NOW - timedelta(seconds=59))) == []
    assert swept(application(started=NOW - timedelta(seconds=60))) == ["application_1_0001"]
    assert swept(application(started=None)) == []


def test_hub_tag_is_not_enough():
    """An application with only the hub's tag does not belong to the hub."""
    assert swept(application(tags=frozenset([hub_tag(HUB)]))) == []


@pytest.mark.parametrize("user", ["hdfs", "yarn", "root", "jupyterhub", "", "a/b", "../alice"])
def test_system_account_is_ignored(user):
    """An application of a system account or an invalid account does not belong to the hub."""
    assert swept(application(user=user)) == []


def test_allowed_system_account():
    """An account in an admin's ``allowed_system_accounts`` is a person's account for the sweep as well."""
    report = application(user="spark")
    assert not is_ours(report, hub_id=HUB, hub_user="jupyterhub")
    assert is_ours(report, hub_id=HUB, hub_user="jupyterhub", allowed={"spark"})
    assert swept(report, allowed={"spark"}) == [report.id]
    assert swept(report) == []


def test_copied_tags():
    # mallory copies the tags of alice's pending start.
    """Copied tags affect only the copier's own application, not the one that they come from."""
    forged = application(2, user="mallory")
    assert swept(application(), forged, owned=owned_by(SERVER)) == ["application_1_0002"]
    # And those of alice's running server.
    running = owned_by(SERVER.with_application_id("application_1_0001"))
    assert swept(application(), forged, owned=running) == ["application_1_0002"]


def test_name_from_tag():
    """A server's name is read from the tag of its application."""
    owned = OwnedServers()
    owned.add(ServerKey("alice", "lab"), None, hub_id=HUB, has_server=False)
    assert str(owned.name(application(tags=tags(server="lab")))) == "alice/lab"
    assert owned.name(application()) is None


def test_oldest_orphan_first():
    """Orphans are killed from the oldest on, whatever the order of YARN's list."""
    assert swept(application(3), application(1), application(2)) == [
        "application_1_0001",
        "application_1_0002",
        "application_1_0003",
    ]


def test_name_from_owner():
    """Whatever the tags of its server say, an owned application is known by its owner."""
    pending = owned_by(SERVER)
    assert (pending.owner(application()), pending.name(application())) == (ServerKey("alice"), ServerKey("alice"))
    assert pending.name(application(user="bob")) == ServerKey("alice")
    assert str(ServerKey("alice")) == "alice"


# -- How many


def applications_of(user, numbers):
    return [application(number, user=user) for number in numbers]


def refused(lost, kept, shared=()):
    """Whether a sweep with these orphans is refused, where each other application has an owner."""
    owned = OwnedServers(applications={report.id: ServerKey(report.user) for report in kept})
    return too_many([*lost, *kept], lost, owned, shared=shared)


def test_no_orphans_are_never_too_many():
    """A hub without servers has nothing to end and nothing to complain of."""
    assert refused([], []) == ""


def test_owning_nothing_kills_nothing():
    """A hub that owns nothing kills nothing; an empty database is more likely than a cluster full of orphans."""
    assert "none of the 1 applications" in refused([application()], [])


def test_at_most_half_is_killed():
    """More orphans than owned applications are too many, as many are not."""
    kept = applications_of("bob", range(100, 104))
    lost = [application(number, user=f"user{number}") for number in range(5)]
    assert refused(lost[:4], kept) == ""
    assert "5 of 9 applications" in refused(lost, kept)


def test_one_account_cannot_block():
    """One account cannot prevent a sweep: five of its orphans count, and two more for each application it owns."""
    others, own = applications_of("bob", range(100, 105)), applications_of("alice", range(200, 202))
    lost = applications_of("alice", range(50))
    assert refused(lost, others) == ""
    assert refused(lost, others[:4])
    assert refused(lost[:4], others[:4]) == ""
    assert refused(lost, [*others, *own])
    assert refused(lost, [*others, *own, *applications_of("bob", range(300, 302))]) == ""


def test_shared_account_counts():
    """All orphans of a shared account count, since they are no trick of one of its many users."""
    kept, lost = applications_of("bob", range(100, 106)), applications_of("service", range(7))
    assert refused(lost, kept) == ""
    assert refused(lost, kept, shared=["service"])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from([*SERVER.public_dict(), "app_id"]), anything))
def test_broken_state_keeps_owner(changes):
    """A broken state never makes an owned application an orphan."""
    state = {**SERVER.with_application_id("application_1_0001").public_dict(), **changes}
    owned = owned_by(state)
    if state["application_id"] == "application_1_0001":
        assert swept(application(), owned=owned) == []


names = st.sampled_from(["hub", "user", "server", "start"])


@settings(deadline=None)
@given(st.sets(names), st.sampled_from(["alice", "hdfs", "jupyterhub"]))
def test_all_tags_and_a_person(kinds, user):
    """An application belongs to the hub if it has all four tags and runs in a person's account."""
    report = application(user=user)
    report = replace(report, tags=frozenset(t for t in report.tags if any(f"-{kind}-" in t for kind in kinds)))
    assert is_ours(report, hub_id=HUB, hub_user="jupyterhub") == (len(kinds) == 4 and user == "alice")
