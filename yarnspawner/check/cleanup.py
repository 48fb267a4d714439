"""Remove everything that a check started on the cluster, also after Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib

from yarnspawner.check.context import CheckContext
from yarnspawner.check.result import NotUsed, Result, Step, ok, wrong
from yarnspawner.hadoop.skein_staging import StagingUnavailable
from yarnspawner.skein_driver import ClusterError, Report

# Seconds: for the end of one application, and until a submission in progress shows in YARN's list.
_END_TIMEOUT = 60.0
_APPEARS_AFTER = 2.0
_ROUNDS = 3


async def clean_up(context: CheckContext) -> list[str]:
    """Kill the check's applications and remove their files in HDFS. Idempotent.

    Returns:
        What is left, for an administrator; empty if nothing is.
    """
    if not context.started:
        return []
    left: list[str] = []
    for _ in range(_ROUNDS):
        try:
            found = [report for report in await context.access.cluster.active() if context.tag in report.tags]
        except ClusterError as error:
            left = [f"YARN does not list applications: {error}"]
            await asyncio.sleep(_APPEARS_AFTER)
            continue
        left = [told for report in found if (told := await _kill(context, report))]
        if not found:
            break
        await asyncio.sleep(_APPEARS_AFTER)
    return left + await _remove_files(context)


async def _kill(context: CheckContext, report: Report) -> str:
    ending = context.access.terminator.terminate(report.id, report.user, by="check", facts={})
    try:
        await asyncio.wait_for(asyncio.shield(ending), _END_TIMEOUT)
    except asyncio.TimeoutError:
        return f"{report.id} does not end"
    return ""


async def _remove_files(context: CheckContext) -> list[str]:
    with contextlib.suppress(ClusterError):
        for report in await context.access.cluster.finished():
            if context.tag not in report.tags:
                continue
            try:
                await context.access.staging.remove(report.id, report.user)
            except StagingUnavailable as error:
                return [f"the files of {report.id} in HDFS: {error}"]
    return []


async def cleaned(context: CheckContext) -> Result:
    """Remove what the steps before have started, and say what is left."""
    if not context.started:
        raise NotUsed("nothing was started")
    left = await clean_up(context)
    if left:
        return wrong(f"Left behind: {'; '.join(left)}.", commands=("yarn application -list",))
    return ok("No application and no file of this check is left on the cluster")


STEPS = [Step("A real server", "Cleaned up", cleaned, 300)]
