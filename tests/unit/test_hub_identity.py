"""Which hub this is."""

import logging
import stat

import pytest

from yarnspawner.hub_identity import FILE_NAME, cookie_secret_file, identify
from yarnspawner.state import Seal

SEAL = Seal(b"cookie secret")
LOG = logging.getLogger("test")


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "hub" / "jupyterhub_cookie_secret"
    file.parent.mkdir()
    file.write_text("00" * 32)
    return file


def test_an_id_is_made_once_and_kept_where_only_the_hub_reads_it(secret, monkeypatch):
    first = identify("", secret, SEAL, LOG)
    monkeypatch.setattr("yarnspawner.hub_identity._identities", {})  # another run
    assert identify("", secret, SEAL, LOG).id == first.id
    assert first.certain
    file = secret.with_name(FILE_NAME)
    assert first.source == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in secret.parent.iterdir() if FILE_NAME in path.name] == [FILE_NAME]


def test_a_hub_with_the_same_secret_elsewhere_is_another(secret, tmp_path):
    copy = tmp_path / "jupyterhub_cookie_secret"
    copy.write_bytes(secret.read_bytes())
    production, staging = identify("", secret, SEAL, LOG), identify("", copy, SEAL, LOG)
    assert production.id != staging.id
    assert not staging.is_own(production.id)


def test_servers_of_before_are_its_own(secret):
    identity = identify("", secret, SEAL, LOG)
    assert identity.is_own("") and identity.is_own(SEAL.hub_id) and identity.is_own(identity.id)


def test_servers_from_before_the_admin_chose_are_its_own(secret):
    before = identify("", secret, SEAL, LOG)
    assert identify("production", secret, SEAL, LOG).is_own(before.id)


def test_the_admins_choice_counts(secret):
    identity = identify("production", secret, SEAL, LOG)
    assert (identity.id, identity.certain) == ("production", True)
    assert not secret.with_name(FILE_NAME).exists()


def test_without_a_file_the_secrets_own_is_taken_which_is_not_certain(caplog):
    identity = identify("", None, Seal(b"another"), LOG)
    assert (identity.id, identity.certain) == (Seal(b"another").hub_id, False)
    assert "hub_id" in caplog.text


def test_a_file_with_something_else_in_it_is_not_taken(secret, caplog):
    secret.with_name(FILE_NAME).write_text("../..")
    assert not identify("", secret, SEAL, LOG).certain
    assert str(secret.with_name(FILE_NAME)) in caplog.text


def test_nothing_is_made_where_there_is_no_cookie_secret(tmp_path):
    assert not identify("", tmp_path / "jupyterhub_cookie_secret", SEAL, LOG).certain
    assert not list(tmp_path.iterdir())


def test_a_command_makes_none(secret):
    assert not identify("", secret, SEAL, LOG, make=False).certain
    assert not secret.with_name(FILE_NAME).exists()


def test_where_the_cookie_secret_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_COOKIE_SECRET", raising=False)
    assert cookie_secret_file({}) == tmp_path / "jupyterhub_cookie_secret"
    assert str(cookie_secret_file({"cookie_secret_file": "/etc/hub/secret"})) == "/etc/hub/secret"
    assert cookie_secret_file({"cookie_secret": b"x"}) is None
    monkeypatch.setenv("JPY_COOKIE_SECRET", "00")
    assert cookie_secret_file({}) is None
