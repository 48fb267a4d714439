"""Local files that the hub may read for its users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yarnspawner.launch import local_files
from yarnspawner.launch.archives import check_archives
from yarnspawner.launch.local_files import changeable, check_local_files
from yarnspawner.launch.specification import SpecificationError

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="gives files away")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder that belongs to a user."""
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, 54321, 54321)
    return folder


def test_hubs_own_file_is_read(tmp_path: Path) -> None:
    """The hub may read its own files, and other sources are not checked."""
    file = tmp_path / "environment.tar.gz"
    file.write_bytes(b"\x1f\x8b")
    assert changeable(file) is None
    check_local_files({"environment": str(file), "other": "hdfs:///home/x", "broken": 5, "missing": "/nowhere/x"})


@pytest.mark.parametrize("name", ["environment.tar.gz", "environment.tgz", "environment.zip"])
def test_file_is_no_archive(tmp_path: Path, name: str) -> None:
    """A file that is no archive is refused by name, before YARN fails to unpack it after the upload."""
    file = tmp_path / name
    file.write_text("no archive")
    with pytest.raises(SpecificationError, match=f"'environment': .*{name} is no archive"):
        check_archives({"environment": str(file)})
    # A file of that name that YARN does not unpack may have any content.
    check_archives({"environment": {"source": str(file), "type": "file"}})


@needs_root
def test_path_below_users_folder(home: Path) -> None:
    """A path below a user's folder is refused, and the message names it."""
    (home / "data").touch()
    assert changeable(home / "data") == home
    with pytest.raises(
        SpecificationError, match=r"'data': the hub does not read .*home/data, because users can change"
    ):
        check_local_files({"data": {"source": str(home / "data")}})


@needs_root
def test_link_through_users_folder(tmp_path: Path, home: Path) -> None:
    """A link that leads through a user's folder is refused."""
    (home / "data").touch()
    (tmp_path / "link").symlink_to("home/data")
    (tmp_path / "chain").symlink_to(tmp_path / "link")
    assert changeable(tmp_path / "chain") == home


@needs_root
def test_users_link_in_sticky_folder(tmp_path: Path) -> None:
    """A user's link in a sticky folder is refused, since it may lead to the hub's keytab."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "data").symlink_to("/etc/krb5.keytab")
    os.lchown(shared / "data", 54321, 54321)
    assert changeable(shared / "data") == shared / "data"


def test_world_writable_folder(tmp_path: Path) -> None:
    """A file in a folder that every user may write is refused."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "data").touch()
    assert changeable(folder / "data") == folder


def test_circular_links(tmp_path: Path) -> None:
    """Links that form a circle are refused."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert changeable(tmp_path / "a") == tmp_path / "a"


@needs_root
@pytest.mark.parametrize(("gid", "found"), [(0, False), (50, False), (999, False), (100, True), (1000, True)])
def test_only_groups_of_people_count(tmp_path: Path, gid: int, found: bool) -> None:
    """The group `users` (100) is one of people, in spite of its number."""
    folder = tmp_path / "folder"
    folder.mkdir()
    os.chown(folder, 0, gid)
    folder.chmod(0o775)
    assert (changeable(folder) == folder) is found


def test_group_of_administrators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only groups of people count; which groups those are follows from the lowest uid of people."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o775)
    assert changeable(folder) is None
    monkeypatch.setattr(local_files, "FIRST_USER_ID", -1)
    monkeypatch.setattr(local_files.os, "getegid", lambda: -2)
    monkeypatch.setattr(local_files.os, "geteuid", lambda: folder.stat().st_uid)
    assert changeable(folder) is not None
