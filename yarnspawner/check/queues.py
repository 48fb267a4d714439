"""Check the queue of the user's servers: state, size limits, ACLs, the application masters' share, and node labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from yarnspawner.check.context import CheckContext
from yarnspawner.check.reading import is_true
from yarnspawner.check.result import Fix, NotUsed, Result, Step, Unknown, ok, warning, wrong
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import as_list, as_resources
from yarnspawner.skein_driver.application_master import MEMORY

_GROUP = "Queue"
_FILE = "capacity-scheduler.xml of the ResourceManager"
_MEBIBYTE = 2**20
_REFRESH = ("yarn rmadmin -refreshQueues    # as YARN's administrator",)
_EVERYBODY = "*"
_SUBMITTING = ("SUBMIT_APP", "ADMINISTER_QUEUE")


async def state(context: CheckContext) -> Result:
    """Check that the queue exists and accepts applications."""
    name = await context.setting("queue")
    path = await _path(context, name)
    queue = path[-1]
    if not path[0]:
        queues = sorted(await _all_queues(context))
        return wrong(
            f"YARN has no queue {name!r}. Its queues are {', '.join(queues[:20])}.",
            Fix("the hub's configuration", "c.YarnSpawner.queue", repr(queues[0]) if queues else "a queue"),
        )
    if (found := str(queue.get("state", "RUNNING"))) != "RUNNING":
        return wrong(
            f"Queue {name} is {found} and accepts no applications.",
            Fix(_FILE, f"yarn.scheduler.capacity.{_full_name(path)}.state", "RUNNING"),
            commands=_REFRESH,
        )
    used, most = float(queue.get("absoluteUsedCapacity", 0)), float(queue.get("absoluteMaxCapacity", 100))
    told = f"Queue {_full_name(path)} runs; {used:.0f} % of the cluster used, at most {most:.0f} %"
    if used >= most:
        return warning(f"{told}. It is full, so new servers wait.")
    return ok(told)


async def size(context: CheckContext) -> Result:
    """Check that a server's container fits the queue, the user's limit and a node."""
    name = await context.setting("queue")
    memory, vcores = server_size(context)
    try:
        largest = await context.access.resource_manager.maximum_allocation(name)
    except ResourceManagerUnavailable as error:
        raise Unknown(f"{error}.") from None
    if largest is None:
        raise Unknown("YARN does not tell the largest container.")
    told = (
        f"A server's container has {memory} MiB and {vcores} vcores; the largest allowed has {largest.memory} MiB and"
    )
    told += f" {largest.vcores} vcores"
    fixes = []
    if memory > largest.memory:
        fixes.append(Fix("yarn-site.xml of the ResourceManager", "yarn.scheduler.maximum-allocation-mb", str(memory)))
    if vcores > largest.vcores:
        fixes.append(
            Fix("yarn-site.xml of the ResourceManager", "yarn.scheduler.maximum-allocation-vcores", str(vcores))
        )
    if fixes:
        small = f"{max(largest.memory - _extra(context), 0)} M"
        fixes.append(
            Fix("the hub's configuration, instead", "c.YarnSpawner.mem_limit, cpu_limit", f"{small!r} or less")
        )
        return wrong(f"{told}.", *fixes)
    return ok(told)


async def acl(context: CheckContext) -> Result:
    """Check that the user may submit to the queue."""
    user = context.need_user()
    path = await _existing(context)
    if not is_true(await context.resource_manager_configuration(), "yarn.acl.enable"):
        return ok("Everyone may submit: yarn.acl.enable is false")
    lists = [text for queue in path for name in _SUBMITTING if (text := _acl(queue, name))]
    if not lists:
        raise Unknown("This version of YARN does not show the queues' ACLs.")
    if any(user in users_of(text) or text.strip() == _EVERYBODY for text in lists):
        return ok(f"{user} may submit to {_full_name(path)}")
    if groups := sorted({group for text in lists for group in groups_of(text)}):
        raise Unknown(
            f"Only groups may submit: {', '.join(groups)}. Only the ResourceManager knows the groups of {user}."
        )
    name = f"yarn.scheduler.capacity.{_full_name(path)}.acl_submit_applications"
    users = users_of(_acl(path[-1], "SUBMIT_APP"))
    return wrong(
        f"{user} may not submit to {_full_name(path)}.", Fix(_FILE, name, ",".join([*users, user])), commands=_REFRESH
    )


async def administrators(context: CheckContext) -> Result:
    """Check that not everyone may administer the queue, and so view and stop every server in it."""
    if not is_true(await context.resource_manager_configuration(), "yarn.acl.enable"):
        raise Unknown("yarn.acl.enable is false, so YARN does not read the queues' ACLs.")
    path = await _existing(context)
    open_to_all = [queue for queue in path if _EVERYBODY in _acl(queue, "ADMINISTER_QUEUE")]
    if not open_to_all:
        return ok(f"Only administrators may view and stop everyone's applications in {_full_name(path)}")
    fixes = [
        Fix(_FILE, f"yarn.scheduler.capacity.{_full_name(path[: path.index(queue) + 1])}.acl_administer_queue", "yarn")
        for queue in open_to_all
    ]
    return warning(
        "Everyone may administer the queue, and so view and stop everyone's server.", *fixes, commands=_REFRESH
    )


async def master_share(context: CheckContext) -> Result:
    """Check how many application masters the queue and one user may have at a time."""
    path = await _existing(context)
    queue = path[-1]
    # The fair scheduler's amMaxResources is 0 while a queue is idle.
    limit = as_resources(queue.get("AMResourceLimit"))
    if limit is None:
        raise Unknown(
            "This scheduler does not tell the share of application masters (with the fair scheduler, maxAMShare)."
        )
    own = as_resources(queue.get("userAMResourceLimit")) or limit
    size = master_size(context)
    fit, own_fit = limit.memory // size, own.memory // size
    what = "servers" if context.settings.server_container == "master" else "application masters"
    told = f"{what} of {size} MiB: {fit} in the queue ({limit.memory} MiB), {own_fit} for one user ({own.memory} MiB)"
    share = Fix(_FILE, f"yarn.scheduler.capacity.{_full_name(path)}.maximum-am-resource-percent", "1.0")
    if fit < 2:
        return wrong(
            f"The share of application masters is too small for {told}. Further servers wait.", share, commands=_REFRESH
        )
    if own_fit < 1:
        return wrong(f"The user's share of application masters is too small for {told}.", share, commands=_REFRESH)
    if (configured := queue.get("configuredMaxAMResourceLimit")) is not None and float(configured) < 0.5:
        return warning(
            f"Application masters may use {100 * float(configured):.0f} % of the queue: {told}.",
            share,
            commands=_REFRESH,
        )
    return ok(f"At a time, {told}")


async def user_limit(context: CheckContext) -> Result:
    """Check how much of the queue one user may have."""
    path = await _existing(context)
    queue = path[-1]
    factor = queue.get("userLimitFactor")
    capacity = as_resources(queue.get("minEffectiveCapacity"))
    if factor is None or capacity is None:
        raise Unknown("The scheduler does not tell the limit of a user.")
    memory, _ = server_size(context)
    most = as_resources(queue.get("maxEffectiveCapacity")) or capacity
    allowed = min(capacity.memory * float(factor), most.memory) if float(factor) >= 0 else most.memory
    told = f"One user may use {allowed:.0f} MiB of {_full_name(path)}, and a server has {memory} MiB"
    if allowed < memory and capacity.memory > 0:
        return wrong(
            f"{told}.",
            Fix(
                _FILE,
                f"yarn.scheduler.capacity.{_full_name(path)}.user-limit-factor",
                str(math.ceil(memory / capacity.memory)),
            ),
            commands=_REFRESH,
        )
    return ok(told)


async def node_label(context: CheckContext) -> Result:
    """Check that the node label exists, that nodes have it, and that the queue may use it."""
    label = await context.setting("node_label")
    if not label:
        raise NotUsed("node_label is not set")
    document = await context.resource_manager("/ws/v1/cluster/get-node-labels")
    labels = {str(item.get("name")) for item in as_list(document, "nodeLabelInfo")}
    labels |= {str(item.get("name")) for item in as_list(document, "nodeLabelsInfo")}
    if label not in labels:
        return wrong(
            f"YARN has no node label {label!r}, but {', '.join(sorted(labels)) or 'none'}.",
            commands=(
                f"yarn rmadmin -addToClusterNodeLabels '{label}'",
                f"yarn rmadmin -replaceLabelsOnNode HOST={label}",
            ),
        )
    nodes = [node for node in await context.running_nodes() if label in _names(node, "nodeLabels")]
    if not nodes:
        return wrong(
            f"No running node has the label {label!r}.", commands=(f"yarn rmadmin -replaceLabelsOnNode HOST={label}",)
        )
    path = await _path(context, await context.setting("queue"))
    allowed = _names(path[-1], "nodeLabels")
    if path[0] and allowed and _EVERYBODY not in allowed and label not in allowed:
        name = f"yarn.scheduler.capacity.{_full_name(path)}.accessible-node-labels"
        return wrong(f"The queue may not use the label {label!r}.", Fix(_FILE, name, label), commands=_REFRESH)
    return ok(f"{len(nodes)} running nodes have the label {label!r}")


def server_size(context: CheckContext) -> tuple[int, int]:
    """Return the memory in MiB and the vcores of a server's container."""
    memory = context.settings.mem_limit + (_extra(context) * _MEBIBYTE)
    return math.ceil(memory / _MEBIBYTE), int(context.settings.cpu_limit)


def master_size(context: CheckContext) -> int:
    """Return the memory in MiB of the application master's container."""
    if context.settings.server_container == "master":
        return server_size(context)[0]
    return max(math.ceil(int(context.settings.application_master_memory) / _MEBIBYTE), MEMORY)


def _extra(context: CheckContext) -> int:
    own = context.settings.server_container == "service"
    return 0 if own else math.ceil(context.settings.application_master_memory / _MEBIBYTE)


def _names(document: dict[str, Any], key: str) -> list[str]:
    found = document.get(key) or []
    return list(map(str, found)) if isinstance(found, list) else [str(found)]


def users_of(acl: str) -> list[str]:
    """Return the users of an ACL such as ``alice,bob analysts``."""
    return [name for name in acl.partition(" ")[0].split(",") if name]


def groups_of(acl: str) -> list[str]:
    """Return the groups of an ACL."""
    return [name for name in acl.partition(" ")[2].strip().split(",") if name]


async def _existing(context: CheckContext) -> list[dict[str, Any]]:
    """Return the queues from the root down to the queue of the user's servers."""
    path = await _path(context, await context.setting("queue"))
    if not path[0]:
        raise Unknown("The queue does not exist.")
    return path


def _acl(queue: dict[str, Any], access: str) -> str:
    """Return a queue's own list for a type of access; "" if YARN does not show it."""
    entries = as_list(queue, "queueAcls", "queueAcl")
    return next((str(entry.get("accessControlList", "")) for entry in entries if entry.get("accessType") == access), "")


async def _all_queues(context: CheckContext) -> list[str]:
    try:
        return list(await context.access.resource_manager.queues())
    except ResourceManagerUnavailable as error:
        raise Unknown(f"{error}.") from None


async def _path(context: CheckContext, name: str) -> list[dict[str, Any]]:
    """Return the queues from the root down to the queue; a list with an empty queue if there is none."""
    document = await context.resource_manager("/ws/v1/cluster/scheduler")
    scheduler = (document.get("scheduler") or {}).get("schedulerInfo") or {}
    root = scheduler.get("rootQueue") or scheduler
    found = [path for path in _leaves([root]) if name in (_full_name(path), str(path[-1].get("queueName", "")))]
    return found[0] if found else [{}]


def _leaves(path: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    children = as_list(path[-1], "queues", "queue") or as_list(path[-1], "childQueues", "queue")
    for child in children:
        yield from _leaves([*path, child])
    if not children:
        yield path


def _full_name(path: list[dict[str, Any]]) -> str:
    own = str(path[-1].get("queuePath") or path[-1].get("queueName") or "")
    return own if "." in own or len(path) == 1 else ".".join(str(queue.get("queueName", "")) for queue in path)


STEPS = [
    Step(_GROUP, "Queue", state),
    Step(_GROUP, "Server size", size),
    Step(_GROUP, "User's limit", user_limit),
    Step(_GROUP, "Queue's ACL", acl),
    Step(_GROUP, "Administrators", administrators),
    Step(_GROUP, "Masters' share", master_share),
    Step(_GROUP, "Node label", node_label),
]
