"""The configuration that follows from a cluster's settings."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from localhadoop import commands, configuration, ports, scripts
from localhadoop.errors import LocalHadoopError
from localhadoop.settings import Settings, check_choices

PORTS = {name: 20000 + offset for offset, name in enumerate(ports.names(2))}
SIMPLE = Settings(
    name="test", directory="/c", hadoop="3.4.3", java="/java", ports=PORTS, jars=["/jars/a.jar", "/jars/b.jar"], nodes=2
)
KERBEROS = replace(SIMPLE, kerberos=True)
STRICT = replace(KERBEROS, strict=True, isolated=True)


def all_properties(settings: Settings, daemon: str | None = None) -> dict[str, str]:
    merged: dict[str, str] = {}
    for properties in configuration.site_files(settings, daemon).values():
        assert not set(merged) & set(properties), "a property stands in one file only"
        merged |= properties
    return merged


def test_ports_are_on_own_addresses():
    """Each port of the cluster's range that a daemon uses is on one of the cluster's local addresses."""
    for settings in (SIMPLE, KERBEROS, replace(SIMPLE, ha=True), replace(SIMPLE, strict=True, ha=True)):
        for daemon in commands.names(settings):
            used = [value for value in all_properties(settings, daemon).values() if value.rpartition(":")[2].isdigit()]
            own = {value for value in used if 20000 <= int(value.rpartition(":")[2]) < 20064}
            assert {value.partition(":")[0] for value in own} <= {"localhost", "127.0.0.2", "hdfs"}


def test_impersonated_users(monkeypatch):
    """The proxy users can impersonate only alice and bob."""
    monkeypatch.setattr(configuration, "operator", lambda: "me")
    for settings, proxies in ((SIMPLE, {"jupyterhub", "me"}), (KERBEROS, {"jupyterhub", "yarn"})):
        properties = all_properties(settings)
        found = {name.split(".")[2] for name in properties if name.startswith("hadoop.proxyuser.")}
        assert found == proxies
        for proxy in found - {"yarn"}:
            assert properties[f"hadoop.proxyuser.{proxy}.users"] == "alice,bob"


def test_kerberos_is_private():
    """A cluster with Kerberos encrypts its traffic, authenticates users and checks ACLs."""
    properties = all_properties(KERBEROS)
    assert properties["hadoop.security.authentication"] == "kerberos"
    assert properties["hadoop.rpc.protection"] == properties["dfs.data.transfer.protection"] == "privacy"
    assert properties["yarn.acl.enable"] == properties["dfs.block.access.token.enable"] == "true"
    assert properties["hadoop.http.authentication.type"] == "kerberos"
    assert "LinuxContainerExecutor" in properties["yarn.nodemanager.container-executor.class"]
    assert "hadoop.http.authentication.type" not in all_properties(replace(KERBEROS, web="simple"))


def test_node_managers_differ():
    """Each NodeManager has its own addresses and folders."""
    one, two = (all_properties(SIMPLE, name) for name in SIMPLE.node_managers)
    assert one["yarn.nodemanager.address"].startswith("localhost:")
    assert two["yarn.nodemanager.address"].startswith("127.0.0.2:")
    for name in ("address", "webapp.address", "localizer.address", "local-dirs", "log-dirs", "recovery.dir"):
        assert one[f"yarn.nodemanager.{name}"] != two[f"yarn.nodemanager.{name}"]


def test_high_availability_ids():
    """With high availability, each ResourceManager has its own id, and a client has none."""
    settings = replace(SIMPLE, ha=True)
    ids = [all_properties(settings, name)["yarn.resourcemanager.ha.id"] for name in settings.resource_managers]
    assert ids == ["rm1", "rm2"]
    assert "yarn.resourcemanager.ha.id" not in all_properties(settings), "a client is neither"
    assert "ZKRMStateStore" in all_properties(settings)["yarn.resourcemanager.store.class"]


@pytest.mark.parametrize(("memory", "nodes"), [(4096, 1), (4096, 2), (2048, 1), (1024, 1), (8192, 3)])
def test_queue_capacities(memory, nodes):
    """The queues share the whole cluster, the queue small has at most one gibibyte, and stopped is stopped."""
    properties = configuration.queues(replace(SIMPLE, memory=memory, nodes=nodes))
    root = "yarn.scheduler.capacity.root"
    shares = [float(properties[f"{root}.{queue}.capacity"]) for queue in ("default", "small", "stopped")]
    assert sum(shares) == pytest.approx(100)
    assert shares[1] / 100 * memory * nodes <= 1024.1
    assert properties[f"{root}.stopped.state"] == "STOPPED"


def test_own_properties():
    """A user's own property overrides the default, in the file to which it belongs."""
    own = {"yarn.acl.enable": "x", "dfs.replication": "y", "hadoop.new": "z", "yarn.scheduler.capacity.new": "q"}
    files = configuration.site_files(replace(SIMPLE, properties=own))
    assert files["yarn-site.xml"]["yarn.acl.enable"] == "x"
    assert files["hdfs-site.xml"]["dfs.replication"] == "y"
    assert files["core-site.xml"]["hadoop.new"] == "z"
    assert files["capacity-scheduler.xml"]["yarn.scheduler.capacity.new"] == "q"


def test_xml_is_escaped():
    """A property with special characters is escaped in Hadoop's XML files."""
    [found] = ET.fromstring(configuration.xml({"a": "<&>\"'"}))  # noqa: S314 - it is ours
    assert [element.text for element in found] == ["a", "<&>\"'"]


def test_settings_round_trip(tmp_path):
    """Saved settings are the same when they are loaded."""
    settings = replace(KERBEROS, directory=str(tmp_path))
    settings.save()
    assert Settings.load(tmp_path) == settings


def test_folder_without_cluster(tmp_path):
    """A folder without a cluster, or with a broken settings file, raises an error that says so."""
    with pytest.raises(LocalHadoopError, match="there is no cluster in"):
        Settings.load(tmp_path)
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(LocalHadoopError, match="cannot read the cluster"):
        Settings.load(tmp_path)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((0, 4096, 8, "simple"), "1 to 11 NodeManagers"),
        ((12, 4096, 8, "simple"), "1 to 11 NodeManagers"),
        ((1, 512, 8, "simple"), "512 is too little"),
        ((1, 4096, 0, "simple"), "at least one virtual core"),
        ((1, 4096, 8, "none"), "'kerberos' or 'simple'"),
    ],
)
def test_invalid_choices(choices, message):
    """Impossible numbers of nodes, memory, cores and kinds of authentication are refused with a message."""
    with pytest.raises(LocalHadoopError, match=message):
        check_choices(*choices)


def test_java_argument_file():
    """Arguments with quotes, spaces and backslashes are escaped in Java's argument file."""
    assert commands.argument_file(["-cp", 'a "b" \\c']) == '"-cp"\n"a \\"b\\" \\\\c"\n'


def test_environment_of_daemons(monkeypatch):
    """Daemons inherit only a fixed list of variables from their starter's environment."""
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dx=y")
    assert set(commands.environment(SIMPLE)) <= {
        "PATH",
        "HOME",
        "LANG",
        "MALLOC_ARENA_MAX",
        "TZ",
        "JAVA_HOME",
        "HADOOP_HOME",
        "HADOOP_CONF_DIR",
    }


@pytest.fixture
def bin_folder(tmp_path):
    settings = replace(SIMPLE, directory=str(tmp_path / "it's a folder"), java=str(tmp_path / "java"))
    (settings.folder / "lib").mkdir(parents=True)
    scripts.write(settings)
    fake = Path(settings.java) / "bin" / "java"
    fake.parent.mkdir(parents=True)
    fake.write_text('#!/bin/sh\necho "$CLASSPATH"; printf "<%s>" "$@"\n')
    fake.chmod(0o755)
    return settings.folder / "bin"


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, env=variables, check=False)


def test_yarn_says_its_class_path(bin_folder):
    """The command yarn classpath prints the configuration folder and the JAR files."""
    expected = f"{bin_folder.parent}/conf:/jars/a.jar:/jars/b.jar\n"
    assert run(bin_folder / "yarn", "classpath", "--glob").stdout == expected
    assert run(bin_folder / "yarn", "classpath", HADOOP_CONF_DIR="/mine").stdout == "/mine:/jars/a.jar:/jars/b.jar\n"


def test_subcommands(bin_folder):
    """A subcommand starts its Java class with the user's arguments."""
    out = run(bin_folder / "yarn", "logs", "-applicationId", "a b").stdout
    assert out.endswith("<org.apache.hadoop.yarn.client.cli.LogsCLI><-applicationId><a b>")
    out = run(bin_folder / "yarn", "application", "-list").stdout
    assert out.endswith("<org.apache.hadoop.yarn.client.cli.ApplicationCLI><application><-list>")
    out = run(bin_folder / "hdfs", "dfs", "-ls", HADOOP_CLIENT_OPTS="-Da=b").stdout
    assert out.endswith("<-Da=b><org.apache.hadoop.fs.FsShell><-ls>")


def test_unknown_subcommand(bin_folder):
    """An unknown or missing subcommand returns 2 and prints the usage."""
    for command in (["nonsense"], []):
        answer = run(bin_folder / "yarn", *command)
        assert answer.returncode == 2
        assert answer.stderr.startswith("usage: yarn classpath|application|")


def test_node_label() -> None:
    """A node label is accessible from the default queue only, and an invalid label is refused."""
    properties = all_properties(replace(SIMPLE, label="gpu"))
    root = "yarn.scheduler.capacity.root"
    assert properties["yarn.node-labels.enabled"] == "true"
    assert properties[f"{root}.default.accessible-node-labels"] == "gpu"
    # Nothing at all would mean the parent's.
    assert properties[f"{root}.small.accessible-node-labels"] == " "
    assert all_properties(SIMPLE)["yarn.node-labels.enabled"] == "false"
    assert not [name for name in all_properties(SIMPLE) if "accessible-node-labels" in name]
    for label in ("a b", "-a", "a,b", "<a>"):
        with pytest.raises(LocalHadoopError, match="node label"):
            check_choices(1, 4096, 8, "kerberos", label=label)


def test_gpus() -> None:
    """GPUs are a resource type of the cluster, and only NodeManagers have an amount of them."""
    cluster = replace(SIMPLE, gpus=2)
    assert all_properties(cluster)["yarn.resource-types"] == "yarn.io/gpu"
    assert "node-resources.xml" not in configuration.site_files(cluster, "resourcemanager")
    assert all_properties(cluster, "nodemanager1")["yarn.nodemanager.resource-type.yarn.io/gpu"] == "2"
    assert "yarn.resource-types" not in all_properties(SIMPLE)
    with pytest.raises(LocalHadoopError, match="GPUs"):
        check_choices(1, 4096, 8, "kerberos", -1)


def test_localizer_knows_realm():
    """The localizer runs as the user, whose ticket cache it finds, so it must know the cluster's realm."""
    options = all_properties(KERBEROS)["yarn.nodemanager.container-localizer.java.opts"]
    assert f"-Djava.security.krb5.conf={KERBEROS.folder}/krb5.conf" in options
