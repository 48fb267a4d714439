"""Check that HDFS and YARN allow the hub to impersonate its users."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Mapping

from yarnspawner.check.context import CheckContext
from yarnspawner.check.reading import error_line
from yarnspawner.check.result import Fix, Result, Step, Unknown, ok, warning, wrong

_GROUP = "Impersonation"
_FILE = "core-site.xml of the NameNode and the ResourceManager"
_REFUSED = re.compile(r"is not allowed to impersonate|Unauthorized connection for super-user")
_WRONG_HOST = "Unauthorized connection for super-user"
_REFRESH = (
    "hdfs dfsadmin -refreshSuperUserGroupsConfiguration    # as HDFS's administrator",
    "yarn rmadmin -refreshSuperUserGroupsConfiguration    # as YARN's administrator",
)


async def rules(context: CheckContext) -> Result:
    """Check that the ResourceManager has proxyuser properties for the hub."""
    found = await context.resource_manager_configuration()
    hub = context.hub_user
    hosts = found.get(f"hadoop.proxyuser.{hub}.hosts", "")
    whom = found.get(f"hadoop.proxyuser.{hub}.users", ""), found.get(f"hadoop.proxyuser.{hub}.groups", "")
    if not hosts or not any(whom):
        fixes = proxyuser_fixes(context, found, wrong_host=not hosts, wrong_user=not any(whom))
        return wrong(f"Hadoop has no rule that allows {hub} to impersonate users.", *fixes, commands=_REFRESH)
    told = f"{hub} may impersonate users {whom[0] or '-'} and groups {whom[1] or '-'} from hosts {hosts}"
    if "*" in whom:
        return warning(
            f"{told}. With *, anyone who gets the hub's keytab can act as every user, also as hdfs.",
            Fix(_FILE, f"hadoop.proxyuser.{hub}.groups", "a group of the hub's users"),
        )
    return ok(told)


async def name_node(context: CheckContext) -> Result:
    """Read the user's home as the user, through the hub's impersonation."""
    user = context.need_user()
    completed = await context.command("hadoop", "fs", "-ls", "-d", "/", user=user)
    return await _judge(
        context, "The NameNode", completed.status, error_line(completed), context.name_node_configuration
    )


async def resource_manager(context: CheckContext) -> Result:
    """List applications as the user, through the hub's impersonation."""
    user = context.need_user()
    completed = await context.command("yarn", "application", "-list", "-appStates", "NEW", user=user)
    return await _judge(
        context, "The ResourceManager", completed.status, error_line(completed), context.resource_manager_configuration
    )


async def _judge(
    context: CheckContext, who: str, status: int, error: str, read: Callable[[], Awaitable[Mapping[str, str]]]
) -> Result:
    user = context.hadoop_user
    if not status:
        return ok(f"{who} accepts {context.hub_user} as {user}")
    if not _REFUSED.search(error):
        raise Unknown(f"{who} did not answer: {error}")
    try:
        found = await read()
    except Unknown:
        found = {}
    wrong_host = _WRONG_HOST in error
    fixes = proxyuser_fixes(context, found, wrong_host=wrong_host, wrong_user=not wrong_host)
    return wrong(f"{who} refuses: {error}", *fixes, commands=_REFRESH)


def proxyuser_fixes(
    context: CheckContext, found: Mapping[str, str], *, wrong_host: bool, wrong_user: bool
) -> tuple[Fix, ...]:
    """Return the proxyuser properties to set, which keep what is set already."""
    hub, user = context.hub_user, context.hadoop_user
    hosts, users = f"hadoop.proxyuser.{hub}.hosts", f"hadoop.proxyuser.{hub}.users"
    groups = f"hadoop.proxyuser.{hub}.groups"
    fixes = []
    if wrong_host:
        fixes.append(Fix(_FILE, hosts, _with(found.get(hosts, ""), socket.getfqdn())))
    if wrong_user and user:
        fixes.append(Fix(_FILE, users, _with(found.get(users, ""), user)))
    elif wrong_user:
        fixes.append(Fix(_FILE, groups, "a group of the hub's users"))
    return tuple(fixes)


def _with(items: str, item: str) -> str:
    known = [word.strip() for word in items.split(",") if word.strip()]
    return ",".join([*known, item] if item not in known else known)


STEPS = [
    Step(_GROUP, "Rules", rules),
    Step(_GROUP, "NameNode", name_node),
    Step(_GROUP, "ResourceManager", resource_manager),
]
