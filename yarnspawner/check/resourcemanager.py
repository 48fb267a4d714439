"""Check the ResourceManager: reachable, high availability, recovery and ACLs."""

from __future__ import annotations

from yarnspawner.check.context import CheckContext
from yarnspawner.check.reading import is_true
from yarnspawner.check.result import Fix, Result, Step, Unknown, ok, warning, wrong
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.http_client import WebError, WebInsecure, WebRefused
from yarnspawner.skein_driver import ClusterError

_GROUP = "ResourceManager"
_FILE = "yarn-site.xml of the ResourceManager"
_EVERYBODY = "*"


async def web_service(context: CheckContext) -> Result:
    """Check that the ResourceManager's web service answers the hub."""
    reasons: list[WebError] = []
    for url in context.resource_managers():
        try:
            response = await context.web.get(f"{url}/ws/v1/cluster/info")
            if response.status == 200:
                info = response.json().get("clusterInfo") or {}
                version = info.get("resourceManagerVersion", "")
                return ok(f"{url} answers, Hadoop {version}", version=version)
            reasons.append(WebError(f"{url} answered with HTTP {response.status}"))
        except WebError as error:
            reasons.append(error)
    told = "; ".join(map(str, reasons))
    if any(isinstance(reason, WebInsecure) for reason in reasons):
        raise Unknown(
            f"{told}. Set yarn.http.policy to HTTPS_ONLY in yarn-site.xml of YARN's daemons and of the hub, so that this"
            " can be checked and the hub can use the web service."
        )
    if any(isinstance(reason, WebRefused) for reason in reasons):
        return wrong(f"{told}.", Fix(_FILE, "yarn.resourcemanager.webapp.spnego-principal", "HTTP/_HOST@REALM"))
    if "certificate" in told.lower():
        authority = Fix("the hub's configuration", "c.YarnSpawner.hadoop_ca_file", '"the PEM file of the CA"')
        return wrong(f"{told}. The hub does not know the CA of the ResourceManager's certificate.", authority)
    return wrong(
        f"{told}. Check that the ResourceManager runs, its address and the firewall.",
        Fix(
            f"{context.folder}/yarn-site.xml", "yarn.resourcemanager.webapp.address", "the ResourceManager's HOST:PORT"
        ),
    )


async def client_port(context: CheckContext) -> Result:
    """Check that skein's driver reaches the ResourceManager through its RPC port."""
    name = "yarn.resourcemanager.address"
    address = context.configuration.get(name) or f"{context.configuration['yarn.resourcemanager.hostname']}:8032"
    try:
        nodes = await context.access.cluster.nodes()
    except ClusterError as error:
        return wrong(
            f"skein's driver cannot list YARN's nodes ({address}): {one_line(str(error), 500)}",
            Fix(f"{context.folder}/yarn-site.xml", name, "the ResourceManager's HOST:PORT"),
        )
    return ok(f"skein's driver runs and reaches the ResourceManager ({len(nodes)} nodes)")


async def high_availability(context: CheckContext) -> Result:
    """Check the state of all ResourceManagers."""
    urls = context.resource_managers()
    if len(urls) == 1:
        active = await context.active_resource_manager()
        return ok(f"One ResourceManager ({active}). No server can start while it is down; running servers continue")
    states = {}
    for url in urls:
        try:
            info = (await context.get(f"{url}/ws/v1/cluster/info")).get("clusterInfo") or {}
            states[url] = str(info.get("haState"))
        except Unknown as error:
            states[url] = f"unknown ({error})"
    told = ", ".join(f"{url}: {state}" for url, state in states.items())
    if "ACTIVE" not in states.values():
        return wrong(f"No ResourceManager is active. {told}", commands=("yarn rmadmin -getAllServiceState",))
    if set(states.values()) - {"ACTIVE", "STANDBY"}:
        return warning(f"A ResourceManager cannot take over. {told}", commands=("yarn rmadmin -getAllServiceState",))
    return ok(told)


async def recovery(context: CheckContext) -> Result:
    """Check that applications survive a restart of the ResourceManager."""
    found = await context.resource_manager_configuration()
    on = Fix(_FILE, "yarn.resourcemanager.recovery.enabled", "true")
    if not is_true(found, on.name):
        return wrong("Recovery is off: a restart of the ResourceManager stops all users' servers.", on)
    work = Fix(_FILE, "yarn.resourcemanager.work-preserving-recovery.enabled", "true")
    if not is_true(found, work.name, "true"):
        return wrong("Recovery does not preserve work: a restart of the ResourceManager kills all containers.", work)
    store = found.get("yarn.resourcemanager.store.class", "").rpartition(".")[2]
    return ok(f"Applications survive a restart of the ResourceManager ({store})")


async def acls(context: CheckContext) -> Result:
    """Check that only users themselves and administrators may view and kill applications."""
    found = await context.resource_manager_configuration()
    on = Fix("yarn-site.xml of the ResourceManager, the nodes and the hub", "yarn.acl.enable", "true")
    admins = Fix(_FILE, "yarn.admin.acl", "yarn (YARN's administrators)")
    fixes = []
    if not is_true(found, on.name):
        fixes.append(on)
    if found.get(admins.name, _EVERYBODY).strip() == _EVERYBODY:
        fixes.append(admins)
    if fixes:
        told = " and ".join(f"{fix.name} is {found.get(fix.name, 'not set')}" for fix in fixes)
        mark = wrong if context.kerberos else warning
        return mark(f"{told}: everyone on the cluster can view and stop everyone's server.", *fixes)
    if not context.configuration.flag(on.name):
        return warning(
            "The hub's copy of yarn-site.xml says that ACLs are off.",
            Fix(f"{context.folder}/yarn-site.xml", on.name, "true"),
        )
    return ok(f"ACLs are on; administrators are {found.get(admins.name)!r}")


STEPS = [
    Step(_GROUP, "Web service", web_service),
    Step(_GROUP, "Client port", client_port),
    Step(_GROUP, "High availability", high_availability),
    Step(_GROUP, "Recovery", recovery),
    Step(_GROUP, "ACLs", acls),
]
