"""Hadoop's configuration files for one cluster: pure functions from the settings to properties.

Each daemon gets a folder of its own, since two ResourceManagers or NodeManagers on one machine differ in a few
properties; clients and containers share one.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from localhadoop import strict
from localhadoop.settings import HUB, IMPERSONATED, REALM, SMALL_QUEUE, Settings, operator

Properties = dict[str, str]

LOG4J = """\
hadoop.root.logger=WARN,console
log4j.rootLogger=${hadoop.root.logger}
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %-5p %c{2}: %m%n
# Java 17 has no native code for what these would load.
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
log4j.logger.org.apache.hadoop.hdfs.shortcircuit.DomainSocketFactory=ERROR
"""

LEVEL = "org.apache.hadoop.yarn.server"


def site_files(settings: Settings, daemon: str | None = None) -> dict[str, Properties]:
    """The properties by file, for clients and containers, or for one daemon."""
    files = {
        "core-site.xml": core(settings),
        "hdfs-site.xml": hdfs(settings),
        "yarn-site.xml": yarn(settings) | (of_daemon(settings, daemon) if daemon else {}),
        "capacity-scheduler.xml": queues(settings),
        "hadoop-policy.xml": {},
        **gpus(settings, daemon),
    }
    if settings.strict:
        strict.harden(settings, files, daemon)
    for name, value in settings.properties.items():
        files[file_of(name, files)][name] = value
    return files


def file_of(name: str, files: dict[str, Properties]) -> str:
    """The file that a property belongs to: the one that has it, else by the beginning of its name."""
    for file, properties in files.items():
        if name in properties:
            return file
    prefixes = {"yarn.scheduler.capacity.": "capacity-scheduler.xml", "yarn.": "yarn-site.xml", "dfs.": "hdfs-site.xml"}
    return next((file for prefix, file in prefixes.items() if name.startswith(prefix)), "core-site.xml")


def core(settings: Settings) -> Properties:
    properties = {
        "fs.defaultFS": f"hdfs://{settings.address('namenode')}",
        "hadoop.tmp.dir": str(settings.folder / "tmp"),
        "hadoop.security.authorization": "true",
    }
    # On a simple cluster, the hub is the user who runs the process: impersonation is limited there as well.
    for proxy in {HUB} if settings.kerberos else {HUB, operator()}:
        properties[f"hadoop.proxyuser.{proxy}.hosts"] = "*"
        properties[f"hadoop.proxyuser.{proxy}.users"] = ",".join(IMPERSONATED)
    if settings.kerberos:
        properties |= {
            "hadoop.security.authentication": "kerberos",
            "hadoop.rpc.protection": "privacy",
            # The ResourceManager fetches new HDFS tokens for long applications (proxy-user-privileges below).
            "hadoop.proxyuser.yarn.hosts": "*",
            "hadoop.proxyuser.yarn.users": "*",
        }
    if settings.spnego:
        properties |= {
            "hadoop.http.filter.initializers": "org.apache.hadoop.security.AuthenticationFilterInitializer",
            "hadoop.http.authentication.type": "kerberos",
            "hadoop.http.authentication.kerberos.principal": f"HTTP/_HOST@{REALM}",
            "hadoop.http.authentication.kerberos.keytab": str(keytab(settings, "services")),
            "hadoop.http.authentication.signature.secret.file": str(keytab(settings, "http-secret")),
        }
    return properties


def keytab(settings: Settings, name: str) -> Path:
    suffix = "" if name == "http-secret" else ".keytab"
    return settings.folder / "kerberos" / "keytabs" / f"{name}{suffix}"


def hdfs(settings: Settings) -> Properties:
    data = settings.folder / "data"
    properties = {
        "dfs.namenode.rpc-address": settings.address("namenode"),
        "dfs.namenode.http-address": settings.address("namenode-web"),
        "dfs.namenode.name.dir": f"file://{data}/namenode",
        "dfs.datanode.data.dir": f"file://{data}/datanode",
        "dfs.datanode.address": settings.address("datanode"),
        "dfs.datanode.ipc.address": settings.address("datanode-ipc"),
        "dfs.datanode.http.address": settings.address("datanode-web"),
        "dfs.replication": "1",
        # Without this each restart means 30 s of safe mode, in which no application can be submitted.
        "dfs.namenode.safemode.extension": "0",
        "dfs.namenode.handler.count": "5",
        "dfs.datanode.handler.count": "3",
        # A small machine's disk may be nearly full of other things.
        "dfs.datanode.du.reserved": "0",
        "dfs.namenode.resource.du.reserved": "1048576",
        # A write waits for a second replica's node where there is only one.
        "dfs.client.block.write.replace-datanode-on-failure.enable": "false",
    }
    if settings.kerberos:
        services = str(keytab(settings, "services"))
        properties |= {
            "dfs.block.access.token.enable": "true",
            "dfs.data.transfer.protection": "privacy",
            # A secure DataNode wants ports below 1024 or TLS; on a loopback address neither is worth its trouble.
            "ignore.secure.ports.for.testing": "true",
            "dfs.namenode.kerberos.principal": settings.principal("hdfs"),
            "dfs.namenode.keytab.file": services,
            "dfs.datanode.kerberos.principal": settings.principal("hdfs"),
            "dfs.datanode.keytab.file": services,
            "dfs.web.authentication.kerberos.principal": f"HTTP/{settings.master}@{REALM}",
            "dfs.web.authentication.kerberos.keytab": services,
        }
    return properties


def yarn(settings: Settings) -> Properties:
    folder = settings.folder
    properties = {
        "yarn.resourcemanager.hostname": settings.master,
        **resource_manager_addresses(settings, "resourcemanager", ""),
        "yarn.resourcemanager.scheduler.class": f"{LEVEL}.resourcemanager.scheduler.capacity.CapacityScheduler",
        "yarn.resourcemanager.recovery.enabled": "true",
        "yarn.resourcemanager.store.class": f"{LEVEL}.resourcemanager.recovery.FileSystemRMStateStore",
        "yarn.resourcemanager.fs.state-store.uri": f"file://{folder}/data/resourcemanager",
        # After a restart nothing is placed until the nodes had time to come back; the default is 10 s.
        "yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms": "2000",
        # Hadoop's own default. An application may ask for fewer attempts (a notebook server's does), and whether it
        # gets what it asked for is seen only where the cluster would allow more.
        "yarn.resourcemanager.am.max-attempts": "2",
        # Four times the usual rate: a container is placed at a heartbeat, and tests place many.
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "250",
        # A dead node is noticed after 30 s, not after 10 minutes.
        "yarn.nm.liveness-monitor.expiry-interval-ms": "30000",
        # A ResourceManager that comes back is found after a second, not after 30.
        "yarn.resourcemanager.connect.retry-interval.ms": "1000",
        "yarn.resourcemanager.max-completed-applications": "1000",
        "yarn.scheduler.minimum-allocation-mb": "32",
        "yarn.scheduler.maximum-allocation-mb": str(settings.memory),
        "yarn.scheduler.maximum-allocation-vcores": str(settings.vcores),
        "yarn.node-labels.enabled": "true" if settings.label else "false",
        "yarn.node-labels.fs-store.root-dir": f"file://{folder}/data/node-labels",
        "yarn.node-attribute.fs-store.root-dir": f"file://{folder}/data/node-attributes",
        "yarn.webapp.ui2.enable": "false",
        "yarn.log-aggregation-enable": "true",
        "yarn.log-aggregation.retain-seconds": "86400",
        "yarn.nodemanager.remote-app-log-dir": "/tmp/logs",  # noqa: S108 - in HDFS
        "yarn.application.classpath": f"{settings.conf},{settings.library}/*",
        "yarn.nodemanager.resource.memory-mb": str(settings.memory),
        "yarn.nodemanager.resource.cpu-vcores": str(settings.vcores),
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.admin-env": ",".join(container_environment(settings)),
        # The disk may be nearly full of other things: that is no reason to refuse containers on a small machine.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
        # One that is still full is noticed after 5 s, not after two minutes.
        "yarn.nodemanager.disk-health-checker.interval-ms": "5000",
        "yarn.nodemanager.recovery.enabled": "true",
        # Containers survive a NodeManager that is stopped, not only one that is killed.
        "yarn.nodemanager.recovery.supervised": "true",
    }
    if settings.ha:
        properties |= high_availability(settings)
    if settings.kerberos:
        properties |= secure_yarn(settings)
    return properties


def container_environment(settings: Settings) -> list[str]:
    """Variables that every container gets: on a site ``hdfs`` and Kerberos' configuration are where all find them."""
    variables = ["MALLOC_ARENA_MAX=$MALLOC_ARENA_MAX", f"PATH=$PATH:{settings.folder}/bin"]
    return [*variables, f"KRB5_CONFIG={settings.folder}/krb5.conf"] if settings.kerberos else variables


def resource_manager_addresses(settings: Settings, daemon: str, suffix: str) -> Properties:
    uses = {
        "address": daemon,
        "scheduler.address": f"{daemon}-scheduler",
        "resource-tracker.address": f"{daemon}-tracker",
        "admin.address": f"{daemon}-admin",
        "webapp.address": f"{daemon}-web",
    }
    return {f"yarn.resourcemanager.{use}{suffix}": settings.address(port) for use, port in uses.items()}


def high_availability(settings: Settings) -> Properties:
    """Two ResourceManagers that elect the active one, and keep their state, in ZooKeeper."""
    return {
        "yarn.resourcemanager.ha.enabled": "true",
        "yarn.resourcemanager.cluster-id": settings.name,
        "yarn.resourcemanager.ha.rm-ids": "rm1,rm2",
        "yarn.resourcemanager.hostname.rm1": settings.master,
        "yarn.resourcemanager.hostname.rm2": settings.master,
        **resource_manager_addresses(settings, "resourcemanager", ".rm1"),
        **resource_manager_addresses(settings, "resourcemanager2", ".rm2"),
        "hadoop.zk.address": settings.address("zookeeper"),
        "hadoop.zk.timeout-ms": "5000",
        "yarn.resourcemanager.store.class": f"{LEVEL}.resourcemanager.recovery.ZKRMStateStore",
    }


def secure_yarn(settings: Settings) -> Properties:
    services = str(keytab(settings, "services"))
    executor = "yarn.nodemanager.linux-container-executor"
    return {
        "yarn.acl.enable": "true",
        "yarn.admin.acl": "yarn",
        "yarn.resourcemanager.principal": settings.principal("yarn"),
        "yarn.resourcemanager.keytab": services,
        "yarn.resourcemanager.webapp.spnego-principal": f"HTTP/{settings.master}@{REALM}",
        "yarn.resourcemanager.webapp.spnego-keytab-file": services,
        # One principal for all NodeManagers: the ResourceManager compares it with the address that a connection comes
        # from, and on one machine that is 127.0.0.1 for each of them.
        "yarn.nodemanager.principal": settings.principal("yarn"),
        "yarn.nodemanager.keytab": services,
        "yarn.nodemanager.webapp.spnego-principal": f"HTTP/_HOST@{REALM}",
        "yarn.nodemanager.webapp.spnego-keytab-file": services,
        "yarn.resourcemanager.proxy-user-privileges.enabled": "true",
        # A JVM for each container that needs files; it lives for a second or two. It runs as the user, whose own tickets
        # of this cluster it cannot read without the cluster's krb5.conf.
        "yarn.nodemanager.container-localizer.java.opts": "-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
        f" -Djava.security.krb5.conf={settings.folder}/krb5.conf"
        # Before 3.3, Hadoop looks into a package that Java 16 closes.
        " --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
        "yarn.nodemanager.container-executor.class": f"{LEVEL}.nodemanager.LinuxContainerExecutor",
        f"{executor}.path": str(settings.folder / "bin" / "container-executor"),
        f"{executor}.group": "root",
    }


def of_daemon(settings: Settings, daemon: str) -> Properties:
    """What one ResourceManager or NodeManager has for itself."""
    if daemon in settings.resource_managers and settings.ha:
        return {"yarn.resourcemanager.ha.id": f"rm{settings.resource_managers.index(daemon) + 1}"}
    if daemon not in settings.node_managers:
        return {}
    node = settings.folder / "nodes" / daemon
    return {
        "yarn.nodemanager.hostname": settings.host(daemon),
        "yarn.nodemanager.bind-host": settings.host(daemon),
        # A fixed port: containers that outlive a restart find their NodeManager again, and it them.
        "yarn.nodemanager.address": settings.address(daemon),
        "yarn.nodemanager.localizer.address": settings.address(f"{daemon}-localizer"),
        "yarn.nodemanager.webapp.address": settings.address(f"{daemon}-web"),
        "yarn.nodemanager.collector-service.address": settings.address(f"{daemon}-collector"),
        "yarn.nodemanager.local-dirs": str(node / "local"),
        "yarn.nodemanager.log-dirs": str(node / "logs"),
        "yarn.nodemanager.recovery.dir": str(settings.folder / "data" / daemon),
    }


def queues(settings: Settings) -> Properties:
    """Queues ``default`` (the rest), ``small`` (1 GiB in all) and ``stopped``."""
    small = min(100 * SMALL_QUEUE / (settings.memory * settings.nodes), 50)
    root = "yarn.scheduler.capacity.root"
    return {
        "yarn.scheduler.capacity.resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
        # The default of 10 % starves applications whose work is in their master's container, as a notebook server's is.
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
        "yarn.scheduler.capacity.node-locality-delay": "0",
        f"{root}.queues": "default,small,stopped",
        # A user's share of a queue is its capacity times this; alone, one may have it all.
        f"{root}.default.user-limit-factor": "100",
        f"{root}.default.capacity": f"{100 - small:.3f}",
        f"{root}.default.maximum-capacity": "100",
        f"{root}.small.capacity": f"{small:.3f}",
        f"{root}.small.maximum-capacity": f"{small:.3f}",
        # One container that can never fit is refused at once, not left waiting.
        f"{root}.small.maximum-allocation-mb": str(SMALL_QUEUE),
        f"{root}.small.user-limit-factor": "100",
        f"{root}.stopped.capacity": "0",
        f"{root}.stopped.maximum-capacity": "100",
        f"{root}.stopped.state": "STOPPED",
        # The default lets everybody administer every queue, and so see and kill every application.
        f"{root}.acl_administer_queue": "yarn",
        f"{root}.acl_submit_applications": "*",
        **label_of_queues(root, settings.label),
    }


def label_of_queues(root: str, label: str) -> Properties:
    """Containers on the labelled nodes are for the queue ``default``; a queue that says nothing has its parent's labels."""
    if not label:
        return {}
    return {
        f"{root}.accessible-node-labels": label,
        f"{root}.accessible-node-labels.{label}.capacity": "100",
        f"{root}.default.accessible-node-labels": label,
        f"{root}.default.accessible-node-labels.{label}.capacity": "100",
        f"{root}.small.accessible-node-labels": " ",
        f"{root}.stopped.accessible-node-labels": " ",
    }


def gpus(settings: Settings, daemon: str | None) -> dict[str, Properties]:
    """The resource ``yarn.io/gpu``, counted and given as any other: there is no GPU behind it."""
    if not settings.gpus:
        return {}
    files = {"resource-types.xml": {"yarn.resource-types": "yarn.io/gpu"}}
    if daemon in settings.node_managers:
        files["node-resources.xml"] = {"yarn.nodemanager.resource-type.yarn.io/gpu": str(settings.gpus)}
    return files


def write(settings: Settings, folder: Path, daemon: str | None = None) -> None:
    """Write the configuration folder of clients, or of one daemon."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, properties in site_files(settings, daemon).items():
        (folder / file).write_text(xml(properties))
    (folder / "log4j.properties").write_text(LOG4J)


def xml(properties: Properties) -> str:
    """The text of a Hadoop configuration file."""
    lines = ['<?xml version="1.0"?>', "<configuration>"]
    for name, value in sorted(properties.items()):
        lines.append(f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>")
    return "\n".join([*lines, "</configuration>", ""])
