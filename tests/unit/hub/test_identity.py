"""Which hub this is."""

import json
import logging
import os
import stat
import subprocess
import sys
from datetime import datetime

import pytest
from jupyterhub import orm
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from yarnspawner.hub.claim import HubClaim
from yarnspawner.hub.identity import FILE_NAME, cookie_secret_file, load_or_create
from yarnspawner.state.seal import Seal

SEAL = Seal(b"cookie secret")
LOG = logging.getLogger("test")


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "hub" / "jupyterhub_cookie_secret"
    file.parent.mkdir()
    file.write_text("00" * 32)
    return file


def another_run(monkeypatch, *before):
    """Forget what this process knows, as if the hub had ended and started again."""
    monkeypatch.setattr("yarnspawner.hub.identity._identities", {})
    for identity in before:
        if identity.claim is not None:
            identity.claim.close()


def test_id_is_kept_in_private_file(secret, monkeypatch):
    """The hub creates its id once and keeps it in a file that only the hub can read."""
    first = load_or_create("", secret, SEAL, LOG)
    another_run(monkeypatch, first)
    assert load_or_create("", secret, SEAL, LOG).id == first.id
    assert first.certain
    file = secret.with_name(FILE_NAME)
    assert first.source == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    files = sorted(path.name for path in secret.parent.iterdir() if FILE_NAME in path.name)
    assert files == [FILE_NAME, f"{FILE_NAME}.lock"]


def test_same_secret_elsewhere(secret, tmp_path):
    """A hub with the same cookie secret in another folder has another id."""
    copy = tmp_path / "jupyterhub_cookie_secret"
    copy.write_bytes(secret.read_bytes())
    production, staging = load_or_create("", secret, SEAL, LOG), load_or_create("", copy, SEAL, LOG)
    assert production.id != staging.id
    assert not staging.is_same_hub(production.id)


def test_servers_of_earlier_versions(secret):
    """The hub owns servers without a hub id and servers with the id from its cookie secret."""
    identity = load_or_create("", secret, SEAL, LOG)
    assert identity.is_same_hub("") and identity.is_same_hub(SEAL.hub_id) and identity.is_same_hub(identity.id)


def test_servers_before_a_chosen_id(secret):
    """After the admin chooses an id, the hub still owns the servers of its earlier id."""
    before = load_or_create("", secret, SEAL, LOG)
    assert load_or_create("production", secret, SEAL, LOG).is_same_hub(before.id)


def test_admin_chooses_id(secret):
    """The admin's id is used, and no file is written."""
    identity = load_or_create("production", secret, SEAL, LOG)
    assert (identity.id, identity.certain) == ("production", True)
    assert not secret.with_name(FILE_NAME).exists()


def test_id_without_a_file(caplog):
    """Without a file, the id comes from the cookie secret and is not certain."""
    identity = load_or_create("", None, Seal(b"another"), LOG)
    assert (identity.id, identity.certain) == (Seal(b"another").hub_id, False)
    assert "hub_id" in caplog.text


def test_invalid_id_file(secret, caplog):
    """A file without a valid id makes the id uncertain, and the log names the file."""
    secret.with_name(FILE_NAME).write_text("../..")
    assert not load_or_create("", secret, SEAL, LOG).certain
    assert str(secret.with_name(FILE_NAME)) in caplog.text


def test_no_cookie_secret_file(tmp_path):
    """Without a cookie secret file, no id file is written."""
    assert not load_or_create("", tmp_path / "jupyterhub_cookie_secret", SEAL, LOG).certain
    assert not list(tmp_path.iterdir())


def test_command_makes_no_id(secret):
    """A command does not create an id."""
    assert not load_or_create("", secret, SEAL, LOG, make=False).certain
    assert not secret.with_name(FILE_NAME).exists()


def test_cookie_secret_file(tmp_path, monkeypatch):
    """The path of the cookie secret comes from the configuration, unless the secret itself is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_COOKIE_SECRET", raising=False)
    assert cookie_secret_file({}) == tmp_path / "jupyterhub_cookie_secret"
    assert str(cookie_secret_file({"cookie_secret_file": "/etc/hub/secret"})) == "/etc/hub/secret"
    assert cookie_secret_file({"cookie_secret": b"x"}) is None
    monkeypatch.setenv("JPY_COOKIE_SECRET", "00")
    assert cookie_secret_file({}) is None


@pytest.fixture
def database(tmp_path):
    """Makes databases of JupyterHub in files, with users."""
    made = []

    def make(path, *users):
        # JupyterHub's own function brings alembic's configuration of logging along.
        engine = create_engine(f"sqlite:///{path}")
        orm.Base.metadata.create_all(engine)
        session = Session(engine)
        made.append(session)
        for name, year in users:
            session.add(orm.User(name=name, created=datetime(year, 1, 1)))  # noqa: DTZ001 - as JupyterHub keeps it
        session.commit()
        return session

    yield make
    for session in made:
        session.close()


ALICE, BOB = ("alice", 2020), ("bob", 2021)


def test_second_hub_in_same_folder(secret, monkeypatch, caplog):
    """A second hub in a folder gets another id, sweeps nothing, and starts nothing that the first would sweep."""
    first = load_or_create("", secret, SEAL, LOG)
    monkeypatch.setattr("yarnspawner.hub.identity._identities", {})
    second = load_or_create("", secret, SEAL, LOG)
    assert first.certain and not second.certain
    assert second.id != first.id and second.is_same_hub(first.id)
    assert "another hub runs with the same id" in caplog.text
    another_run(monkeypatch, first)
    assert load_or_create("", secret, SEAL, LOG).id == first.id


@pytest.mark.parametrize("chosen", ["", "production"])
def test_lock_ends_with_its_process(secret, chosen, monkeypatch):
    """The lock ends with its process, so a killed hub leaves no lock behind."""
    program = (
        "import logging, pathlib, sys, time\nfrom yarnspawner.hub.identity import load_or_create\n"
        "from yarnspawner.state.seal import Seal\n"
        f"identity = load_or_create({chosen!r}, pathlib.Path(sys.argv[1]), Seal(b'cookie secret'), logging.getLogger())\n"
        "print(identity.certain, flush=True)\ntime.sleep(600)\n"
    )
    hub = subprocess.Popen([sys.executable, "-c", program, str(secret)], stdout=subprocess.PIPE, text=True)
    try:
        assert hub.stdout.readline() == "True\n"
        assert not load_or_create(chosen, secret, SEAL, LOG).certain
    finally:
        hub.kill()
        hub.communicate()
    another_run(monkeypatch)
    assert load_or_create(chosen, secret, SEAL, LOG).certain


def test_id_without_a_record(secret, database, tmp_path):
    """The file of an earlier version, which holds only an id, is bound to the current database."""
    secret.with_name(FILE_NAME).write_text(f"{'ab' * 16}\n")
    identity = load_or_create("", secret, SEAL, LOG, db=database(tmp_path / "hub.sqlite", ALICE))
    assert (identity.id, identity.certain) == ("ab" * 16, True)
    first, record = secret.with_name(FILE_NAME).read_text().splitlines()
    assert first == "ab" * 16 and str(tmp_path / "hub.sqlite") in json.loads(record)["place"]
    assert "alice" not in record


@pytest.mark.parametrize("chosen", ["", "production"])
def test_an_id_belongs_to_one_database(secret, database, tmp_path, monkeypatch, caplog, chosen):
    """A hub with a mistyped or copied database sweeps nothing, and the right one goes on afterwards."""
    right = database(tmp_path / "hub.sqlite", ALICE)
    first = load_or_create(chosen, secret, SEAL, LOG, db=right)
    another_run(monkeypatch, first)
    for users in ([], [ALICE]):
        other = database(tmp_path / f"other{len(users)}.sqlite", *users)
        wrong = load_or_create(chosen, secret, SEAL, LOG, db=other)
        assert not wrong.certain and wrong.id != first.id
        another_run(monkeypatch, wrong)
    assert "yarnspawner sweep --moved" in caplog.text
    again = load_or_create(chosen, secret, SEAL, LOG, db=right)
    assert again.certain and again.id == first.id


def test_replaced_database(secret, database, tmp_path, monkeypatch):
    """The same address with none of the users is another database; some other users are not."""
    path = tmp_path / "hub.sqlite"
    another_run(monkeypatch, load_or_create("", secret, SEAL, LOG, db=database(path, ALICE, BOB)))
    os.rename(path, tmp_path / "old.sqlite")
    other = load_or_create("", secret, SEAL, LOG, db=database(path, ("carol", 2026)))
    assert not other.certain
    another_run(monkeypatch, other)
    path.unlink()
    assert load_or_create("", secret, SEAL, LOG, db=database(path, ("carol", 2026), BOB)).claim is not None


def test_moved_database(secret, database, tmp_path, monkeypatch):
    """After `--moved` the id belongs to the new database, under the same name as before."""
    first = load_or_create("", secret, SEAL, LOG, db=database(tmp_path / "hub.sqlite", ALICE))
    another_run(monkeypatch, first)
    moved = database(tmp_path / "moved.sqlite", ALICE)
    command = load_or_create("", secret, SEAL, LOG, db=moved, make=False)
    assert command.id == first.id and "belongs to the database" in command.claim.refusal()
    command.claim.rebind()
    assert not command.claim.refusal()
    assert load_or_create("", secret, SEAL, LOG, db=moved).id == first.id


def test_command_does_not_write(secret, database, tmp_path):
    """A command neither locks nor writes the file, because it runs while the hub does."""
    hub = load_or_create("", secret, SEAL, LOG, db=database(tmp_path / "hub.sqlite", ALICE))
    file = secret.with_name(FILE_NAME)
    before = file.read_text()
    claim = HubClaim(file, hub.id, database(tmp_path / "hub.sqlite", BOB), LOG, hub=False)
    assert not claim.refusal()
    assert file.read_text() == before


def test_a_password_is_not_written_down(secret):
    """The record names a database without its credentials."""

    class Server:
        def get_bind(self):
            from sqlalchemy.engine import make_url

            class Bind:
                url = make_url("postgresql://hub:hunter2@db.example.com:5432/hub")

            return Bind

        def query(self, *columns):
            return self

        order_by = limit = query

        def all(self):
            return []

    assert load_or_create("", secret, SEAL, LOG, db=Server()).certain
    text = secret.with_name(FILE_NAME).read_text()
    assert "postgresql://db.example.com:5432/hub" in text and "hunter2" not in text


def test_folder_is_not_writable(secret, database, tmp_path, caplog):
    """Where nothing can be locked or kept, the id is as before, and the log says so once."""
    claim = HubClaim(tmp_path / "none" / FILE_NAME, "h", database(tmp_path / "hub.sqlite"), LOG, hub=True)
    assert (claim.refusal(), claim.refusal()) == ("", "")
    assert caplog.text.count("cannot be bound") == 1


def test_hub_without_users(secret, database, tmp_path):
    """A hub keeps its id after all its users are deleted, as temporary users are every night."""
    db = database(tmp_path / "hub.sqlite", ALICE)
    identity = load_or_create("", secret, SEAL, LOG, db=db)
    db.query(orm.User).delete()
    db.commit()
    assert identity.claim.refusal() == ""
    assert identity.claim.refusal() == ""
    assert json.loads(secret.with_name(FILE_NAME).read_text().splitlines()[1])["users"] == []
