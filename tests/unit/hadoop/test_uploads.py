"""Uploads to HDFS. A script on local folders stands in for `hadoop fs`; tests/cluster uses the real one."""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import skein

from yarnspawner.hadoop.filesystem import Entry, FileSystem, FileSystemError
from yarnspawner.hadoop.permissions import check_world_readable
from yarnspawner.hadoop.uploads import UploadError, Uploads
from yarnspawner.launch.localize import upload_shared_files

HUB = getpass.getuser()

# Without site-packages, which take longer than all the rest.
SCRIPT = """#!/usr/bin/env -S python3 -I -S
import os, pathlib, shutil, stat, sys, time
root, log, slow = pathlib.Path({root!r}), {log!r}, pathlib.Path({slow!r})
arguments = sys.argv[2:]
with open(log, "a") as file:
    print(os.environ.get("HADOOP_PROXY_USER", "hub"), *arguments, file=file)
if arguments[0] == "-D":
    os.umask(int(arguments[1].partition("=")[2], 8))
    del arguments[:2]
command, *rest = arguments
at = lambda path: root / path.lstrip("/")
status = 0
if command == "-stat":
    for path in rest[1:]:
        if not at(path).exists():
            print(f"stat: `{{path}}': No such file or directory", file=sys.stderr)
            status = 1
            continue
        found = at(path).stat()
        kind = "directory" if at(path).is_dir() else "regular file"
        print(f"{{stat.S_IMODE(found.st_mode):o}}", found.st_size, f"{{kind}}/{user}/domain users")
elif command == "-mkdir":
    for path in rest[1:]:
        at(path).mkdir(parents=True, exist_ok=True)
elif command == "-put":
    shutil.copyfile(rest[0], at(rest[1]))
    if slow.exists():
        time.sleep(float(slow.read_text()))
elif command == "-mv":
    if at(rest[1]).exists():
        print(f"mv: `{{rest[1]}}': File exists", file=sys.stderr)
        status = 1
    else:
        at(rest[0]).rename(at(rest[1]))
elif command == "-touchz":
    at(rest[0]).touch()
elif command == "-ls":
    for path in sorted(at(rest[1]).rglob("*")):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        print(f"-rw-r--r--   1 hub domain users 0 {{when}} /{{path.relative_to(root)}}")
elif command == "-rm":
    for path in rest[3:]:
        shutil.rmtree(at(path)) if at(path).is_dir() else at(path).unlink(missing_ok=True)
sys.exit(status)
"""


@pytest.fixture
def hdfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The local folder that stands in for HDFS."""
    root = tmp_path / "hdfs"
    (root / "user" / HUB).mkdir(parents=True)
    (root / "user" / "alice").mkdir()
    for folder in (root, root / "user", root / "user" / HUB):
        folder.chmod(0o755)
    script = tmp_path / "bin" / "hadoop"
    script.parent.mkdir()
    names = {"root": str(root), "log": str(tmp_path / "calls"), "slow": str(tmp_path / "slow"), "user": HUB}
    script.write_text(SCRIPT.format(**names))
    script.chmod(0o755)
    configuration = tmp_path / "conf"
    configuration.mkdir()
    (configuration / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>hdfs://one:8020</value></property></configuration>"
    )
    monkeypatch.setenv("HADOOP_CONF_DIR", str(configuration))
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    return root


@pytest.fixture
async def uploads(hdfs: Path):
    made = Uploads(".yarnspawner", HUB)
    yield made
    await made.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "environment.tar.gz"
    file.write_bytes(b"\x1f\x8b" + b"one" * 500_000)
    return file


def calls(hdfs: Path, command: str) -> list[str]:
    log = hdfs.parent / "calls"
    return [line for line in log.read_text().splitlines() if command in line] if log.exists() else []


def path_of(hdfs: Path, url: str) -> Path:
    return hdfs / url.removeprefix("hdfs:///")


async def test_upload_once(hdfs, uploads, archive):
    """A file is uploaded once for its content."""
    first, second = await uploads.public(archive), await uploads.public(archive)
    assert first == second
    assert path_of(hdfs, first).read_bytes() == archive.read_bytes()
    assert len(calls(hdfs, "-put")) == 1


async def test_other_hub_reuses_upload(hdfs, uploads, archive):
    """Another hub reuses an upload."""
    url = await uploads.public(archive)
    other = Uploads(".yarnspawner", HUB)
    assert await other.public(archive) == url
    assert len(calls(hdfs, "-put")) == 1
    await other.close()


async def test_changed_file(hdfs, uploads, archive):
    """A changed file gets another upload, and the old one is kept."""
    old = await uploads.public(archive)
    archive.write_bytes(b"two" * 500_000)
    new = await uploads.public(archive)
    assert path_of(hdfs, old).read_bytes() != path_of(hdfs, new).read_bytes()


async def test_concurrent_starts(hdfs, uploads, archive):
    """Concurrent starts share one upload."""
    assert len({*await asyncio.gather(*(uploads.public(archive) for _ in range(5)))}) == 1
    assert len(calls(hdfs, "-put")) == 1


async def test_concurrent_hubs(hdfs, uploads, archive):
    """Concurrent uploads of two hubs both succeed."""
    (hdfs.parent / "slow").write_text("0.5")
    other = Uploads(".yarnspawner", HUB)
    urls = await asyncio.gather(uploads.public(archive), other.public(archive))
    assert urls[0] == urls[1]
    assert path_of(hdfs, urls[0]).read_bytes() == archive.read_bytes()
    await other.close()


async def test_incomplete_upload(hdfs, uploads, archive):
    """An incomplete upload is not used."""
    (hdfs.parent / "slow").write_text("60")
    upload = asyncio.create_task(uploads.public(archive))
    deadline = time.monotonic() + 60
    while not calls(hdfs, "-put"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    (hdfs.parent / "slow").unlink()
    url = await uploads.public(archive)
    assert path_of(hdfs, url).read_bytes() == archive.read_bytes()
    assert len(calls(hdfs, "-put")) == 2


async def test_replaced_upload(hdfs, uploads, archive):
    """An upload with another size is refused."""
    path_of(hdfs, await uploads.public(archive)).write_bytes(b"cut")
    other = Uploads(".yarnspawner", HUB)
    with pytest.raises(UploadError, match="is not the file that the hub has uploaded"):
        await other.public(archive)


async def test_private_upload(hdfs, uploads, archive, monkeypatch):
    """A private file is uploaded as its user, and only readable by that user."""
    monkeypatch.setattr(FileSystem, "stat", _owned_by("alice", FileSystem.stat))
    url = await uploads.private(archive, "alice")
    assert path_of(hdfs, url).stat().st_mode & 0o077 == 0
    assert url.startswith("hdfs:///user/alice/.yarnspawner/")
    assert calls(hdfs, "-put")[0].startswith("alice ")


def _owned_by(user, stat):
    """Make the given user the owner of all files."""

    async def answer(self, paths):
        return [Entry(user, e.group, e.mode, e.size, e.folder) for e in await stat(self, paths)]

    return answer


async def test_failure_is_cached(hdfs, uploads, archive, caplog):
    """A failed upload is logged once, and not retried at each start."""
    (hdfs / "user" / HUB).chmod(0o700)
    for _ in range(3):
        with pytest.raises(UploadError, match="not accessible for other users"):
            await uploads.public(archive)
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert len(calls(hdfs, "-stat")) == 1


async def test_url_if_ready(hdfs, uploads, archive):
    """The first call starts the upload, and a later one returns its URL."""
    assert uploads.url_if_ready(archive) == ""
    deadline = time.monotonic() + 30
    while not (url := uploads.url_if_ready(archive)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert path_of(hdfs, url).exists()


async def test_no_public_folder(hdfs, archive):
    """Without a shared folder, there are no public uploads."""
    uploads = Uploads("", HUB)
    assert uploads.url_if_ready(archive) == ""
    with pytest.raises(UploadError, match="shared_folder"):
        await uploads.public(archive)


async def test_invalidate(hdfs, uploads, archive):
    """An upload that YARN reports as missing is uploaded again."""
    file = path_of(hdfs, await uploads.public(archive))
    assert not uploads.invalidate("File does not exist: hdfs:/elsewhere")
    file.unlink()
    assert uploads.invalidate(f"File does not exist: hdfs:/{file.relative_to(hdfs)}")
    assert path_of(hdfs, await uploads.public(archive)).exists()


# Removal of old uploads


def age(folder: Path, days: float) -> None:
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (time.time() - days * 86400,) * 2)


async def old_upload(hdfs: Path, archive: Path, days: float) -> Path:
    """Create an upload of an earlier run of the hub."""
    earlier = Uploads(".yarnspawner", HUB)
    file = path_of(hdfs, await earlier.public(archive))
    await asyncio.gather(*earlier._background)
    age(file.parent, days)
    return file


async def test_old_upload_is_removed(hdfs, uploads, archive):
    """An upload that was unused for more than 30 days is removed."""
    file = await old_upload(hdfs, archive, days=31)
    await uploads.clean()
    assert not file.parent.exists()


async def test_recent_upload_is_kept(hdfs, uploads, archive):
    """An upload that was used within 30 days is kept."""
    file = await old_upload(hdfs, archive, days=29)
    assert await uploads.clean() == []
    assert file.exists()


async def test_upload_in_use_is_kept(hdfs, uploads, archive):
    """An upload that this hub uses is kept."""
    file = path_of(hdfs, await uploads.public(archive))
    await asyncio.gather(*uploads._background)
    age(file.parent, 40)
    assert await uploads.clean() == []


async def test_upload_of_application_is_kept(hdfs, archive):
    """An upload that a running application may use is kept."""
    file = await old_upload(hdfs, archive, days=40)

    async def long_ago():
        return datetime.now(timezone.utc) - timedelta(days=45)

    assert await Uploads(".yarnspawner", HUB, oldest_start=long_ago).clean() == []
    assert file.exists()

    async def lately():
        return datetime.now(timezone.utc) - timedelta(days=3)

    assert await Uploads(".yarnspawner", HUB, oldest_start=lately).clean() == ["/" + str(file.parent.relative_to(hdfs))]


async def test_outage_keeps_uploads(hdfs, archive):
    """No upload is removed while YARN does not answer."""
    await old_upload(hdfs, archive, days=40)

    async def unknown():
        raise RuntimeError("no answer")

    assert await Uploads(".yarnspawner", HUB, oldest_start=unknown).clean() == []


async def test_incomplete_upload_is_removed(hdfs, uploads, archive):
    """Incomplete uploads are removed, other files are kept."""
    file = await old_upload(hdfs, archive, days=2)
    incomplete, foreign = file.with_name(".0123"), hdfs / "user" / HUB / ".yarnspawner" / "notes.txt"
    for path in (incomplete, foreign):
        path.write_text("")
        os.utime(path, (0, 0))
    await uploads.clean()
    assert not incomplete.exists()
    assert file.exists()
    assert foreign.exists()


# Public files

ROOT, USER = ("/", Entry("hdfs", "supergroup", 0o755, 0, True)), ("/user", Entry("hdfs", "supergroup", 0o755, 0, True))
HOME = ("/user/hub", Entry("hub", "hub", 0o711, 0, True))
FILE = ("/user/hub/skein.jar", Entry("hub", "hub", 0o644, 1, False))


def test_valid_public_file():
    """The hub's file in folders of the hub and the superuser is valid."""
    check_world_readable([ROOT, USER, HOME, FILE], "hub")


@pytest.mark.parametrize(
    ("index", "entry", "reason"),
    [
        (3, Entry("alice", "hub", 0o644, 1, False), "belongs to alice"),
        (2, Entry("alice", "hub", 0o755, 0, True), "belongs to alice"),
        (1, Entry("alice", "hub", 0o755, 0, True), "belongs to alice"),
        (3, Entry("hub", "hub", 0o664, 1, False), "writable for others"),
        (3, Entry("hub", "hub", 0o646, 1, False), "writable for others"),
        (2, Entry("hub", "hub", 0o775, 0, True), "writable for others"),
        # Even in a sticky folder, a user who can create files could create the next upload.
        (2, Entry("hub", "hub", 0o1777, 0, True), "writable for others"),
        (1, Entry("hdfs", "supergroup", 0o775, 0, True), "writable for others"),
        (1, Entry("hdfs", "supergroup", 0o777, 0, True), "writable for others"),
        (2, Entry("hub", "hub", 0o700, 0, True), "not accessible for other users"),
        (3, Entry("hub", "hub", 0o640, 1, False), "not accessible for other users"),
    ],
)
def test_invalid_public_files(index, entry, reason):
    """A file that others can replace, or not read, is refused."""
    ancestors = [ROOT, USER, HOME, FILE]
    ancestors[index] = (ancestors[index][0], entry)
    with pytest.raises(FileSystemError, match=reason):
        check_world_readable(ancestors, "hub")


def test_sticky_parent_folder():
    """The hub's folder in a sticky folder is valid."""
    check_world_readable([ROOT, ("/tmp", Entry("hdfs", "supergroup", 0o1777, 0, True)), HOME, FILE], "hub")


# Shared files


async def test_shared_files(hdfs, uploads, archive, monkeypatch):
    """Large local files are shared according to their visibility."""
    monkeypatch.setattr(uploads, "private", lambda local, user: _answer(f"hdfs:///{user}/{local.name}"))
    small = archive.with_name("small.zip")
    small.write_bytes(b"PK\x03\x04")
    files = {
        "a": {"source": str(archive), "visibility": "public"},
        "b": str(archive),
        "c": skein.File(f"file://{archive}", visibility="private", type="file"),
        "small": str(small),
        "there": "hdfs:///environments/there.tar.gz",
        "missing": "/nowhere/missing.zip",
    }
    found = await upload_shared_files(files, uploads, "alice", logging.getLogger(), lambda words: None)
    assert (str(found["a"].visibility), found["a"].source) == ("PUBLIC", await uploads.public(archive))
    assert (str(found["b"].visibility), found["b"].source) == ("PRIVATE", "hdfs:///alice/environment.tar.gz")
    assert (str(found["b"].type), str(found["c"].type)) == ("ARCHIVE", "FILE")
    assert {name: found[name] for name in ("small", "there", "missing")} == {
        name: files[name] for name in ("small", "there", "missing")
    }


async def _answer(url):
    return url


async def test_unshared_file(hdfs, uploads, archive):
    """A file that cannot be shared is uploaded for each start."""
    (hdfs / "user" / HUB).chmod(0o700)
    files = {"environment": {"source": str(archive), "visibility": "public"}}
    found = await upload_shared_files(files, uploads, "alice", logging.getLogger(), lambda words: None)
    assert found["environment"].source == f"file://{archive}"
    assert str(found["environment"].visibility) == "APPLICATION"
    assert str(found["environment"].type) == "ARCHIVE"


async def test_memory_limits(hdfs, uploads, archive, monkeypatch):
    """Known uploads are limited, unused locks are dropped, and old failures are removed."""
    monkeypatch.setattr("yarnspawner.hadoop.uploads._MAX_KNOWN", 2)
    for content in ("one", "two", "three"):
        archive.write_text(content)
        last = await uploads.public(archive)
    assert len(uploads._known) == 2 and any(upload.url == last for upload in uploads._known.values())
    assert not uploads._locks
    monkeypatch.setattr("yarnspawner.hadoop.uploads._RETRY", 0.0)
    for path in ("/one", "/two", "/three"):
        uploads._record_failure("alice", path, "no space")
    assert len(uploads._failed) == 1
