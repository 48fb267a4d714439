"""Which applications nobody owns."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yarnspawner.cluster import Report
from yarnspawner.identity import tag
from yarnspawner.orphans import Owned, Owner, is_ours, orphans
from yarnspawner.state import Credentials, ServerState

HUB = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SERVER = ServerState.new("alice", "default", Credentials(b"", b""), hub=HUB)


def tags(start=SERVER.start_id, user="alice", server="", hub=HUB):
    names = [("hub", hub), ("user", hub, user), ("server", hub, user, server), ("start", start)]
    return frozenset(tag(*name) for name in names)


def application(number=1, **facts):
    defaults = {"user": "alice", "state": "RUNNING", "tags": tags(), "started": NOW - timedelta(hours=1)}
    return Report(f"application_1_{number:04}", **{**defaults, **facts})


def owned_by(*states, has_server=True, user="alice"):
    owned = Owned()
    for state in states:
        # JupyterHub keeps the state as JSON.
        kept = json.loads(json.dumps(state.facts() if isinstance(state, ServerState) else state))
        owned.add(Owner(user), kept, hub_id=HUB, has_server=has_server)
    return owned


def swept(*reports, owned=None, **facts):
    choices = {"hub_id": HUB, "hub_user": "jupyterhub", "now": NOW, "grace": 60.0, **facts}
    return [report.id for report in orphans(reports, owned or Owned(), **choices)]


def test_what_nobody_owns_is_an_orphan():
    assert swept(application()) == ["application_1_0001"]


def test_what_a_server_runs_in_is_none():
    owned = owned_by(SERVER.submitted("application_1_0001"))
    assert swept(application(), owned=owned) == []
    assert owned.owner(application()) == Owner("alice")


def test_a_start_that_was_written_down_before_its_submission_owns_it():
    assert swept(application(), owned=owned_by(SERVER)) == []


def test_a_second_application_of_an_answered_start_is_an_orphan():
    assert swept(application(2), owned=owned_by(SERVER.submitted("application_1_0001"))) == ["application_1_0002"]


def test_a_server_that_is_being_stopped_is_ended_by_that():
    assert swept(application(), owned=owned_by(SERVER.submitted("application_1_0001").stopped())) == []


def test_a_state_that_is_left_without_a_server_owns_nothing():
    owned = owned_by(SERVER.submitted("application_1_0001"), has_server=False)
    assert swept(application(), owned=owned) == ["application_1_0001"]


def test_a_server_of_version_0_4_0_is_owned():
    assert swept(application(), owned=owned_by({"app_id": "application_1_0001"})) == []


@pytest.mark.parametrize(
    "state", ["broken", [1], {"version": 9}, {"version": 1, "application_id": 5}, {"version": 1, "start_id": []}]
)
def test_who_has_a_state_that_nobody_can_read_loses_nothing(state):
    owned = owned_by(state)
    assert swept(application(), owned=owned) == []
    bobs = application(2, user="bob", tags=tags(user="bob"))
    assert swept(application(), bobs, owned=owned) == ["application_1_0002"]


def test_other_hubs_applications_are_left_alone():
    assert swept(application(tags=tags(hub="f" * 32))) == []
    assert swept(application(tags=frozenset())) == []


def test_what_has_ended_or_has_just_begun_is_left_alone():
    assert swept(application(state="KILLED")) == []
    assert swept(application(started=NOW - timedelta(seconds=59))) == []
    assert swept(application(started=None)) == []


def test_the_hubs_tag_alone_makes_no_application_ours():
    assert swept(application(tags=frozenset([tag("hub", HUB)]))) == []


@pytest.mark.parametrize("user", ["hdfs", "yarn", "root", "jupyterhub", "", "a/b", "../alice"])
def test_what_runs_as_no_person_is_not_ours(user):
    assert swept(application(user=user)) == []


def test_copied_tags_protect_and_end_only_the_copiers_own():
    # mallory copies the tags of alice's pending start.
    forged = application(2, user="mallory")
    assert swept(application(), forged, owned=owned_by(SERVER)) == ["application_1_0002"]
    # And those of alice's running server.
    running = owned_by(SERVER.submitted("application_1_0001"))
    assert swept(application(), forged, owned=running) == ["application_1_0002"]


def test_a_servers_name_is_known_by_its_tag():
    owned = Owned()
    owned.add(Owner("alice", "lab"), None, hub_id=HUB, has_server=False)
    assert str(owned.name(application(tags=tags(server="lab")))) == "alice/lab"
    assert owned.name(application()) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from([*SERVER.facts(), "app_id"]), anything))
def test_a_broken_state_never_makes_an_owned_application_an_orphan(changes):
    state = {**SERVER.submitted("application_1_0001").facts(), **changes}
    owned = owned_by(state)
    if state["application_id"] == "application_1_0001":
        assert swept(application(), owned=owned) == []


names = st.sampled_from(["hub", "user", "server", "start"])


@settings(deadline=None)
@given(st.sets(names), st.sampled_from(["alice", "hdfs", "jupyterhub"]))
def test_all_of_our_tags_and_a_persons_account_it_takes(kinds, user):
    report = application(user=user)
    report = replace(report, tags=frozenset(t for t in report.tags if any(f"-{kind}-" in t for kind in kinds)))
    assert is_ours(report, hub_id=HUB, hub_user="jupyterhub") == (len(kinds) == 4 and user == "alice")
