"""Jars are those that the lock pins, whatever the network does."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from localhadoop import jars
from localhadoop.errors import LocalHadoopError
from localhadoop.jars import Artifact, JarCache, Lock
from localhadoop.progress import Progress

CONTENT = bytes(range(256)) * 4000
ARTIFACT = Artifact(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "org/example/a/1/a-1.jar")
LINE = f"{ARTIFACT.sha256}   {ARTIFACT.size} {ARTIFACT.path}"


class Repository(http.server.ThreadingHTTPServer):
    """A Maven repository that notes what it was asked for, and can break off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{ARTIFACT.path}": CONTENT}
        self.ranges: list[str | None] = []
        self.breaks_off: list[int] = []  # after how many bytes, for the next answers
        self.resumes = True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404, "Not Found")
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.resumes else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = self.server.breaks_off.pop(0) if self.server.breaks_off else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *arguments: object) -> None: ...


class Counted(Progress):
    """Counts the bytes of all downloads."""

    def __init__(self) -> None:
        self.total = self.arrived = 0

    @contextmanager
    def downloading(self, label, total):
        self.total = total

        def advance(count: int) -> None:
            self.arrived += count

        yield advance


@pytest.fixture
def repository(monkeypatch) -> Iterator[Repository]:
    monkeypatch.setattr(jars.time, "sleep", lambda seconds: None)
    with Repository() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_once(repository, tmp_path):
    """A missing jar is downloaded once."""
    cache, progress = JarCache(tmp_path, repository.url), Counted()
    [path] = cache.ensure([ARTIFACT], progress)
    assert path.read_bytes() == CONTENT
    assert progress.arrived == progress.total == ARTIFACT.size
    cache.ensure([ARTIFACT], Progress())
    assert repository.ranges == [None]


def test_download_resumes(repository, tmp_path):
    """A download that breaks off continues where it stopped."""
    repository.breaks_off = [300_000, 700_000]
    progress = Counted()
    [path] = JarCache(tmp_path, repository.url).ensure([ARTIFACT], progress)
    assert path.read_bytes() == CONTENT
    assert repository.ranges == [None, "bytes=300000-", "bytes=700000-"]
    assert progress.arrived == ARTIFACT.size


def test_later_process_resumes(repository, tmp_path):
    """A later process continues a partial download."""
    part = tmp_path / "maven2" / f"{ARTIFACT.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    [path] = JarCache(tmp_path, repository.url).ensure([ARTIFACT], Progress())
    assert path.read_bytes() == CONTENT
    assert repository.ranges == ["bytes=1000-"]
    assert not part.exists()


def test_server_without_resume(repository, tmp_path):
    """A server that cannot resume sends the whole file again."""
    repository.breaks_off = [300_000]
    repository.resumes = False
    [path] = JarCache(tmp_path, repository.url).ensure([ARTIFACT], Progress())
    assert path.read_bytes() == CONTENT


def test_damaged_jar(repository, tmp_path):
    """A jar that was damaged in the cache is downloaded again."""
    cache = JarCache(tmp_path, repository.url)
    [path] = cache.ensure([ARTIFACT], Progress())
    path.write_bytes(b"x" + CONTENT[1:])
    cache.ensure([ARTIFACT], Progress())
    assert path.read_bytes() == CONTENT


def test_wrong_jar(repository, tmp_path):
    """A jar with other bytes than the lock pins is refused and not kept."""
    repository.files[f"/{ARTIFACT.path}"] = b"x" + CONTENT[1:]
    with pytest.raises(LocalHadoopError, match="is not the file that the lock pins"):
        JarCache(tmp_path, repository.url).ensure([ARTIFACT], Progress())
    assert list((tmp_path / "maven2" / "org").rglob("*.jar*")) == []


def test_missing_file(repository, tmp_path):
    """The error names a file that the repository lacks, and the request is not repeated."""
    repository.files.clear()
    with pytest.raises(LocalHadoopError, match=r"a-1\.jar answers 404 Not Found"):
        JarCache(tmp_path, repository.url).ensure([ARTIFACT], Progress())
    assert len(repository.ranges) == 1, "nobody asks again for what is not there"


def test_no_network(tmp_path, monkeypatch):
    """Without a network, the error has one line."""
    monkeypatch.setattr(jars.time, "sleep", lambda seconds: None)
    with pytest.raises(LocalHadoopError, match=r"cannot download http://127.0.0.1:1/.*: .*refused") as refused:
        JarCache(tmp_path, "http://127.0.0.1:1").ensure([ARTIFACT], Progress())
    assert "\n" not in str(refused.value)


def test_full_disk(repository, tmp_path):
    """A lack of disk space is reported before the download."""
    huge = Artifact(ARTIFACT.sha256, 10**18, ARTIFACT.path)
    with pytest.raises(LocalHadoopError, match=r"no room in .*: 1000000000000 MB are needed"):
        JarCache(tmp_path, repository.url).ensure([huge], Progress())
    assert repository.ranges == []


def test_unwritable_cache(tmp_path):
    """A cache that cannot be written is reported."""
    (tmp_path / "file").touch()
    with pytest.raises(LocalHadoopError, match="cannot write the cache"):
        JarCache(tmp_path / "file" / "cache", "http://127.0.0.1:1").ensure([ARTIFACT], Progress())


def test_lock_file():
    """A lock file names the version and the artifacts."""
    lock = Lock.parse(f"# hadoop 1.2.3\n# a comment\n\n{LINE}\n{LINE} native\n")
    assert lock.version == "1.2.3"
    assert lock.artifacts[0] == ARTIFACT
    assert [artifact.is_native for artifact in lock.artifacts] == [False, True]


@pytest.mark.parametrize(
    "line",
    [LINE.replace("org/", "../"), LINE.replace("org/", "/org/"), LINE[1:], LINE.upper(), LINE + " other", "a b c"],
)
def test_broken_lock_line(line):
    """A broken line of a lock file is refused with its number."""
    with pytest.raises(LocalHadoopError, match="broken in line 2"):
        Lock.parse(f"# hadoop 1.2.3\n{line}\n")


@pytest.mark.parametrize("text", ["", LINE, "# hadoop 1.2.3\n"])
def test_incomplete_lock_file(text):
    """A lock file without a version or without jars is refused."""
    with pytest.raises(LocalHadoopError, match="names no version or no jars"):
        Lock.parse(text)


@pytest.mark.parametrize(
    ("version", "exact"),
    [("3.1", "3.1.4"), ("3.2", "3.2.4"), ("3.4", "3.4.3"), ("3.4.3", "3.4.3"), ("3.3.6", "3.3.6"), ("3.5.0", "3.5.0")],
)
def test_versions_on_offer(version, exact):
    """Each version on offer selects a lock with the jars of one exact version."""
    lock = Lock.of(version)
    assert lock.version == exact
    paths = [artifact.path for artifact in lock.artifacts]
    assert len(paths) == len(set(paths)) > 120
    assert f"org/apache/hadoop/hadoop-common/{exact}/hadoop-common-{exact}.jar" in paths
    assert any(artifact.is_native for artifact in lock.artifacts)


@pytest.mark.parametrize("version", ["3.9", "3", "", "../x", "3.4.1"])
def test_unknown_version(version):
    """A version that is not on offer is refused, and the error lists those that are."""
    with pytest.raises(
        LocalHadoopError,
        match=r"choose one of 3\.1 \(3\.1\.4\), 3\.2 \(3\.2\.4\), 3\.3 \(3\.3\.6\), 3\.4 \(3\.4\.3\), 3\.5 \(3\.5\.0\)",
    ):
        Lock.of(version)
