"""What the steps say about a real cluster's answers, and about the same answers with one property changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.check.conftest import NN, RM, Answers
from yarnspawner.check import nodes, queues, resourcemanager, services
from yarnspawner.check.impersonation import proxyuser_fixes, rules
from yarnspawner.check.result import Mark, NotUsed, Unknown

HEALTHY: list[Any] = [
    resourcemanager.high_availability,
    resourcemanager.recovery,
    resourcemanager.acls,
    nodes.running,
    nodes.recovery,
    nodes.virtual_memory,
    queues.state,
    queues.size,
    queues.user_limit,
    queues.acl,
    queues.administrators,
    queues.master_share,
    services.tokens,
    rules,
]


@pytest.mark.parametrize("step", HEALTHY, ids=lambda step: step.__name__)
async def test_healthy(step: Any, context: Answers) -> None:
    """Nothing is wrong with the recorded cluster."""
    result = await step(context)
    assert (result.mark, result.fixes) == (Mark.OK, ()), result


@pytest.mark.parametrize(
    ("daemon", "name", "value", "step", "mark", "fix"),
    [
        ("rm", "yarn.resourcemanager.recovery.enabled", "false", resourcemanager.recovery, Mark.WRONG, "true"),
        ("rm", "yarn.acl.enable", "false", resourcemanager.acls, Mark.WRONG, "true"),
        ("rm", "yarn.admin.acl", "*", resourcemanager.acls, Mark.WRONG, "yarn (YARN's administrators)"),
        ("nm", "yarn.nodemanager.recovery.enabled", "false", nodes.recovery, Mark.WRONG, "true"),
        ("nm", "yarn.nodemanager.recovery.supervised", "false", nodes.recovery, Mark.WARNING, "true"),
        ("nm", "yarn.nodemanager.vmem-check-enabled", "true", nodes.virtual_memory, Mark.WARNING, "false"),
        ("rm", "yarn.resourcemanager.proxy-user-privileges.enabled", "false", services.tokens, Mark.WARNING, "true"),
        ("rm", "hadoop.proxyuser.jupyterhub.hosts", "", rules, Mark.WRONG, None),
    ],
)
async def test_property(
    context: Answers, daemon: str, name: str, value: str, step: Any, mark: Mark, fix: str | None
) -> None:
    """A changed property is found, and the fix names it."""
    context.change(daemon, name, value)
    result = await step(context)
    assert result.mark is mark, result
    assert name in [found.name for found in result.fixes]
    assert fix is None or fix in [found.value for found in result.fixes]


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"yarn.nodemanager.resource.memory.enforced": "false"}, "YARN's monitor"),
        ({"yarn.nodemanager.resource.memory.enabled": "true"}, "Cgroups"),
        ({"yarn.nodemanager.elastic-memory-control.enabled": "true"}, "Elastic"),
    ],
)
async def test_memory(context: Answers, properties: dict[str, str], says: str) -> None:
    """What enforces memory follows from the NodeManagers' own configuration. By default, nothing does."""
    assert (await nodes.memory(context)).mark is Mark.WARNING
    changed = Answers()
    for name, value in properties.items():
        changed.change("nm", name, value)
    result = await nodes.memory(changed)
    assert result.mark is Mark.OK
    assert says in result.finding


async def test_virtual_memory_that_kills(context: Answers) -> None:
    """A virtual-memory check that YARN really makes is wrong."""
    context.change("nm", "yarn.nodemanager.vmem-check-enabled", "true")
    context.change("nm", "yarn.nodemanager.resource.memory.enforced", "false")
    assert (await nodes.virtual_memory(context)).mark is Mark.WRONG


@pytest.mark.parametrize(
    ("queue", "step", "says"),
    [
        ({"state": "STOPPED"}, queues.state, "yarn.scheduler.capacity.root.default.state"),
        (
            {"AMResourceLimit": {"memory": 819, "vCores": 1}},
            queues.master_share,
            "yarn.scheduler.capacity.root.default.maximum-am-resource-percent",
        ),
        (
            {"userAMResourceLimit": {"memory": 1024, "vCores": 1}},
            queues.master_share,
            "yarn.scheduler.capacity.root.default.maximum-am-resource-percent",
        ),
        ({"userLimitFactor": 0.1}, queues.user_limit, "yarn.scheduler.capacity.root.default.user-limit-factor"),
    ],
)
async def test_queue(context: Answers, queue: dict[str, Any], step: Any, says: str) -> None:
    """A queue's limit that keeps servers waiting is wrong, and the fix has the queue's full path."""
    context.queue(**queue)
    result = await step(context)
    assert result.mark is Mark.WRONG
    assert says in [fix.name for fix in result.fixes]


async def test_queue_acl(context: Answers) -> None:
    """A user whom no queue from the root down admits gets the line to set."""
    root = context.documents[f"{RM}/ws/v1/cluster/scheduler"]["scheduler"]["schedulerInfo"]
    root["queueAcls"]["queueAcl"] = [{"accessType": "SUBMIT_APP", "accessControlList": "yarn "}]
    context.queue(queueAcls={"queueAcl": [{"accessType": "SUBMIT_APP", "accessControlList": "bob "}]})
    result = await queues.acl(context)
    assert result.mark is Mark.WRONG
    assert (result.fixes[0].name, result.fixes[0].value) == (
        "yarn.scheduler.capacity.root.default.acl_submit_applications",
        "bob,alice",
    )
    context = Answers()
    root = context.documents[f"{RM}/ws/v1/cluster/scheduler"]["scheduler"]["schedulerInfo"]
    root["queueAcls"]["queueAcl"] = [{"accessType": "SUBMIT_APP", "accessControlList": "yarn analysts"}]
    with pytest.raises(Unknown, match="Only groups may submit: analysts"):
        await queues.acl(context)


async def test_unknown_queue(answers: Callable[..., Answers]) -> None:
    """A queue that does not exist is wrong, and the queues that exist are named."""
    result = await queues.state(answers(queue="nosuch"))
    assert result.mark is Mark.WRONG
    assert "root.default" in result.finding


async def test_large_server(answers: Callable[..., Answers]) -> None:
    """A server that fits no node is wrong before anyone starts it."""
    result = await queues.size(answers(mem_limit=64 << 30))
    assert result.mark is Mark.WRONG
    assert result.fixes[0].value == str(64 * 1024 + 256)


async def test_label(answers: Callable[..., Answers]) -> None:
    """A label that YARN does not have is wrong; no label is no problem."""
    with pytest.raises(NotUsed):
        await queues.node_label(answers())
    context = answers(node_label="gpu")
    context.documents[f"{RM}/ws/v1/cluster/get-node-labels"] = {}
    result = await queues.node_label(context)
    assert result.mark is Mark.WRONG
    assert "addToClusterNodeLabels" in result.commands[0]


async def test_proxyuser_lines(context: Answers) -> None:
    """The lines to add keep the users who are allowed already."""
    found = await context.resource_manager_configuration()
    context.hadoop_user = "carl"
    (fix,) = proxyuser_fixes(context, found, wrong_host=False, wrong_user=True)
    assert (fix.name, fix.value) == ("hadoop.proxyuser.jupyterhub.users", "alice,bob,carl")


async def test_hidden_daemons(context: Answers) -> None:
    """What a daemon does not show is unknown, with the reason."""
    for url in (f"{RM}/conf?format=json", f"{NN}/conf?format=json"):
        del context.documents[url]
    with pytest.raises(Unknown, match="does not answer"):
        await resourcemanager.recovery(context)


def test_key_server() -> None:
    """The address of the first key server is read from the provider."""
    assert services.kms_url("kms://https@a.example.com;b.example.com:9600/kms") == "https://a.example.com:9600/kms"
    with pytest.raises(Unknown):
        services.kms_url("jceks://file/etc/keys")


async def test_fair_scheduler(answers: Callable[..., Answers]) -> None:
    """With the fair scheduler, a queue is found by its path, and what the scheduler does not tell is unknown."""
    samples = Path(__file__).parents[1] / "hadoop" / "samples"
    scheduler = json.loads((samples / "fair-scheduler.json").read_text())
    names = [path[-1]["queueName"] for path in queues._leaves([scheduler["scheduler"]["schedulerInfo"]["rootQueue"]])]
    context = answers(queue=names[0])
    context.documents[f"{RM}/ws/v1/cluster/scheduler"] = scheduler
    assert (await queues.state(context)).mark is Mark.OK
    with pytest.raises(Unknown, match="limit of a user"):
        await queues.user_limit(context)
    with pytest.raises(Unknown, match="maxAMShare"):
        await queues.master_share(context)
