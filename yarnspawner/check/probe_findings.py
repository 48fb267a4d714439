"""Judge what the containers of the probe found on their nodes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from yarnspawner.check.context import CheckContext
from yarnspawner.check.result import Fix, Result, Step, Unknown, ok, warning, wrong
from yarnspawner.check.trial_user import hub_of

_GROUP = "Nodes, from containers"
_NODES_FILE = "yarn-site.xml of the NodeManagers"
_LEAST_DISK = 1 << 30
_FIRST_PYTHON = (3, 10)
_NEEDED = ("jupyterhub", "jupyter_server", "skein", "yarnspawner")


def targets(context: CheckContext) -> dict[str, str]:
    """Return the addresses that containers must reach, by name."""
    configuration = context.configuration
    hub = hub_of(context.hub)
    found = {"the hub": f"{hub.api_url.rstrip('/')}/"}
    ids = configuration.get("yarn.resourcemanager.ha.rm-ids", "")
    on = configuration.flag("yarn.resourcemanager.ha.enabled")
    for suffix in [f".{name.strip()}" for name in ids.split(",") if name.strip()] if on else [""]:
        host = configuration.get(f"yarn.resourcemanager.hostname{suffix}", "localhost")
        address = configuration.get(f"yarn.resourcemanager.address{suffix}") or f"{host}:8032"
        found[f"the ResourceManager{suffix}"] = address
    scheme, _, rest = configuration["fs.defaultFS"].partition("://")
    service = rest.partition("/")[0]
    if scheme == "hdfs":
        nodes = configuration.get(f"dfs.ha.namenodes.{service}", "")
        for name in filter(None, (part.strip() for part in nodes.split(","))):
            found[f"the NameNode {name}"] = configuration.get(f"dfs.namenode.rpc-address.{service}.{name}", "")
        if not nodes:
            found["the NameNode"] = service if ":" in service else f"{service}:8020"
    return {name: address for name, address in found.items() if address}


def _found(context: CheckContext, part: str) -> dict[str, Any]:
    """Return one part of what the containers found, by node.

    Raises:
        Unknown: no container answered.
    """
    probe = context.probe
    if probe is None or not probe.found:
        raise Unknown("No container answered.")
    return {node: found.get(part) or {} for node, found in probe.found.items()}


def _error(found: dict[str, Any]) -> str:
    return "; ".join(f"{node}: {part['error']}" for node, part in found.items() if "error" in part)


def _where(found: dict[str, Any], applies: Callable[[Any], bool]) -> str:
    return ", ".join(node for node, part in found.items() if applies(part))


async def account(context: CheckContext) -> Result:
    """Check that containers run as the user."""
    found, user = _found(context, "account"), context.hadoop_user
    names = sorted({str(part.get("name") or part.get("uid")) for part in found.values()})
    if names == [user]:
        ids = {str(part.get("uid")) for part in found.values()}
        if len(ids) > 1:
            return warning(f"{user} has different uids on the nodes: {', '.join(sorted(ids))}.")
        return ok(f"Containers run as {user} (uid {', '.join(ids)})")
    executor = "org.apache.hadoop.yarn.server.nodemanager.LinuxContainerExecutor"
    fixes = [Fix(_NODES_FILE, "yarn.nodemanager.container-executor.class", executor)]
    if not context.kerberos:
        limit = "yarn.nodemanager.linux-container-executor.nonsecure-mode.limit-users"
        fixes.append(Fix(_NODES_FILE, limit, "false"))
    told = f"Containers run as {', '.join(names)}, not as {user}: users can read each other's files and tokens."
    return (wrong if context.kerberos else warning)(told, *fixes)


async def python(context: CheckContext) -> Result:
    """Check Python and the packages of the servers' environment against the hub's."""
    found, pythons = _found(context, "packages"), _found(context, "python")
    for name in _NEEDED:
        if nodes := _where(found, lambda part, name=name: not part.get(name)):  # type: ignore[misc]
            return wrong(f"The servers' environment has no {name} on {nodes}. Install yarnspawner[singleuser] there.")
    versions = {str(part.get("version")) for part in pythons.values()}
    told = [f"Python {', '.join(sorted(versions))}"]
    different = []
    for name in ("jupyterhub", "yarnspawner", "skein"):
        theirs = {str(part[name]) for part in found.values()}
        hub = metadata.version(name)
        told.append(f"{name} {', '.join(sorted(theirs))}")
        if theirs != {hub}:
            different.append((name, hub, theirs))
    old = [text for text in versions if tuple(map(int, text.split(".")[:2])) < _FIRST_PYTHON]
    if old:
        return wrong(f"The servers' environment has Python {', '.join(old)}; 3.10 or later is needed.")
    majors = [name for name, hub, theirs in different if {v.split(".")[0] for v in theirs} != {hub.split(".")[0]}]
    if "jupyterhub" in majors:
        return wrong(
            f"{', '.join(told)}; the hub has jupyterhub {metadata.version('jupyterhub')}. Use the same major version."
        )
    if different:
        differs = ", ".join(f"{name} {hub}" for name, hub, _ in different)
        return warning(f"{', '.join(told)}; the hub has {differs}.")
    return ok(f"{', '.join(told)}, as the hub")


async def home(context: CheckContext) -> Result:
    """Check that the user has a home folder on the nodes, and whether the nodes share it."""
    found = _found(context, "home")
    if error := _error(found):
        return wrong(f"The home folder cannot be used. {error}")
    if nodes := _where(found, lambda part: not part.get("own")):
        path = next(iter(found.values())).get("account")
        return warning(
            f"On {nodes}, {context.hadoop_user} cannot write to {path}, so a server's folder is its container's, which YARN"
            " removes with the container. Files must be kept in HDFS."
        )
    path, types = next(iter(found.values())).get("path"), sorted({str(part.get("type")) for part in found.values()})
    sees = context.probe.homes if context.probe is not None else {}
    told = f"{path} can be written ({', '.join(types)})"
    if len(sees) < 2:
        return ok(f"{told}. Whether nodes share it shows with --nodes 2 or more")
    if any(len(files) < len(sees) for files in sees.values()):
        return warning(f"{told}, but each node has its own: a user's files stay on the node of their last server.")
    return ok(f"{told}, and {len(sees)} nodes share it")


async def temporary_files(context: CheckContext) -> Result:
    """Check that programs run from the folder for temporary files."""
    found = _found(context, "tmp")
    if error := _error(found):
        return wrong(f"Temporary files cannot be made. {error}")
    if nodes := _where(found, lambda part: not part.get("executes")):
        folder = next(iter(found.values())).get("folder")
        return warning(
            f"On {nodes}, programs in {folder} may not run (noexec). Packages that unpack native code there fail.",
            Fix("the hub's configuration", "c.YarnSpawner.environment", '{"TMPDIR": "a folder that allows it"}'),
        )
    return ok(f"Programs run from {', '.join(sorted({str(part.get('folder')) for part in found.values()}))}")


async def disk(context: CheckContext) -> Result:
    """Check the room in the containers' folders."""
    found = _found(context, "disk")
    if error := _error(found):
        raise Unknown(error)
    least = min(int(part.get("free", 0)) for part in found.values())
    if nodes := _where(found, lambda part: int(part.get("free", 0)) < _LEAST_DISK):
        folders = "yarn.nodemanager.local-dirs"
        return warning(
            f"{nodes} have {least / 2**30:.1f} GiB or less for containers.",
            Fix(_NODES_FILE, folders, "folders on disks with more room"),
        )
    return ok(f"At least {least / 2**30:.0f} GiB are free for containers")


async def java(context: CheckContext) -> Result:
    """Check that users' programs find Java."""
    found = _found(context, "java")
    if error := _error(found):
        raise Unknown(error)
    if nodes := _where(found, lambda part: not part.get("path")):
        return warning(
            f"On {nodes}, programs in containers find no Java, which Spark and `hdfs` need.",
            Fix(_NODES_FILE, "yarn.nodemanager.admin-env", "JAVA_HOME=... (in addition to what is set)"),
        )
    return ok(", ".join(sorted({str(part.get("version")) for part in found.values()})))


async def ways(context: CheckContext) -> Result:
    """Check that containers reach the hub, the ResourceManager and the NameNode."""
    found = _found(context, "ways")
    addresses = targets(context)
    failed = [
        f"{name} ({addresses.get(name)}) from {node}: {reason}"
        for node, part in found.items()
        for name, reason in part.items()
        if reason
    ]
    if not failed:
        return ok(f"Containers reach {', '.join(addresses)}")
    fixes = []
    if any(told.startswith("the hub ") for told in failed):
        file = "the hub's configuration"
        fixes = [
            Fix(file, "c.JupyterHub.hub_connect_ip", "a name of the hub's machine that all nodes resolve"),
            Fix(file, "c.JupyterHub.hub_ip", '"0.0.0.0"'),
        ]
    return wrong(f"Containers cannot reach {'; '.join(failed)}. Check the address and the firewall.", *fixes)


STEPS = [
    Step(_GROUP, "Account", account),
    Step(_GROUP, "Python", python),
    Step(_GROUP, "Home", home),
    Step(_GROUP, "Temporary files", temporary_files),
    Step(_GROUP, "Disk", disk),
    Step(_GROUP, "Java on the nodes", java),
    Step(_GROUP, "Network", ways),
]
