"""Who a user of the hub is on the cluster."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.hadoop.accounts import IdentityRefused, hub_account, is_person, short_name, tag, validate_account

names = st.text(max_size=200)


@pytest.mark.parametrize("name", ["alice", "a.b-c_d", "machine$"])
def test_a_persons_account_is_accepted(name):
    assert validate_account(name, hub="jupyterhub") == name


@pytest.mark.parametrize(
    "name",
    "hdfs yarn YARN root jupyterhub nobody daemon sync hdfs@EXAMPLE.COM jupyterhub@example.com".split(),
)
def test_system_accounts_and_the_hub_are_refused(name):
    with pytest.raises(IdentityRefused, match="system account"):
        validate_account(name, hub="jupyterhub")


@pytest.mark.parametrize("name", ["alice@EXAMPLE.COM", "bob@evil.example", "sync@example.com"])
def test_a_principal_is_refused_since_hadoop_makes_a_user_of_it_by_rules_of_its_own(name):
    with pytest.raises(IdentityRefused, match="hadoop_user must say who"):
        validate_account(name, hub="jupyterhub")


@pytest.mark.parametrize("name", ["", "a b", "a\n", "$(id)", "a/b", "-a", ".", "a;b", "ä", "a" * 300, None, 5])
def test_what_is_not_an_account_is_refused(name):
    with pytest.raises(IdentityRefused, match="not the name of an account"):
        validate_account(name, hub="jupyterhub")


def test_the_hub_is_the_first_part_of_its_principal(monkeypatch):
    monkeypatch.setenv("HADOOP_USER_NAME", "other")
    assert hub_account("jupyterhub/hub.example.com@EXAMPLE.COM") == "jupyterhub"
    assert hub_account(None) == "other"
    assert short_name("alice@EXAMPLE.COM") == "alice"


def test_without_a_principal_the_hub_is_its_own_account(monkeypatch):
    """Hadoop's clients take HADOOP_USER_NAME, or else the account of the process."""
    monkeypatch.delenv("HADOOP_USER_NAME", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "service")
    assert hub_account(None) == hub_account("") == "service"


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("alice", True),
        ("alice@EXAMPLE.COM", True),
        ("HDFS", False),
        ("hdfs@EXAMPLE.COM", False),
        ("jupyterhub", False),
        ("jupyterhub@EXAMPLE.COM", False),
        ("a b", False),
        ("", False),
    ],
)
def test_a_name_tells_persons_from_services(name, person):
    """The hub stops orphans of persons only, and never an application of a service."""
    assert is_person(name, hub="jupyterhub") is person


@given(names, names, names, names)
def test_different_names_have_different_tags(a, b, c, d):
    assert (tag("server", a, b) == tag("server", c, d)) == ((a, b) == (c, d))


@given(names)
def test_yarn_takes_every_tag_as_it_is(name):
    made = tag("user", name)
    assert made.isascii() and made == made.lower() and "," not in made and len(made) <= 100


def test_persons_accounts_begin_at_uid_1000(monkeypatch):
    """The first account of a person on a machine has uid 1000; system accounts lie below."""
    uids = {"alice": 1000, "service": 999}
    monkeypatch.setattr("pwd.getpwnam", lambda name: SimpleNamespace(pw_uid=uids[name]))
    assert validate_account("alice", hub="jupyterhub") == "alice"
    with pytest.raises(IdentityRefused, match="uid 999"):
        validate_account("service", hub="jupyterhub")


def test_a_tag_stays_the_same_in_all_versions():
    """An upgraded hub finds running applications by their tags."""
    assert tag("server", "hub", "alice", "") == "yarnspawner-server-af9456bd6bb3cf458b1eadbd969ff32a"
