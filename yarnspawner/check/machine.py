"""Check the hub's own machine: Java, Hadoop's commands and configuration."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import shutil
import socket
from urllib.parse import urlsplit

from yarnspawner.check.context import CheckContext
from yarnspawner.check.result import Fix, Result, Step, ok, warning, wrong
from yarnspawner.check.trial_user import hub_of
from yarnspawner.common.string_templates import TemplateError
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.accounts import IdentityRefused
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.request import resolve_hadoop_user
from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.skein_driver.driver_process import find_java, hadoop_classpath

_HUB_ENVIRONMENT = "the environment of the hub's process (Environment= of its systemd unit)"
_FIRST_JAVA = 8
_SITE_FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")


async def java(context: CheckContext) -> Result:
    """Check that Java runs."""
    try:
        path = find_java()
    except ClusterUnavailable as error:
        return wrong(f"{error}.", Fix(_HUB_ENVIRONMENT, "JAVA_HOME", "/usr/lib/jvm/java-17 (a Java of 8 or later)"))
    completed = await context.command(path, "-version", login=False)
    text = completed.errors + completed.output.decode(errors="replace")
    found = re.search(r'version "((?:1\.)?(\d{1,4})\b[^"\n]{0,60})"', text)
    if completed.status or not found:
        return wrong(
            f"{path} does not run: {one_line(text, 300) or completed.status}",
            Fix(_HUB_ENVIRONMENT, "JAVA_HOME", "the folder of a working Java"),
        )
    if int(found[2]) < _FIRST_JAVA:
        return wrong(f"{path} is Java {found[1]}, and Hadoop 3 needs {_FIRST_JAVA} or later.")
    return ok(f"Java {found[1]}, {path}", version=found[1])


async def commands(context: CheckContext) -> Result:
    """Check that Hadoop's commands are on the PATH and find their jars."""
    missing = [name for name in ("yarn", "hadoop", "hdfs") if shutil.which(name) is None]
    if missing:
        return wrong(
            f"Not on the hub's PATH: {', '.join(missing)}.",
            Fix(_HUB_ENVIRONMENT, "PATH", "with the bin folder of Hadoop's client"),
        )
    try:
        await asyncio.to_thread(hadoop_classpath)
    except ClusterUnavailable as error:
        return wrong(f"{one_line(str(error), 400)}.")
    completed = await context.command("hadoop", "version", login=False)
    version = re.search(r"^Hadoop (\S+)", completed.output.decode(errors="replace"), re.MULTILINE)
    if completed.status or not version:
        return warning(f"`hadoop version` failed: {one_line(completed.errors, 300)}")
    return ok(f"Hadoop {version[1]}, {shutil.which('yarn')}", version=version[1])


async def configuration(context: CheckContext) -> Result:
    """Check that Hadoop's configuration names a cluster."""
    folder = context.folder
    try:
        found = HadoopConfiguration.load()
    except ConfigurationError as error:
        return wrong(f"{error}.", Fix(_HUB_ENVIRONMENT, "HADOOP_CONF_DIR", "the folder of the cluster's yarn-site.xml"))
    if missing := [name for name in _SITE_FILES if not (folder / name).is_file()]:
        return wrong(f"{folder} has no {', '.join(missing)}. Copy the file from the cluster.")
    if found["fs.defaultFS"].startswith("file:"):
        return wrong(
            f"fs.defaultFS of {folder}/core-site.xml is not a file system that the cluster shares.",
            Fix(f"{folder}/core-site.xml", "fs.defaultFS", "hdfs://NAMENODE:8020"),
        )
    return ok(f"{folder}: {found['fs.defaultFS']}, {', '.join(found.resource_managers())}", folder=str(folder))


async def identity(context: CheckContext) -> Result:
    """Check that the hub's identity and the cluster's authentication agree."""
    access, kerberos = context.access, context.kerberos
    if bool(access.principal) != bool(access.keytab):
        lacking = "keytab" if access.principal else "principal"
        return wrong(
            "Set both the principal and the keytab, or neither.",
            Fix("the hub's configuration", f"c.YarnSpawner.{lacking}", "see docs/install.md, step 2"),
        )
    if kerberos and not access.principal:
        return warning(
            "The cluster uses Kerberos, but the hub has no keytab. It uses the ticket cache of its account, which expires.",
            Fix("the hub's configuration", "c.YarnSpawner.principal", '"jupyterhub@REALM"'),
            Fix("the hub's configuration", "c.YarnSpawner.keytab", '"/etc/security/keytabs/jupyterhub.keytab"'),
        )
    if not kerberos:
        return warning(
            f"The cluster does not use Kerberos: everyone on its network can act as everyone. The hub is {context.hub_user}."
        )
    return ok(f"The hub is {access.principal}; to Hadoop, {context.hub_user}")


async def account(context: CheckContext) -> Result:
    """Check which Hadoop user the user's servers run as."""
    context.need_user()
    try:
        name = await resolve_hadoop_user(context.spawner(), hub_user=context.hub_user)
    except (IdentityRefused, TemplateError) as error:
        return wrong(str(error), Fix("the hub's configuration", "c.YarnSpawner.hadoop_user", "a user's own account"))
    except StartFailed as error:
        return wrong(error.jupyterhub_message)
    return ok(f"Servers of {context.user} run as {name}")


async def hub_address(context: CheckContext) -> Result:
    """Check the address at which the hub listens, and the one at which servers connect to it."""
    hub = hub_of(context.hub)
    ip = Fix("the hub's configuration", "c.JupyterHub.hub_ip", '"0.0.0.0"')
    connect = Fix(
        "the hub's configuration", "c.JupyterHub.hub_connect_ip", "a name of this machine that all nodes resolve"
    )
    loopback = {}
    for url, fix in ((hub.bind_url, ip), (hub.url, connect)):
        host = urlsplit(url.replace("//*", "//0.0.0.0")).hostname or ""
        try:
            found = await asyncio.to_thread(socket.getaddrinfo, host, None)
        except OSError as error:
            return wrong(
                f"The hub's address {url}: the name {host!r} is not known here ({error.strerror}).", fix, connect
            )
        loopback[url] = all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)
    cluster = urlsplit(context.resource_managers()[0]).hostname or ""
    if loopback[hub.url] and not cluster.startswith(("localhost", "127.")):
        return wrong(f"Servers connect to the hub at {hub.url}, which each node takes for itself.", connect, ip)
    return ok(f"The hub listens at {hub.bind_url}, and servers connect to {hub.url}")


STEPS = [
    Step("The hub's machine", "Java", java),
    Step("The hub's machine", "Hadoop's commands", commands),
    Step("The hub's machine", "Hadoop's files", configuration),
    Step("The hub's machine", "Identity", identity),
    Step("The hub's machine", "Hub's address", hub_address),
    Step("The hub's machine", "Hadoop user", account),
]
