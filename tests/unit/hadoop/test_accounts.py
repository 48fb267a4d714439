"""Which accounts servers may run as, and the hub's own."""

from types import SimpleNamespace

import pytest

from yarnspawner.hadoop.accounts import (
    SUPERUSERS,
    IdentityRefused,
    hub_account,
    is_person,
    short_name,
    validate_account,
)


def test_allowed_system_accounts():
    """A system account is accepted if an admin allows it, and no setting can allow a superuser."""
    assert validate_account("spark", hub="jupyterhub", allowed={"spark"}) == "spark"
    with pytest.raises(IdentityRefused, match="system account"):
        validate_account("spark", hub="jupyterhub")
    assert {"root", "hdfs", "yarn", "mapred"} == SUPERUSERS


@pytest.mark.parametrize("name", ["alice", "a.b-c_d", "machine$"])
def test_user_accounts(name):
    """The account of a user is accepted."""
    assert validate_account(name, hub="jupyterhub") == name


@pytest.mark.parametrize(
    "name",
    "hdfs yarn YARN root jupyterhub nobody daemon sync hdfs@EXAMPLE.COM jupyterhub@example.com".split(),
)
def test_system_accounts(name):
    """System accounts and the hub's own account are refused."""
    with pytest.raises(IdentityRefused, match="system account"):
        validate_account(name, hub="jupyterhub")


@pytest.mark.parametrize("name", ["alice@EXAMPLE.COM", "bob@evil.example", "sync@example.com"])
def test_principals(name):
    """A principal is refused, since Hadoop maps it by its own rules."""
    with pytest.raises(IdentityRefused, match="hadoop_user must be a short name"):
        validate_account(name, hub="jupyterhub")


@pytest.mark.parametrize("name", ["", "a b", "a\n", "$(id)", "a/b", "-a", ".", "a;b", "ä", "a" * 300, None, 5])
def test_invalid_names(name):
    """Names that no account can have are refused."""
    with pytest.raises(IdentityRefused, match="not the name of an account"):
        validate_account(name, hub="jupyterhub")


def test_hub_account_of_principal(monkeypatch):
    """The hub's account is the first part of its principal."""
    monkeypatch.setenv("HADOOP_USER_NAME", "other")
    assert hub_account("jupyterhub/hub.example.com@EXAMPLE.COM") == "jupyterhub"
    assert hub_account(None) == "other"
    assert short_name("alice@EXAMPLE.COM") == "alice"


def test_hub_account_without_principal(monkeypatch):
    """Without a principal, it is HADOOP_USER_NAME or the account of the process."""
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
def test_is_person(name, person):
    """The reaper only stops applications of users, not of services."""
    assert is_person(name, hub="jupyterhub") is person


def test_first_user_id(monkeypatch):
    """Accounts with a uid below 1000 are system accounts."""
    uids = {"alice": 1000, "service": 999}
    monkeypatch.setattr("pwd.getpwnam", lambda name: SimpleNamespace(pw_uid=uids[name]))
    assert validate_account("alice", hub="jupyterhub") == "alice"
    with pytest.raises(IdentityRefused, match="uid 999"):
        validate_account("service", hub="jupyterhub")
