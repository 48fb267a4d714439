"""Check the NodeManagers: running, recovery, and what enforces the containers' memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from yarnspawner.check.context import MAX_NODES, CheckContext
from yarnspawner.check.reading import is_true
from yarnspawner.check.result import Fix, Result, Step, ok, warning, wrong
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.scheduler import as_list

_GROUP = "NodeManagers"
_FILE = "yarn-site.xml of the NodeManagers"
_SHOWN = 5


async def running(context: CheckContext) -> Result:
    """Check that nodes run and are healthy."""
    nodes = as_list(await context.resource_manager("/ws/v1/cluster/nodes"), "nodes", "node")
    able = [node for node in nodes if node.get("state") == "RUNNING"]
    bad = [node for node in nodes if node.get("state") in ("UNHEALTHY", "LOST")]
    told = ", ".join(
        f"{node.get('nodeHostName')} is {node.get('state')} {one_line(str(node.get('healthReport') or ''), 200)}".strip()
        for node in bad[:_SHOWN]
    )
    if not able:
        return wrong(f"No NodeManager runs. {told}", commands=("yarn node -list -all",))
    memory = sum(int(node.get("usedMemoryMB", 0)) + int(node.get("availMemoryMB", 0)) for node in able)
    if bad:
        return warning(f"{len(able)} of {len(nodes)} nodes run. {told}", commands=("yarn node -list -all",))
    return ok(f"{len(able)} nodes run, with {memory} MiB for containers")


async def recovery(context: CheckContext) -> Result:
    """Check that containers survive a restart of their NodeManager."""
    nodes = await context.node_configurations()
    on = Fix(_FILE, "yarn.nodemanager.recovery.enabled", "true")
    supervised = Fix(_FILE, "yarn.nodemanager.recovery.supervised", "true")
    address = Fix(_FILE, "yarn.nodemanager.address", "${yarn.nodemanager.hostname}:8041")
    if hosts := _hosts(nodes, lambda found: not is_true(found, on.name)):
        return wrong(f"Recovery is off on {hosts}: a restart of the NodeManager kills its servers.", on, supervised)
    if hosts := _hosts(nodes, lambda found: found.get(address.name, ":0").endswith(":0")):
        return wrong(
            f"On {hosts}, the NodeManager listens on a different port after a restart, so recovery fails.", address
        )
    if hosts := _hosts(nodes, lambda found: not is_true(found, supervised.name)):
        return warning(
            f"On {hosts}, containers survive a crash of the NodeManager, but not an orderly stop.", supervised
        )
    return ok(f"Containers survive a restart of their NodeManager{_looked_at(nodes)}")


async def virtual_memory(context: CheckContext) -> Result:
    """Check that no container is killed for the addresses that it reserves."""
    nodes = await context.node_configurations()
    off = Fix(_FILE, "yarn.nodemanager.vmem-check-enabled", "false")
    if hosts := _hosts(nodes, lambda found: is_true(found, off.name, "true") and _polls(found)):
        return wrong(
            f"{hosts} check virtual memory: an idle server reserves more addresses than 2.1 times its memory and is killed.",
            off,
        )
    if hosts := _hosts(nodes, lambda found: is_true(found, off.name, "true")):
        return warning(
            f"{hosts} would check virtual memory if YARN monitored containers itself, which it does not now.", off
        )
    return ok(f"Virtual memory is not checked{_looked_at(nodes)}")


async def memory(context: CheckContext) -> Result:
    """Find what stops a container that uses more memory than it has."""
    nodes = await context.node_configurations()
    enforcers = {node: enforcer(found) for node, found in nodes.items()}
    if hosts := _shown([node for node, found in enforcers.items() if not found]):
        return warning(
            f"Nothing enforces memory on {hosts}: YARN leaves it to cgroups, which are off. A server can use all memory of"
            " its node.",
            Fix(_FILE, "yarn.nodemanager.resource.memory.enforced", "false"),
            Fix(_FILE, "yarn.nodemanager.vmem-check-enabled", "false"),
        )
    return ok("; ".join(sorted(set(enforcers.values()))) + _looked_at(nodes))


def enforcer(found: Mapping[str, str]) -> str:
    """Return what enforces memory on a NodeManager, or "" for nothing.

    See ContainersMonitorImpl of Hadoop 3: if memory is enforced strictly and not elastically, it leaves that to cgroups.
    """
    if is_true(found, "yarn.nodemanager.elastic-memory-control.enabled"):
        return "Elastic control: YARN kills containers when the node's memory for containers is used up"
    if is_true(found, "yarn.nodemanager.resource.memory.enabled") and _strict(found):
        return "Cgroups: the kernel kills a process when its container uses more than its memory"
    if _polls(found) and is_true(found, "yarn.nodemanager.pmem-check-enabled", "true"):
        return "YARN's monitor kills a container that uses more than its memory"
    return ""


def _strict(found: Mapping[str, str]) -> bool:
    return is_true(found, "yarn.nodemanager.resource.memory.enforced", "true")


def _polls(found: Mapping[str, str]) -> bool:
    """Return True if YARN's monitor checks the containers' memory."""
    monitored = is_true(found, "yarn.nodemanager.container-monitor.enabled", "true")
    return monitored and (not _strict(found) or is_true(found, "yarn.nodemanager.elastic-memory-control.enabled"))


def _hosts(nodes: Mapping[str, Mapping[str, str]], applies: Callable[[Mapping[str, str]], bool]) -> str:
    return _shown([node for node, found in nodes.items() if applies(found)])


def _shown(hosts: list[str]) -> str:
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    return ", ".join(host.rpartition(":")[0] or host for host in hosts[:_SHOWN]) + more


def _looked_at(nodes: Mapping[str, object]) -> str:
    return f" (asked {len(nodes)} nodes)" if len(nodes) < MAX_NODES else f" (asked the first {MAX_NODES} nodes)"


STEPS = [
    Step(_GROUP, "Nodes", running),
    Step(_GROUP, "Recovery", recovery),
    Step(_GROUP, "Virtual memory", virtual_memory),
    Step(_GROUP, "Memory limit", memory),
]
