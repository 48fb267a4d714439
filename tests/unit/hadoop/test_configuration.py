"""Hadoop's configuration files are read as Hadoop reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration


def write(folder: Path, name: str, **properties: str) -> None:
    entries = "".join(
        f"<property><name>{key}</name><value>{value}</value></property>\n" for key, value in properties.items()
    )
    (folder / name).write_text(f'<?xml version="1.0"?>\n<configuration>\n{entries}</configuration>\n')


def test_default_address() -> None:
    """Without settings, the ResourceManager is on this machine."""
    assert HadoopConfiguration({}).resource_managers() == ["http://localhost:8088"]


def test_host_name() -> None:
    """The host name is combined with the default port."""
    conf = HadoopConfiguration({"yarn.resourcemanager.hostname": "rm.example.com"})
    assert conf.resource_managers() == ["http://rm.example.com:8088"]


def test_address_precedes_host_name() -> None:
    """An address takes precedence over the host name."""
    conf = HadoopConfiguration(
        {"yarn.resourcemanager.hostname": "rm", "yarn.resourcemanager.webapp.address": "web.example.com:18088"}
    )
    assert conf.resource_managers() == ["http://web.example.com:18088"]


def test_https_port() -> None:
    """HTTPS has another default port."""
    conf = HadoopConfiguration({"yarn.resourcemanager.hostname": "rm", "yarn.http.policy": "HTTPS_ONLY"})
    assert conf.resource_managers() == ["https://rm:8090"]


def test_ha_host_names() -> None:
    """With HA, each ResourceManager has a host name."""
    conf = HadoopConfiguration(
        {
            "yarn.resourcemanager.ha.enabled": "true",
            "yarn.resourcemanager.ha.rm-ids": "rm1, rm2",
            "yarn.resourcemanager.hostname.rm1": "one.example.com",
            "yarn.resourcemanager.hostname.rm2": "two.example.com",
        }
    )
    assert conf.resource_managers() == ["http://one.example.com:8088", "http://two.example.com:8088"]


def test_ha_addresses() -> None:
    """With HA, each ResourceManager may have an address."""
    conf = HadoopConfiguration(
        {
            "yarn.resourcemanager.ha.enabled": "true",
            "yarn.resourcemanager.ha.rm-ids": "a,b",
            "yarn.resourcemanager.webapp.address.a": "one:9000",
            "yarn.resourcemanager.webapp.address.b": "two:9001",
        }
    )
    assert conf.resource_managers() == ["http://one:9000", "http://two:9001"]


def test_ids_without_ha() -> None:
    """Without HA, the ids of ResourceManagers are ignored."""
    conf = HadoopConfiguration({"yarn.resourcemanager.ha.rm-ids": "a,b", "yarn.resourcemanager.hostname": "rm"})
    assert conf.resource_managers() == ["http://rm:8088"]


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the environment and of properties are expanded."""
    monkeypatch.setenv("DOMAIN", "example.com")
    monkeypatch.delenv("NOTHING", raising=False)
    conf = HadoopConfiguration(
        {
            "a": "rm.${env.DOMAIN}",
            "b": "${a}:${env.NOTHING:-1234}",
            "c": "${env.NOTHING} ${no.such.property}",
            "loop": "x${loop}",
        }
    )
    assert conf["b"] == "rm.example.com:1234"
    assert conf["c"] == "${env.NOTHING} ${no.such.property}"
    assert conf["loop"].startswith("x")


def test_load(tmp_path: Path) -> None:
    """The files of a folder are read."""
    write(tmp_path, "core-site.xml", **{"hadoop.security.authentication": "kerberos"})
    write(tmp_path, "yarn-site.xml", **{"yarn.resourcemanager.hostname": "rm.example.com", "yarn.acl.enable": " TRUE"})
    conf = HadoopConfiguration.load(tmp_path)
    assert conf["hadoop.security.authentication"] == "kerberos"
    assert conf.flag("yarn.acl.enable")
    assert conf.resource_managers() == ["http://rm.example.com:8088"]


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default folder is that of Hadoop's commands."""
    write(tmp_path, "yarn-site.xml", **{"yarn.resourcemanager.hostname": "rm"})
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    assert HadoopConfiguration.load()["yarn.resourcemanager.hostname"] == "rm"


def test_include(tmp_path: Path) -> None:
    """A file may include another file."""
    write(tmp_path, "more.xml", **{"yarn.resourcemanager.hostname": "rm"})
    (tmp_path / "yarn-site.xml").write_text(
        '<configuration xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="more.xml"/></configuration>'
    )
    assert HadoopConfiguration.load(tmp_path)["yarn.resourcemanager.hostname"] == "rm"


def test_invalid_file(tmp_path: Path) -> None:
    """The error names an invalid file."""
    (tmp_path / "yarn-site.xml").write_text("<configuration><property>")
    with pytest.raises(ConfigurationError, match=r"yarn-site\.xml cannot be read"):
        HadoopConfiguration.load(tmp_path)


def test_empty_folder(tmp_path: Path) -> None:
    """A folder without configuration files is an error."""
    with pytest.raises(ConfigurationError, match="has no Hadoop configuration"):
        HadoopConfiguration.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"fs.defaultFS": "hdfs://nn.example.com:8020"}, ["http://nn.example.com:9870"]),
        (
            {"fs.defaultFS": "hdfs://nn.example.com", "dfs.namenode.http-address": "0.0.0.0:50070"},
            ["http://nn.example.com:50070"],
        ),
        (
            {
                "fs.defaultFS": "hdfs://nn.example.com:8020/",
                "dfs.http.policy": "HTTPS_ONLY",
                "dfs.namenode.https-address": "web.example.com:9871",
            },
            ["https://web.example.com:9871"],
        ),
        (
            {
                "fs.defaultFS": "hdfs://data",
                "dfs.ha.namenodes.data": "one, two",
                "dfs.namenode.http-address.data.one": "a.example.com:9870",
                "dfs.namenode.http-address.data.two": "b.example.com:9870",
            },
            ["http://a.example.com:9870", "http://b.example.com:9870"],
        ),
        ({"fs.defaultFS": "s3a://bucket"}, []),
        ({}, []),
    ],
)
def test_name_nodes(settings, found):
    """The NameNodes' addresses depend on HTTPS and HA."""
    assert HadoopConfiguration(settings).name_nodes() == found
