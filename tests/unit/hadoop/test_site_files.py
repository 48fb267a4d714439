"""Configurations of other people's clusters are read as Hadoop reads them."""

from __future__ import annotations

import pytest

from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration

XI = 'xmlns:xi="http://www.w3.org/2001/XInclude"'


def load(folder, content, file="core-site.xml"):
    (folder / file).write_text(f'<?xml version="1.0"?>\n<configuration {XI}>{content}</configuration>')
    return HadoopConfiguration.load(folder)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("<property><name> a </name><value>x</value></property>", "x"),
        ("<property><name>a</name><value><![CDATA[x&y]]></value></property>", "x&y"),
        ("<property><name>a</name><value>x<!-- y -->z</value></property>", "xz"),
        ("<property><name>a</name><value/></property>", ""),
        ('<property name="a" value="x"/>', "x"),
        ("<property><value>x</value><description>a</description><name>a</name></property>", "x"),
        ("<property><name>a</name><value>x</value></property><property><name>a</name><value>y</value></property>", "y"),
        ('<property name="a" value="x" final="true"/><property name="a" value="y"/>', "x"),
        ("<configuration><property><name>a</name><value>x</value></property></configuration>", "x"),
        ('<property name="b" value="x"/><property name="a" value="${b}-${b}"/>', "x-x"),
    ],
)
def test_properties(tmp_path, content, value):
    """Each way to write a property counts."""
    assert load(tmp_path, content)["a"] == value


def test_final(tmp_path):
    """A final property of core-site.xml is not changed by yarn-site.xml; another one is."""
    load(
        tmp_path,
        "<property><name>a</name><value>x</value><final> true </final></property><property name='b' value='x'/>",
    )
    found = load(tmp_path, "<property name='a' value='y'/><property name='b' value='y'/>", "yarn-site.xml")
    assert (found["a"], found["b"]) == ("x", "y")


@pytest.mark.parametrize("href", ["more/a.xml", "more/../more/a.xml", "file://{folder}/more/a.xml"])
def test_include(tmp_path, href):
    """Included files may include others, which are relative to the file that names them."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.xml").write_text(f'<configuration {XI}><xi:include href="b.xml"/></configuration>')
    (tmp_path / "more" / "b.xml").write_text('<configuration><property name="a" value="x"/></configuration>')
    assert load(tmp_path, f'<xi:include href="{href.format(folder=tmp_path)}"/>')["a"] == "x"


def test_fallback(tmp_path):
    """A fallback counts if the included file does not exist."""
    include = '<xi:include href="a.xml"><xi:fallback><property name="a" value="{}"/></xi:fallback></xi:include>'
    assert load(tmp_path, include.format("x"))["a"] == "x"
    (tmp_path / "a.xml").write_text('<configuration><property name="a" value="y"/></configuration>')
    assert load(tmp_path, include.format("x"))["a"] == "y"
    assert "a" not in load(tmp_path, '<xi:include href="b.xml"><xi:fallback/></xi:include>')


@pytest.mark.parametrize(
    "content",
    [
        '<xi:include href="core-site.xml"/>',
        '<xi:include href="missing.xml"/>',
        '<xi:include href="https://example.com/a.xml"/>',
        "<xi:include/>",
        "&unknown;",
    ],
)
def test_what_cannot_be_read(tmp_path, content):
    """The error names the file."""
    with pytest.raises(ConfigurationError, match=r"\.xml cannot be read"):
        load(tmp_path, content)


def test_former_name_of_the_file_system(tmp_path):
    """Hadoop still accepts the former name of the default file system."""
    assert load(tmp_path, '<property name="fs.default.name" value="hdfs://nn"/>')["fs.defaultFS"] == "hdfs://nn"


RM = "yarn.resourcemanager."
HA = {f"{RM}ha.enabled": "true", f"{RM}ha.rm-ids": "a,b"}
HTTPS = {"yarn.http.policy": "HTTPS_ONLY"}


@pytest.mark.parametrize(
    ("settings", "urls"),
    [
        ({f"{RM}address": "rm.example.com:8050"}, ["http://rm.example.com:8088"]),
        ({f"{RM}webapp.address": "0.0.0.0:18088", f"{RM}hostname": "rm"}, ["http://rm:18088"]),
        ({f"{RM}webapp.address": "[::]:8088", f"{RM}address": "rm:8032"}, ["http://rm:8088"]),
        ({f"{RM}webapp.address": "http://rm:8088/"}, ["http://rm:8088"]),
        ({f"{RM}webapp.address": "[fd00::7]:8088"}, ["http://[fd00::7]:8088"]),
        ({f"{RM}webapp.address": "[fd00::7]"}, ["http://[fd00::7]:8088"]),
        ({f"{RM}webapp.address": "${hostname}:8088", "hostname": " rm "}, ["http://rm:8088"]),
        ({f"{RM}hostname": "", f"{RM}address": ""}, ["http://localhost:8088"]),
        (HTTPS | {f"{RM}webapp.https.address": "rm:8090"}, ["https://rm:8090"]),
        (HTTPS | {f"{RM}webapp.address": "rm:8088"}, ["https://rm:8090"]),
        ({f"{RM}webapp.https.address": "rm:8090"}, ["http://rm:8088"]),
        (
            HA | {f"{RM}address.a": "one:8032", f"{RM}address.b": "two:8032"},
            ["http://one:8088", "http://two:8088"],
        ),
        (
            HA
            | HTTPS
            | {
                f"{RM}webapp.https.address.a": "0.0.0.0:8090",
                f"{RM}hostname.a": "one",
                f"{RM}webapp.https.address.b": "two:9090",
            },
            ["https://one:8090", "https://two:9090"],
        ),
    ],
)
def test_resource_managers(settings, urls):
    """A ResourceManager is found by whatever names its host: wildcards, IPv6, HA, HTTPS, or its RPC address alone."""
    assert HadoopConfiguration(settings).resource_managers() == urls


NN = "dfs.namenode."


@pytest.mark.parametrize(
    ("settings", "urls"),
    [
        ({"fs.defaultFS": "hdfs://[fd00::7]:8020", f"{NN}http-address": "0.0.0.0:9870"}, ["http://[fd00::7]:9870"]),
        ({"fs.defaultFS": "hdfs://nn:8020", f"{NN}http-address": ":9870"}, ["http://nn:9870"]),
        ({"fs.defaultFS": "hdfs://ns1", f"{NN}http-address.ns1": "nn1:9870"}, ["http://nn1:9870"]),
        ({"fs.defaultFS": "hdfs://ns1", f"{NN}rpc-address.ns1": "nn1:8020"}, ["http://nn1:9870"]),
        (
            {
                "dfs.nameservices": "ns1,ns2",
                "fs.defaultFS": "hdfs://ns2/",
                "dfs.ha.namenodes.ns1": "x,y",
                "dfs.ha.namenodes.ns2": "x,y",
                f"{NN}http-address.ns1.x": "wrong:9870",
                f"{NN}http-address.ns2.x": "0.0.0.0:50070",
                f"{NN}rpc-address.ns2.x": "three:8020",
                f"{NN}rpc-address.ns2.y": "four:8020",
            },
            ["http://three:50070", "http://four:9870"],
        ),
        ({"fs.defaultFS": "viewfs://cluster/"}, []),
        ({"fs.defaultFS": "abfs://data@account.dfs.core.windows.net"}, []),
        ({"fs.defaultFS": "o3fs://bucket.volume.om"}, []),
    ],
)
def test_name_nodes(settings, urls):
    """NameNodes are found behind wildcards, with IPv6, federation and HA; other file systems have none."""
    assert HadoopConfiguration(settings).name_nodes() == urls
