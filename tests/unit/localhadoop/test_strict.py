"""What makes a cluster strict, without one."""

import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from localhadoop import certificates, configuration, daemons, isolation, rest, strict
from localhadoop.__main__ import parser
from tests.unit.localhadoop.test_configuration import KERBEROS, STRICT, all_properties


def test_hadoops_own_defaults_hold():
    """A strict cluster sets neither the virtual-memory check nor log aggregation."""
    properties = all_properties(STRICT)
    assert "yarn.nodemanager.vmem-check-enabled" not in properties
    assert "yarn.log-aggregation-enable" not in properties
    asked = replace(STRICT, properties={"yarn.log-aggregation-enable": "true"})
    assert all_properties(asked)["yarn.log-aggregation-enable"] == "true"


def test_web_pages_have_https_only():
    """Clients find HTTPS addresses; daemons also have the key."""
    for settings in (STRICT, replace(STRICT, kerberos=False)):
        client, node = all_properties(settings), all_properties(settings, "nodemanager2")
        assert client["yarn.http.policy"] == client["dfs.http.policy"] == "HTTPS_ONLY"
        assert client["yarn.acl.enable"] == "true"
        assert "ssl.server.keystore.location" not in client
        assert node["ssl.server.keystore.location"] == "/c/tls/private/keystore.p12"
        assert node["yarn.nodemanager.webapp.https.address"] == settings.address("nodemanager2-web")
        assert "ignore.secure.ports.for.testing" not in client


def test_machine_names():
    """Machine names are no loopback addresses, and each block of ports has a network of its own."""
    assert STRICT.address("nodemanager2-web").startswith("node2.hadoop.test:")
    assert STRICT.address("namenode").startswith("master.hadoop.test:")
    assert STRICT.ip("nodemanager2") == STRICT.network_address(4)
    networks = {
        replace(STRICT, ports={"claim": block}).network_address(2).rpartition(".")[::2]
        for block in range(1024, 65472, 64)
    }
    assert len(networks) == len(range(1024, 65472, 64))


def test_principal_names():
    """Principals of services have other names than accounts, and the rules turn them into accounts."""
    assert STRICT.principal("hdfs") == "nn/master.hadoop.test@EXAMPLE.COM"
    assert "(nn@EXAMPLE[.]COM)s/.*/hdfs/" in all_properties(STRICT)["hadoop.security.auth_to_local"]
    assert STRICT.principal("jupyterhub") == "notebooks@EXAMPLE.COM"
    assert "RULE:[1:$1@$0](notebooks@EXAMPLE[.]COM)s/.*/jupyterhub/" in strict.rules()
    assert KERBEROS.principal("hdfs") == "hdfs/localhost@EXAMPLE.COM"
    assert STRICT.principal("alice") == KERBEROS.principal("alice") == "alice@EXAMPLE.COM"


def test_firewall_ports():
    """Clients reach the services; a NodeManager's own port and the ResourceManager's for administrators stay closed."""
    rules = isolation.firewall(STRICT)
    opened = rules.partition("dport {")[2].partition("}")[0].replace(" ", "").split(",")
    for name in ("namenode", "resourcemanager", "resourcemanager-web", "nodemanager1-web", "kdc"):
        assert str(STRICT.ports[name]) in opened
    for name in ("nodemanager1", "resourcemanager-admin", "resourcemanager-scheduler", "resourcemanager-tracker"):
        assert str(STRICT.ports[name]) not in opened


def test_private_ca(tmp_path):
    """The CA is localhadoop's own, Java's stores are not empty, and the key store is private."""
    settings = replace(STRICT, directory=str(tmp_path))
    certificates.create(settings)
    context = ssl.create_default_context(cafile=str(settings.certificate_authority))
    assert [found["subject"][0][0][1] for found in context.get_ca_certs()] == ["localhadoop CA"]
    assert certificates.key_store(settings).stat().st_size > 500
    assert certificates.key_store(settings).parent.stat().st_mode & 0o077 == 0
    assert certificates.trust_store(settings).stat().st_size > 300


def test_curl_options():
    """Curl gets the addresses and the CA on its command line, so it needs no names of the machine."""
    options = rest.options(STRICT)
    assert f"{STRICT.address('resourcemanager-web')}:{STRICT.ip('resourcemanager')}" in options
    assert rest.options(KERBEROS) == []


def test_command_runs_as_user():
    """A client's command enters the cluster's mounts as root, and then becomes the user."""
    command = isolation.enter(STRICT, isolation.as_user(["id"], "root"))
    assert command[:2] == ["unshare", "--mount"]
    assert command[-1] == "id"
    assert "setpriv" in command
    assert isolation.as_user(["id"], "hdfs") == ["id"]


def test_no_isolation(monkeypatch):
    """Without root or namespaces, a cluster is not isolated, and the progress says what is missing."""
    said = []
    progress = SimpleNamespace(step=said.append)
    monkeypatch.setattr(isolation, "is_root", lambda: False)
    assert not isolation.available(progress)
    monkeypatch.setattr(isolation, "is_root", lambda: True)
    monkeypatch.setattr(isolation.system, "find", lambda program: f"/bin/{program}")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    assert not isolation.available(progress)
    assert len(said) == 2


def test_listening_ports(tmp_path, monkeypatch):
    """Listening ports are read from the kernel, and only a listening socket counts."""
    table = "  sl  local_address rem_address st\n 0: 020012C6:4E21 00000000:0000 0A 0\n 1: 020012C6:4E22 0:0 01 0\n"
    (tmp_path / "7" / "net").mkdir(parents=True)
    (tmp_path / "7" / "net" / "tcp").write_text(table)
    monkeypatch.setattr(daemons, "Path", lambda path: Path(path.replace("/proc", str(tmp_path))))
    assert daemons.is_listening(7, 0x4E21)
    assert not daemons.is_listening(7, 0x4E22)
    assert not daemons.is_listening(None, 0x4E21)


def test_help_names_what_strict_is_not(capsys):
    """The help says what a strict cluster lacks."""
    with pytest.raises(SystemExit):
        parser().parse_args(["up", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Not part of it" in said
    assert configuration.strict.DEFAULTS
