"""Run containers as the user on some nodes, and look at the nodes from there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import skein

from yarnspawner.check import container
from yarnspawner.check.context import CheckContext
from yarnspawner.check.probe_findings import targets
from yarnspawner.check.result import Result, Step, Unknown, ok, warning, wrong
from yarnspawner.check.stand_in import hub_or_stand_in
from yarnspawner.common.private_files import private_files
from yarnspawner.common.text import one_line
from yarnspawner.diagnosis.explain import explain_submission_error
from yarnspawner.hadoop.logs import LogsUnavailable, tail
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.launch.localize import upload_shared_files
from yarnspawner.launch.request import localized_files, resolve_shell
from yarnspawner.launch.specification import ENVIRONMENT_FILE, environment_file, server_script
from yarnspawner.skein_driver import SKEIN_JAR, SKEIN_JAR_NAME, ClusterError, ClusterRefused
from yarnspawner.skein_driver.application_master import MEMORY, master_environment
from yarnspawner.state.credentials import Credentials
from yarnspawner.yarn.server_channel import ServerChannel

_SCRIPT = "yarnspawner-check.py"
_MEMORY = 512  # MiB: Python with gRPC takes 100
_START_TIMEOUT = 240.0
_HOME_TIMEOUT = 20.0
_INTERVAL = 0.5
_LIFETIME = 900


@dataclass
class Probe:
    """What was found on the nodes.

    Attributes:
        nodes: the nodes that were asked for.
        found: what each container found, by node.
        homes: the check's files in the home folder, as each container sees them.
        problem: why nodes are missing in ``found``.
    """

    nodes: list[str]
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    homes: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""


async def containers(context: CheckContext) -> Result:
    """Start a container on each node, and collect what they find."""
    context.need_user()
    probe = Probe(await _choose_nodes(context))
    context.probe = probe
    spawner = context.spawner()
    async with hub_or_stand_in(context.hub):
        names = {
            "YARNSPAWNER_CHECK_NAME": f".{context.tag}",
            "YARNSPAWNER_CHECK_TARGETS": json.dumps(targets(context)),
            # As the server's own, which HOME is the user's.
            "JUPYTERHUB_ROOT_DIR": "/",
        }
        credentials = Credentials.new()
        application = ""
        with private_files({ENVIRONMENT_FILE: environment_file(names)}) as paths:
            specification = await _specification(context, spawner, probe.nodes, credentials, paths)
            context.started = True
            try:
                application = await context.access.cluster.submit(specification)
            except ClusterRefused as error:
                refusal = explain_submission_error(
                    error, hub=context.hub_user, user=context.hadoop_user, queue=specification.queue
                )
                return wrong(f"YARN refuses the probe: {refusal.message}")
        try:
            await _limit_lifetime(context, application)
            async with ServerChannel(application, credentials, context.access, context.settings.log) as channel:
                await _collect(context, channel, application, probe)
        finally:
            await asyncio.shield(_kill(context, application))
    if missing := [node for node in probe.nodes if node not in probe.found]:
        log = await _log(context, application)
        told = f"No answer from {', '.join(missing)} of {', '.join(probe.nodes)}: {probe.problem}"
        return (warning if probe.found else wrong)(f"{told}{log}", application=application)
    return ok(
        f"Containers ran as {context.hadoop_user} on {', '.join(probe.nodes)}", application=application, **probe.found
    )


async def _choose_nodes(context: CheckContext) -> list[str]:
    """Return the nodes with the most free memory."""
    label = await context.setting("node_label")
    nodes = [node for node in await context.running_nodes() if not label or label in (node.get("nodeLabels") or [])]
    nodes.sort(key=lambda node: -int(node.get("availMemoryMB", 0)))
    if not nodes:
        raise Unknown("YARN has no running node.")
    return [str(node["nodeHostName"]) for node in nodes[: context.nodes]]


async def _specification(
    context: CheckContext, spawner: Any, nodes: list[str], credentials: Credentials, paths: Mapping[str, str]
) -> skein.ApplicationSpec:
    access, user = context.access, context.hadoop_user
    label = await context.setting("node_label")
    files = await upload_shared_files(
        await localized_files(spawner),
        access.uploads,
        user,
        spawner.log,
        lambda message: None,
        lowest_uid=spawner.lowest_uid,
    )
    own = {_SCRIPT: container.__file__, ENVIRONMENT_FILE: paths[ENVIRONMENT_FILE]}
    files = {
        **{
            name: found if isinstance(found, skein.File) else skein.File.from_dict(found)
            for name, found in files.items()
        },
        **{name: skein.File(path, type="file", visibility="application") for name, path in own.items()},
    }
    script = server_script(
        spawner.script_template,
        user=user,
        prologue=await resolve_shell(spawner, "prologue"),
        command=f"python {_SCRIPT}",
        epilogue="",
    )
    services = {
        f"node{number}": skein.Service(
            resources=skein.Resources(memory=_MEMORY, vcores=1),
            script=script,
            files=files,
            env={"YARNSPAWNER_CHECK_NUMBER": str(number)},
            nodes=[node],
            node_label=label,
            allow_failures=True,
            max_restarts=0,
        )
        for number, node in enumerate(nodes)
    }
    jar = access.uploads.url_if_ready(SKEIN_JAR)
    return skein.ApplicationSpec(
        name="yarnspawner check",
        queue=await context.setting("queue"),
        user=user,
        tags={context.tag},
        file_systems=list(spawner.file_systems),
        acls=skein.ACLs(
            enable=True, view_users=[context.hub_user], modify_users=[context.hub_user], ui_users=[context.hub_user]
        ),
        max_attempts=1,
        services=services,
        master=skein.Master(
            resources=skein.Resources(memory=MEMORY, vcores=1),
            files={SKEIN_JAR_NAME: skein.File(jar, type="file", visibility="public")} if jar else {},
            env=master_environment(spawner.application_master_java_options),
            security=skein.Security(cert_bytes=credentials.certificate, key_bytes=credentials.key),
        ),
    )


async def _collect(context: CheckContext, channel: ServerChannel, application: str, probe: Probe) -> None:
    """Read what the containers publish, then what they see in the home folder."""
    deadline = asyncio.get_running_loop().time() + _START_TIMEOUT
    while len(probe.found) < len(probe.nodes):
        try:
            report = await context.access.cluster.report(application)
        except ClusterError as error:
            probe.problem = one_line(str(error), 300)
        else:
            probe.problem = f"YARN says {report.state} after {_START_TIMEOUT:g} s"
            if report.ended:
                probe.problem = one_line(f"the application ended: {report.final_status} {report.diagnostics}", 400)
                return
            if report.state == "RUNNING":
                await _read(channel, report, probe)
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(_INTERVAL)
    if not probe.found:
        return
    report = await context.access.cluster.report(application)
    try:
        await channel.put(report, "check.go", b"1")
        deadline = asyncio.get_running_loop().time() + _HOME_TIMEOUT
        while len(probe.homes) < len(probe.found) and asyncio.get_running_loop().time() < deadline:
            for number, node in enumerate(probe.nodes):
                if node in probe.found and (raw := await channel.get(report, f"check.{number}.home")) is not None:
                    probe.homes[node] = list(map(str, json.loads(raw)))
            await asyncio.sleep(_INTERVAL)
        await channel.put(report, "check.end", b"1")
        await asyncio.sleep(3 * _INTERVAL)  # they remove their files
    except ClusterError as error:
        probe.problem = one_line(str(error), 300)


async def _read(channel: ServerChannel, report: Any, probe: Probe) -> None:
    for number, node in enumerate(probe.nodes):
        if node in probe.found:
            continue
        try:
            raw = await channel.get(report, f"check.{number}")
        except ClusterError as error:
            probe.problem = f"the hub cannot reach the application master: {one_line(str(error), 300)}"
            return
        if raw is not None:
            document = json.loads(raw)
            probe.found[node] = document if isinstance(document, dict) else {}


async def _limit_lifetime(context: CheckContext, application: str) -> None:
    """Let YARN itself end the probe, in case this command is killed."""
    try:
        await context.access.resource_manager.set_lifetime(application, _LIFETIME)
    except ResourceManagerUnavailable:
        return


async def _kill(context: CheckContext, application: str) -> None:
    ending = context.access.terminator.terminate(application, context.hadoop_user, by="check", facts={})
    await asyncio.wait([ending], timeout=_START_TIMEOUT)


async def _log(context: CheckContext, application: str) -> str:
    access = context.access
    try:
        text = await tail(
            application, context.hadoop_user, principal=access.principal, keytab=access.keytab, lines=5, timeout=40
        )
    except LogsUnavailable as error:
        return f". Its log cannot be read: {one_line(str(error), 200)}"
    return f". Its log ends with: {one_line(text, 500)}" if text else ""


STEPS = [Step("Nodes, from containers", "Containers", containers, 600)]
