"""The claims of the hub's users on Hadoop accounts, in a database in memory."""

from __future__ import annotations

import logging

import pytest
from jupyterhub import orm
from sqlalchemy import text

from yarnspawner.hub.account_registry import KEY, AccountRegistry, carried, claims

LOG = logging.getLogger("test")


@pytest.fixture
def user_of(database):
    """Makes users who have a server for each state."""

    def make(name, *states):
        user = orm.User(name=name)
        database.add(user)
        for number, state in enumerate(states):
            database.add(orm.Spawner(name=f"s{number}", user=user, state=state))
        database.commit()
        return user

    return make


def states(user):
    return [row.state for row in user.orm_spawners.values()]


def test_a_taken_account_has_an_owner(database, user_of):
    """Another user learns who has the account; its owner and other accounts are not affected."""
    alice, bob = user_of("alice", None), user_of("bob", None)
    accounts = AccountRegistry(database, LOG)
    assert accounts.other_owner("shared", bob.id) == ""
    accounts.take("shared", alice)
    assert accounts.other_owner("shared", bob.id) == "alice"
    assert accounts.other_owner("shared", alice.id) == ""
    assert accounts.other_owner("other", bob.id) == ""


def test_first_owner_is_named(database, user_of):
    """Two users can share an account if an admin allows it, and other users see its first owner."""
    for name in ("alice", "bob"):
        user_of(name, {"hadoop_user": "shared"})
    carl = user_of("carl", None)
    assert AccountRegistry(database, LOG).other_owner("shared", carl.id) == "alice"


def test_stored_claim_after_restart(database, user_of):
    """A hub that starts reads the claims of all users, so stored claims count."""
    alice, bob = user_of("alice", None), user_of("bob", None)
    AccountRegistry(database, LOG).take("shared", alice)
    assert AccountRegistry(database, LOG).other_owner("shared", bob.id) == "alice"


def test_claim_in_one_state(database, user_of):
    """One state that names the account is enough, and a user who was deleted does not hide another owner."""
    gone = user_of("gone", {"hadoop_user": "shared"})
    user_of("alice", {}, {"hadoop_user": "shared"}, None)
    bob = user_of("bob", None)
    accounts = AccountRegistry(database, LOG)
    database.delete(gone)
    database.commit()
    assert accounts.other_owner("shared", bob.id) == "alice"


def test_claim_in_each_state(database, user_of):
    """A claim outlasts any server, so each state has it, next to what it had."""
    alice = user_of("alice", None, {"version": 1, KEY: {"old": "alice"}})
    AccountRegistry(database, LOG).take("shared", alice)
    database.expire_all()
    assert states(alice) == [
        {KEY: {"shared": "alice"}},
        {"version": 1, KEY: {"old": "alice", "shared": "alice"}},
    ]


def test_a_claim_is_committed_at_once(database, user_of):
    """A hub that dies right after a start keeps the claim."""
    alice = user_of("alice", None)
    AccountRegistry(database, LOG).take("shared", alice)
    database.rollback()
    assert states(alice) == [{KEY: {"shared": "alice"}}]


def test_state_that_is_no_mapping(database, user_of):
    """A state in the database that is no mapping stays as it is, and stops no start."""
    alice = user_of("alice", [1], None)
    accounts = AccountRegistry(database, LOG)
    accounts.take("shared", alice)
    assert states(alice) == [[1], {KEY: {"shared": "alice"}}]
    accounts.give_up("shared", alice)
    assert states(alice) == [[1], {KEY: {}}]


def test_earlier_claim_is_kept(database, user_of):
    """A failed start does not release a claim that was there before, and gives it to the user's new server."""
    alice = user_of("alice", {KEY: {"shared": "alice"}}, None)
    accounts = AccountRegistry(database, LOG)
    accounts.take("shared", alice)
    accounts.give_up("shared", alice)
    assert states(alice) == [{KEY: {"shared": "alice"}}] * 2


def test_failed_first_start(database, user_of):
    """A failed first start releases only its own claim, not the user's other claims or those of other users."""
    alice, bob = user_of("alice", {KEY: {"old": "alice"}}), user_of("bob", None)
    accounts = AccountRegistry(database, LOG)
    accounts.take("shared", alice)
    accounts.take("theirs", bob)
    accounts.give_up("shared", alice)
    assert (states(alice), states(bob)) == ([{KEY: {"old": "alice"}}], [{KEY: {"theirs": "bob"}}])
    assert accounts.other_owner("shared", bob.id) == ""
    accounts.give_up("shared", alice)  # again: nothing is left to release
    assert states(alice) == [{KEY: {"old": "alice"}}]


def test_last_start_releases_claim(database, user_of):
    """Of starts at the same time, each gives up once; the last one releases the claim."""
    alice = user_of("alice", None)
    accounts = AccountRegistry(database, LOG)
    for _ in range(3):
        accounts.take("shared", alice)
    for _ in range(2):
        accounts.give_up("shared", alice)
        assert accounts.of_user(alice) == ["shared"]
    accounts.give_up("shared", alice)
    assert accounts.of_user(alice) == []


def test_a_confirmed_claim_stays(database, user_of):
    """Once something was submitted, no failure of another start releases the claim."""
    alice = user_of("alice", None)
    accounts = AccountRegistry(database, LOG)
    accounts.take("one", alice)
    accounts.confirm("one", alice)
    accounts.take("one", alice)
    accounts.give_up("one", alice)
    for _ in range(2):
        accounts.take("two", alice)
    for _ in range(2):
        accounts.confirm("two", alice)
    accounts.give_up("two", alice)
    assert accounts.of_user(alice) == ["one", "two"]


def test_late_failure(database, user_of):
    """A start that gives up after its claim was confirmed releases nothing."""
    alice = user_of("alice", None)
    accounts = AccountRegistry(database, LOG)
    accounts.take("shared", alice)
    accounts.confirm("shared", alice)
    accounts.give_up("shared", alice)
    assert accounts.of_user(alice) == ["shared"]


def test_state_of_earlier_version(database, user_of):
    """The account in a state of an earlier version is a claim, which a failed start does not release."""
    alice = user_of("alice", {"hadoop_user": "shared"})
    accounts = AccountRegistry(database, LOG)
    accounts.take("shared", alice)
    assert states(alice) == [{"hadoop_user": "shared"}]
    accounts.give_up("shared", alice)
    assert accounts.of_user(alice) == ["shared"]


def test_claim_of_renamed_user(database, user_of):
    """A user who takes an account again after a new name has it under the new name."""
    alice, bob = user_of("alice", {KEY: {"shared": "old name"}}), user_of("bob", None)
    accounts = AccountRegistry(database, LOG)
    assert accounts.other_owner("shared", bob.id) == ""
    accounts.take("shared", alice)
    accounts.confirm("shared", alice)
    assert states(alice) == [{KEY: {"shared": "alice"}}]
    assert accounts.other_owner("shared", bob.id) == "alice"


def test_all_claims_are_spread(database, user_of):
    """Before a server is deleted, each of the user's servers gets all claims, and keeps the names in its own."""
    alice = user_of("alice", {KEY: {"a": "alice", "b": "old name"}}, {KEY: {"b": "alice"}}, {"hadoop_user": "c"})
    accounts = AccountRegistry(database, LOG)
    assert accounts.of_user(alice) == ["a", "b", "c"]
    accounts.spread(alice)
    every = {"a": "alice", "b": "alice", "c": "alice"}
    assert states(alice) == [
        {KEY: {**every, "b": "old name"}},
        {KEY: every},
        {"hadoop_user": "c", KEY: every},
    ]


def test_a_broken_row_hides_no_other(database, user_of, caplog):
    """The log names the user of a broken state once, and the other servers' claims count."""
    eve, alice = user_of("eve", {}), user_of("alice", {"hadoop_user": "shared"})
    zoe = user_of("zoe", {}, {"hadoop_user": "other"})
    broken = "update spawners set state = '{broken' where user_id = :id and name = 's0'"
    for user in (eve, zoe):
        database.execute(text(broken), {"id": user.id})
    database.commit()
    with caplog.at_level(logging.WARNING):
        accounts = AccountRegistry.of(database, LOG)
        assert accounts.other_owner("shared", eve.id) == "alice"
        assert accounts.other_owner("other", alice.id) == "zoe"
    told = [record.getMessage() for record in caplog.records if "is broken" in record.getMessage()]
    assert [f"user {user.id} " in message for user, message in zip((eve, zoe), told, strict=True)] == [True, True]


def test_a_database_has_one_index(database):
    """All spawners of a hub share it, so that a claim counts at once."""
    assert AccountRegistry.of(database, LOG) is AccountRegistry.of(database, LOG)


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (None, {}),
        ([KEY], {}),
        ({}, {}),
        ({"hadoop_user": ""}, {}),
        ({"hadoop_user": 5}, {}),
        ({"hadoop_user": "a"}, {"a": "alice"}),
        ({KEY: {"b": "old"}}, {"b": "old"}),
        ({KEY: {"a": "old", "b": "old"}, "hadoop_user": "a"}, {"a": "alice", "b": "old"}),
        ({KEY: ["b"], "hadoop_user": "a"}, {"a": "alice"}),
        ({KEY: {"b": 5, "c": "old"}}, {"c": "old"}),
    ],
)
def test_any_state_names_claims_or_none(state, named):
    """A claim under an old name stays one, but a server that runs is its user's now."""
    assert claims(state, "alice") == named


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({KEY: {}}, {}),
        ({"hadoop_user": "a"}, {KEY: {"a": "alice"}}),
        ({KEY: {"b": "old"}, "hadoop_user": "a"}, {KEY: {"b": "old"}}),
        ({KEY: 5, "hadoop_user": "a"}, {}),
    ],
)
def test_a_new_state_keeps_the_claims(state, kept):
    """States of earlier versions have nothing but the last server's account, which counts as a claim."""
    assert carried(state, "alice") == kept
